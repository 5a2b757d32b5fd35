"""How a team's ledger is opened: made or brought to this version where the role may, and checked before anything is written.

Laws: one program at a time changes the tables; a schema that is newer than this program is refused, at the opening and in every
transaction after it; the tallies are counted again from the jobs themselves before the first write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manifest_runner.adapters import ledger_schema as shared
from manifest_runner.adapters import team_schema as schema
from manifest_runner.adapters.team_link import Link, Statement
from manifest_runner.errors import LedgerError

VERSION_NOW: Statement = ("SELECT version FROM ledger_version", ())
_LONG_GONE = 86400.0  # seconds after which nobody asks any more whether a sender is alive
_IS_THERE = f"SELECT {schema.IS_THERE}"


def open_for_writing(link: Link, account: str) -> None:
    """Make the tables where there are none, bring older ones to this version, and check those of the account. Raises
    `LedgerError` or `Away`."""
    version = _version(link)
    if version is None or version < schema.VERSION:
        _bring_up_to_date(link)
    link.begin()
    link.commit(("INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING", (account,)),
                ("DELETE FROM senders WHERE account = ? AND beat < ?", (account, link.now - _LONG_GONE)))
    untrue = shared.UNTRUE.format(condition="account = ?")
    if link.ask([(untrue, (account,))])[0]:
        raise LedgerError(f"the ledger at {link.shown} is damaged: nothing is submitted (its sums do not agree with its jobs)",
                          hint="whoever owns the database restores it from a backup; somebody has changed the tables by hand")


def open_for_reading(link: Link) -> bool:
    """Whether there are tables. Raises `LedgerError` for those of a newer program, or `Away`."""
    version = _version(link)
    if version is not None and version < schema.VERSION:
        raise LedgerError(f"the ledger at {link.shown} is of an older version", code="ledger-schema",
                          hint="the next render brings it to this one, where its role may")
    return version is not None


def check_version(link: Link, found: Sequence[Sequence[Any]]) -> int:
    """The version that was read. Raises `LedgerError` where it is newer than this program."""
    version = int(found[0][0]) if found else 0
    if version > schema.VERSION:
        raise LedgerError(f"the ledger at {link.shown} was changed by a newer version of manifest-runner: nothing is submitted",
                          code="ledger-schema", hint="upgrade manifest-runner; an older one could misread what is reserved")
    return version


def lost(link: Link, what: str) -> LedgerError:
    """The error for a database that has forgotten something."""
    return LedgerError(f"the database at {link.shown} is another than before: {what}. Nothing more is submitted",
                       code="ledger-lost",
                       hint="it was restored, or a standby that lagged behind took over: compare the gateway's own pages with "
                            "`manifest-runner status` before anything is rendered again")


def _version(link: Link) -> int | None:
    if not link.ask([(_IS_THERE, ())])[0][0][0]:
        return None
    return check_version(link, link.ask([VERSION_NOW])[0])


def _bring_up_to_date(link: Link) -> None:
    """Bring the tables to this version, in one transaction; where somebody else was faster, nothing is left to do."""
    is_there = link.begin((f"SELECT pg_advisory_xact_lock({schema.GATE})", ()), (_IS_THERE, ()))[1][0][0]
    version = check_version(link, link.ask([VERSION_NOW])[0]) if is_there else 0
    if not is_there:
        link.tell(f"CREATE SCHEMA IF NOT EXISTS {schema.SCHEMA}")
    if version < schema.VERSION:
        for statement in schema.changes(version):
            link.tell(statement)
    link.commit()
