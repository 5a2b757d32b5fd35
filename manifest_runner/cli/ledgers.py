"""Which ledger a project's money is in: a file of this machine, or the database that the operator has named. The one place that
decides it; everything else asks here.

Laws: a draft's ledger is always a file, since its simulator ends with it. Nothing is submitted beside a ledger of this machine
that holds unfinished submissions of the account: two books would each know a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from manifest_runner.adapters.settings import VARIABLES
from manifest_runner.cli.project import Project
from manifest_runner.cli.words import command
from manifest_runner.errors import UsageError

if TYPE_CHECKING:  # start-up: sqlite3 and psycopg only where there is a ledger
    from manifest_runner.adapters.ledger_account import AccountLedger
    from manifest_runner.adapters.team_address import TeamAddress


def open_ledger(project: Project, account: str, *, run: str, sender: str | None = None,
                say: Callable[[str], None] = lambda _: None, wall: Callable[[], float] = time.time) -> AccountLedger:
    """The ledger of an account, to write in. `say` is told of a database that is waited for."""
    address = check_ledger(project)
    if address is None:
        from manifest_runner.adapters.ledger import SqliteLedger

        return SqliteLedger(project.state.make().ledger, account=account, run=run, sender=sender, wall=wall)
    from manifest_runner.adapters.team_ledger import TeamLedger

    _refuse_two_books(project, account)
    return TeamLedger(address, account=account, project=repository_name(project), run=run, sender=sender,
                      folder=project.state.make().root, say=say)


def look(project: Project, account: str | None = None) -> AccountLedger | None:
    """The ledger to look at; None where there is none yet. Without `account` all accounts together."""
    address = team(project)
    if address is not None:
        from manifest_runner.adapters.team_ledger import TeamLedger

        return TeamLedger.open_readonly(address, project=repository_name(project), account=account)
    path = project.state.ledger
    if not path.exists() and not path.with_name(f"{path.name}-wal").exists():
        return None  # a clone or a CI runner: start-up without sqlite3
    from manifest_runner.adapters.ledger import SqliteLedger

    return SqliteLedger.open_readonly(path, account=account)


def accounts(project: Project) -> list[str]:
    """The accounts that have jobs of this repository, sorted."""
    address = team(project)
    if address is not None:
        from manifest_runner.adapters.team_ledger import TeamLedger

        return TeamLedger.accounts(address, project=repository_name(project))
    from manifest_runner.adapters.ledger import SqliteLedger

    return SqliteLedger.accounts(project.state.ledger)


def check_ledger(project: Project) -> TeamAddress | None:
    """The database that the operator has named; None where the ledger is a file. Raises `UsageError` for what cannot be one,
    and for a setting that is there and empty: whoever gave it meant one."""
    setting = project.settings.values["ledger"]
    if setting.value == "" and not project.draft:
        raise UsageError(f"the team's ledger is set and empty ({setting.origin}): nothing was read or sent", code="bad-ledger",
                         hint=f"give {VARIABLES['ledger']} the address that is meant; unset, the ledger is one of this machine")
    return team(project)


def name_of(project: Project) -> str:
    """A name that tells this ledger from others. Of a database its own name, since hosts change when one takes over; a note
    that a ledger does not know stops everything, so one too many loses nothing."""
    address = team(project)
    return str(project.state.ledger.resolve()) if address is None else f"postgresql:{address.shown.rpartition('/')[2]}"


def team(project: Project) -> TeamAddress | None:
    """The database of the team's ledger; None where the ledger is a file."""
    setting = project.settings.values["ledger"]
    if project.draft or not setting.value:
        return None
    from manifest_runner.adapters.team_address import TeamAddress

    return TeamAddress.of(setting.value, setting.origin)


def repository_name(project: Project) -> str:
    """What a team's ledger calls this repository. Raises `UsageError` where that cannot be known."""
    from manifest_runner.adapters.revisions import repository_id

    found = project.repository or repository_id(project.files.root)
    if found is None:
        raise UsageError("the team's ledger tells repositories apart by their first commit, and this one is not known here",
                         code="unknown-repository",
                         hint="in a shallow clone: git fetch --unshallow (in GitHub Actions: fetch-depth: 0); in a new "
                              "repository: commit once")
    return found


def _refuse_two_books(project: Project, account: str) -> None:
    path = project.state.ledger
    if not path.exists():
        return
    from manifest_runner.adapters.ledger import SqliteLedger

    own = SqliteLedger.open_readonly(path, account=account)
    if own is None:
        return
    with own:
        left = len(own.all_unfinished())
    if left:
        raise UsageError(f"this machine's own ledger holds {left} unfinished submissions of the account: nothing was submitted",
                         code="two-ledgers", hint=f"finish them first, without {VARIABLES['ledger']}; then render with it",
                         next_commands=[command("status", project.shown)])
