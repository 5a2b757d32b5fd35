"""`python -m manifest_runner.cli.batch`: one order, carried out in a process of its own. Workers start it, nobody else.

What it is to do stands in one line of JSON on its standard input. It ends as `render` does, by the same exit codes, and stops
as `render` does when it is told to, or when its worker is gone and the input ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from manifest_runner.adapters.settings import RUN_VARIABLE
from manifest_runner.cli import session
from manifest_runner.cli.error_exit import leave
from manifest_runner.cli.project import Project
from manifest_runner.cli.rendering import Asked, Rendering
from manifest_runner.cli.stores import local_store, need_shared
from manifest_runner.core.orders import LATER, STOP, Order
from manifest_runner.core.outcome import Ending, Report
from manifest_runner.engine import Sent, push_all
from manifest_runner.errors import AccountEmpty, Conflict, ExitCode, LedgerError, Unauthorized
from manifest_runner.views.text import safe


def main() -> None:
    """Carry it out and end the process."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):  # the worker is gone, and had not said what is to be done
        sys.exit(ExitCode.INTERRUPTED)
    told = json.loads(line)
    threading.Thread(target=_watch, daemon=True).start()
    ended: list[LedgerError] = []
    code = leave(lambda: carry_out(told, ended), ())
    sys.exit(LATER if ended else code)


def carry_out(told: dict[str, Any], ended: list[LedgerError]) -> int:
    """Render what the order says, from the files in `folder`. Where the ledger ends it, that is noted in `ended`."""
    order = Order.from_dict(told["order"])
    os.environ[RUN_VARIABLE] = order.run
    flags = {name: str(value) for name, value in told["flags"].items()}
    manifest = str(Path(told["folder"]) / order.manifest)
    project = Project(manifest, flags, repository=order.repository)
    own = project.settings.credits("max-credits")
    if order.max_credits and (own is None or Decimal(order.max_credits) < own):
        project = Project(manifest, {**flags, "max-credits": order.max_credits}, repository=order.repository)
    asked = Asked(only=order.shots, saved=None, yes=True, fail_fast=False, depfile=None, as_json=False, quiet=False,
                  verbose=False, order=order)
    rendering = Rendering(project, asked)
    try:
        return finished(_ended(int(rendering.run()), rendering.report), lambda: _is_published(project, rendering))
    except LedgerError as error:
        ended.append(error)
        raise


def finished(code: int, is_published: Callable[[], bool]) -> int:
    """The code with which an order ends that was rendered with `code`: over is one whose clips are in the store. Where nothing
    more may be submitted, or somebody stops this, that comes first."""
    if code in (ExitCode.INTERRUPTED, STOP):
        return code
    try:
        return code if is_published() else LATER
    except session.Interrupted:
        return int(ExitCode.INTERRUPTED)


def _ended(code: int, report: Report | None) -> int:
    """How it ended, where that is of a kind that a worker must know."""
    if report is None or code in (ExitCode.DONE, ExitCode.INTERRUPTED):
        return code
    if isinstance(report.halted, AccountEmpty | Unauthorized | Conflict):
        return STOP
    return LATER if report.halted is not None or report.of(Ending.UNFINISHED) else code


def _is_published(project: Project, rendering: Rendering) -> bool:
    """See to it that the shared store has every clip of the order, and then keep none here; False where it does not answer. One
    that is on another machine, or at the gateway alone, is left to whoever asks for it."""
    shared, local = need_shared(project.settings), local_store(project)
    results = session.run_until_done(lambda: push_all(list(rendering.clips.values()), local, shared, lambda _: None),
                                     session.warn)
    for result in results:
        if result.error is not None:
            session.warn(safe(f"{result.artifact.path}: {result.error.message}"))
    local.remove([result.artifact.sha256 for result in results if result.ending in (Sent.SENT, Sent.THERE)])
    return not any(result.ending is Sent.FAILED for result in results)


def _watch() -> None:
    """Stop once the worker is gone."""
    while os.read(0, 1024):  # not through a buffer, whose lock the end of the process would wait for
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
