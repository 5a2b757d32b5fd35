"""Carries out a plan through the ports.

One task a take. A take whose frame comes from another shot waits for that shot's clip; all others go at once, inside the
limits. Everything that is decided is decided in core; here it is awaited.
"""

from __future__ import annotations

from manifest_runner.engine.recovery import take_back
from manifest_runner.engine.run import execute
from manifest_runner.engine.types import Options, Outside

__all__ = ["Options", "Outside", "execute", "take_back"]
