"""Carries out a plan through the ports.

One task a take. A take whose frame comes from another shot waits for that shot's clip; all others go at once, inside the
limits. Everything that is decided is decided in core; here it is awaited.
"""

from __future__ import annotations

from manifest_runner.engine.recovery import take_back
from manifest_runner.engine.restoring import Origin, Restored, restored
from manifest_runner.engine.run import execute
from manifest_runner.engine.sharing import Checked, Pushed, Sent, check_all, each, push_all
from manifest_runner.engine.types import Archive, Options, Outside

__all__ = ["Archive", "Checked", "Options", "Origin", "Outside", "Pushed", "Restored", "Sent", "check_all", "each", "execute",
           "push_all", "restored", "take_back"]
