"""The ledger's file: how it is made, opened, checked, and how its failures are told.

Laws:

- A ledger appears whole or not at all. It is built under another name and linked into place, so an empty or unfinished
  file under the ledger's name is damage and never a fresh start with nothing spent.
- Before the first write the whole file is checked, and the tallies are counted again from the jobs themselves; then a ledger
  of an older version is brought to this one, whole or not at all. Looking at it needs no change.
- What SQLite cannot do is a `LedgerError`, and no submission follows a `LedgerError`.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from manifest_runner.core.lifecycle import HOLDING, IN_FLIGHT
from manifest_runner.core.model import JobState
from manifest_runner.errors import LedgerError

VERSION = 4
"""`PRAGMA user_version`: raised with every change that an older program could not live with."""

APPLICATION = 0x4D524C47
"""`PRAGMA application_id`: this file is a ledger of manifest-runner and no other database."""

BUSY_SECONDS = 30.0
"""How long to wait for another process's transaction. They last milliseconds; this outlasts a slow disk."""

# `requests` is apart from `jobs` because it never changes: an event must not rewrite a body of some megabytes.
# `tallies` holds running sums, so that admitting the ten-thousandth job costs what the first did.
_TABLES = """
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY, touched REAL NOT NULL, account TEXT NOT NULL, external_task_id TEXT NOT NULL,
  manifest TEXT NOT NULL, shot TEXT NOT NULL, take INTEGER NOT NULL, attempt INTEGER NOT NULL,
  run TEXT NOT NULL, sender TEXT NOT NULL, settled_by TEXT NOT NULL, day TEXT NOT NULL,
  state TEXT NOT NULL, fingerprint TEXT NOT NULL,
  reserved INTEGER NOT NULL CHECK (reserved >= 0), charged INTEGER CHECK (charged >= 0),
  job_id TEXT, error TEXT NOT NULL, artifacts TEXT NOT NULL, seal BLOB NOT NULL,
  UNIQUE (account, external_task_id)
);
CREATE TABLE requests (
  seq INTEGER PRIMARY KEY REFERENCES jobs (seq), model TEXT NOT NULL, params TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, account TEXT NOT NULL, external_task_id TEXT, kind TEXT NOT NULL, at REAL NOT NULL,
  detail TEXT NOT NULL,
  FOREIGN KEY (account, external_task_id) REFERENCES jobs (account, external_task_id)
);
CREATE TABLE tallies (
  account TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, part TEXT NOT NULL,
  cost INTEGER NOT NULL, held INTEGER NOT NULL, flying INTEGER NOT NULL,
  PRIMARY KEY (account, scope, name, part)
) WITHOUT ROWID;
CREATE TABLE meters (
  account TEXT PRIMARY KEY, slot REAL, paused_at REAL NOT NULL, pause REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_by_take ON jobs (account, manifest, shot, take, attempt);
CREATE INDEX jobs_by_state ON jobs (account, state, touched);
"""

# From each version to the next. A new ledger goes the same way, so that there is one shape and it is tested with every test.
# An older program that has the file open when it is changed can go on writing what it knows.
_CHANGES = {
    2: """
ALTER TABLE meters ADD COLUMN gap REAL NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN since REAL NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN peak REAL;
ALTER TABLE meters ADD COLUMN slowed_at REAL NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN calm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN places INTEGER;
ALTER TABLE meters ADD COLUMN crowded_at REAL NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN easy INTEGER NOT NULL DEFAULT 0;
CREATE TABLE waiters (
  account TEXT NOT NULL, name TEXT NOT NULL, again INTEGER NOT NULL, since REAL NOT NULL, ready REAL NOT NULL,
  holds REAL NOT NULL, places INTEGER, PRIMARY KEY (account, name)
) WITHOUT ROWID;
""",
    3: """
ALTER TABLE meters ADD COLUMN late TEXT NOT NULL DEFAULT '[]';
""",
    4: "",  # the shape is the same; what is written in `jobs.artifacts` now says what was measured of a clip
}


def states(among: frozenset[JobState]) -> str:
    """States as an SQL list. They are words of our own."""
    return "(" + ", ".join(f"'{state.value}'" for state in sorted(among)) + ")"


_COST = f"CASE WHEN state IN {states(HOLDING)} OR charged IS NULL THEN reserved ELSE charged END"  # as limits.cost
_HELD = f"CASE WHEN state IN {states(HOLDING)} THEN reserved ELSE 0 END"
_FLYING = f"CASE WHEN state IN {states(IN_FLIGHT)} THEN 1 ELSE 0 END"

# What each job adds to each tally, as (account, scope, name, part, cost, held, flying). The only definition of the sums:
# they are kept by it, and checked by it. A run that saw the end of another run's job has that on its own account too.
SHARES = f"""
SELECT seq, account, 'account' AS scope, '' AS name, '' AS part, 0 AS cost, {_HELD} AS held, {_FLYING} AS flying FROM jobs
UNION ALL SELECT seq, account, 'day', day, '', {_COST}, {_HELD}, 0 FROM jobs
UNION ALL SELECT seq, account, 'manifest', manifest, '', 0, {_HELD}, 0 FROM jobs
UNION ALL SELECT seq, account, 'run', run, manifest, {_COST}, {_HELD}, 0 FROM jobs
UNION ALL SELECT seq, account, 'run', settled_by, manifest, {_COST}, 0, 0 FROM jobs WHERE settled_by NOT IN ('', run)
"""  # noqa: S608 (no value of anybody's is in it)

UNTRUE = f"""
SELECT 1 FROM (
  SELECT account, scope, name, part, cost, held, flying FROM ({SHARES}) AS shares
  UNION ALL SELECT account, scope, name, part, -cost, -held, -flying FROM tallies
) AS sums WHERE {{condition}}
GROUP BY account, scope, name, part HAVING sum(cost) <> 0 OR sum(held) <> 0 OR sum(flying) <> 0 LIMIT 1
"""  # noqa: S608 (no value of anybody's is in it)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection to the ledger at `path`, made first where there is none, and checked. Raises `LedgerError`."""
    with translated(path):
        if not path.exists():
            _create(path)
        connection = _connect(path, "rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync there leaves it in the drive's cache
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            version = _check_kind(connection, path)
            _check_contents(connection, path)
            if version < VERSION:
                _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A connection that cannot write, or None where there is no ledger. Raises `LedgerError`."""
    with translated(path):
        if not path.exists():
            _refuse_orphan(path)
            return None
        try:
            return _connect_for_reading(path, "ro")
        except sqlite3.OperationalError:
            if not _is_settled(path):
                raise
            # A checkout that may not be written to: SQLite cannot put its index of the log beside the ledger. There is
            # no log, so the file is whole and may be read as it lies.
            return _connect_for_reading(path, "ro&immutable=1")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into `LedgerError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(path, error) from error
    except OSError as error:
        raise LedgerError(f"the ledger at {path} cannot be opened: {error.strerror or error}: nothing is submitted",
                          hint="look at the permissions and the disk of the state folder") from error
    except (UnicodeError, OverflowError) as error:
        raise LedgerError(f"the ledger at {path} cannot hold this: {error}") from error


def damaged(path: Path, what: str) -> LedgerError:
    """The error for a file that is not what was written."""
    return LedgerError(
        f"the ledger at {path} is damaged: nothing is submitted ({what})",
        hint="restore it from a backup together with its -wal file; without one, move it away only after comparing the "
             "lockfile with the jobs on the gateway's own pages, because open reservations are forgotten with it")


def _told(path: Path, error: sqlite3.Error) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LedgerError(f"the ledger at {path} is held by another process for more than {BUSY_SECONDS:.0f} s",
                               hint="wait for the other manifest-runner to end, then run the same command again")
        case sqlite3.SQLITE_FULL:
            return LedgerError(f"no space left to write the ledger at {path}: nothing is submitted",
                               hint="make room on its disk, then run the same command again: it continues")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return LedgerError(f"the ledger at {path} cannot be opened or written: nothing is submitted",
                               hint="look at the permissions of the state folder")
        case sqlite3.SQLITE_IOERR:
            return LedgerError(f"the disk failed under the ledger at {path}: nothing is submitted ({error})",
                               hint="look at the disk, then run the same command again")
    return damaged(path, str(error))


def _create(path: Path) -> None:
    """Build an empty ledger beside its place and link it there. Where another process was faster, its ledger stands."""
    _refuse_orphan(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600, which -wal and -shm inherit
    os.close(handle)
    try:
        with closing(sqlite3.connect(name, isolation_level=None)) as connection:
            connection.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN; {_TABLES}{''.join(_CHANGES.values())}"
                f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;")
        with Path(name).open("rb") as file:
            os.fsync(file.fileno())
        # link, not rename: it cannot replace a ledger that another process has put there meanwhile and already uses
        with suppress(FileExistsError):
            os.link(name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # `rw` and `ro` never create. One connection travels between worker threads, one at a time.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS,
                                 isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _connect_for_reading(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        _check_kind(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the ledger. Raises `LedgerError` where the file is none, or a newer one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION or version < 1:
        raise damaged(path, "it is not a ledger of this program")
    if version > VERSION:
        raise LedgerError(f"the ledger at {path} was written by a newer version of manifest-runner",
                          hint="upgrade manifest-runner; an older one could misread what is reserved")
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a checked ledger of an older version to this one, in one transaction: a kill leaves the old one or the new one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_check_kind(connection, path), VERSION):  # again: another process may have been faster
            for statement in _CHANGES[version + 1].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_contents(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, " ".join(str(found).split()))
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        raise damaged(path, "its journal is not a write-ahead log")
    if connection.execute(UNTRUE.format(condition="TRUE")).fetchone() is not None:
        raise damaged(path, "its sums do not agree with its jobs")


def _refuse_orphan(path: Path) -> None:
    """A log without its ledger would be played into a new one: somebody removed or lost the main file."""
    log = path.with_name(path.name + "-wal")
    # the second look: another process may have made both since the first
    if log.exists() and log.stat().st_size > 0 and not path.exists():
        raise damaged(path, "its main file is gone, its -wal file is not")


def _is_settled(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return not log.exists() or log.stat().st_size == 0
