"""The queue of orders in a team's database: Procrastinate's tables, which lie beside the ledger's.

Laws
- The queue says who works on what, and nothing about money: an order that is carried out twice buys nothing twice, because the
  ledger decides before anything leaves.
- An order that waits or is in hand is not queued again. What `add` has returned outlives a crash of the database, whatever its
  default is.
- Nothing outlives a transaction on the other side (no notifications, no prepared statements), as in `team_link.py`.
- Foreign exceptions end here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_link import PatientConnection, arguments_of, words_of
from manifest_runner.core.orders import InQueue, Order
from manifest_runner.errors import LedgerError, MissingExtra, UsageError

try:
    import psycopg
    from procrastinate import App, SyncPsycopgConnector
    from procrastinate.exceptions import ConnectorException, ProcrastinateException
    from procrastinate.jobs import Job
    from procrastinate.schema import SchemaManager
    from procrastinate.tasks import Task
    from psycopg import errors as sql
except ImportError:
    raise MissingExtra("team", "a queue in PostgreSQL") from None

TASK = "manifest_runner.render"
"""What an order is called in the tables."""

PATIENCE = 20.0
"""Seconds for which a connection is waited for."""

_OPEN = ("todo", "doing")
_GATE = 0x4D525155  # the lock under which the tables are made

for _name in ("procrastinate", "psycopg"):  # what they have to tell is told here, in other words
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


def pool_of(address: TeamAddress, *, most: int, kind: type[object]) -> dict[str, Any]:
    """What Procrastinate's connectors are made with."""
    return {"conninfo": "", "kwargs": {**arguments_of(address), "prepare_threshold": None}, "min_size": 1, "max_size": most,
            "timeout": PATIENCE, "connection_class": kind}


@contextmanager
def translated(address: TeamAddress, meaning: str = "nothing was handed over") -> Iterator[None]:
    """Turn what Procrastinate and psycopg raise into errors of ours. `LedgerError` of the code `queue-away`: try again.
    `meaning` is what that means for whoever asked."""
    try:
        yield
    except (ProcrastinateException, psycopg.Error) as error:
        cause = error.__cause__ if isinstance(error, ConnectorException) else error
        words = words_of(cause, address) if isinstance(cause, psycopg.Error) else str(cause)
        owner = "whoever owns the database runs: manifest-runner schema queue | psql DATABASE"
        match cause:
            case sql.InsufficientPrivilege():
                raise LedgerError(f"the queue at {address.shown} does not let this role in: {words}", code="queue-role",
                                  hint=owner) from error
            case sql.UndefinedTable() | sql.UndefinedFunction() | sql.UndefinedColumn() | sql.UndefinedObject():
                raise LedgerError(f"the queue at {address.shown} lacks tables: {words}", code="queue-schema",
                                  hint=owner) from error
        raise LedgerError(f"the queue at {address.shown} is away ({words}): {meaning}", code="queue-away",
                          hint="look at the database, then run the same command again") from error


class TeamQueue:
    """Orders of all accounts at `address`: to add some, and to look at them. Use as a context manager."""

    def __init__(self, address: TeamAddress) -> None:
        self._address = address
        self._app = App(connector=SyncPsycopgConnector(**pool_of(address, most=1, kind=PatientConnection)))
        self._task = task_of(self._app)

    def __enter__(self) -> TeamQueue:
        with translated(self._address):
            self._app.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.close()

    def make(self) -> None:
        """Make the tables where there are none, and where this role may."""
        with translated(self._address):
            if not self._app.check_connection():
                with PatientConnection.connect(**arguments_of(self._address)) as connection:
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_GATE,))
                    found = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
                    if found is not None and found[0] is None:
                        connection.execute(SchemaManager.get_schema().encode())

    def add(self, orders: Sequence[Order], account: str) -> list[Order]:
        """Queue those orders of an account that do not wait already and are in nobody's hands; returns them."""
        with translated(self._address):
            taken = {job.lock for status in _OPEN for job in self._jobs(status)}
        new = [order for order in orders if lock_of(order, account) not in taken]
        with translated(self._address, "some of it may be handed over, and is not queued twice"):
            ids = [self._task.configure(queue=account, lock=lock_of(order, account)).defer(**order.to_dict()) for order in new]
            if ids:
                self._await_the_disk(ids[-1])
        return new

    def _await_the_disk(self, job: int) -> None:
        """Return once everything up to this job is on the disk: what one writes oneself, and waits for, comes after it."""
        with PatientConnection.connect(**arguments_of(self._address)) as connection:
            connection.execute("SELECT set_config('synchronous_commit', 'on', true)")
            written = connection.execute("UPDATE procrastinate_jobs SET priority = priority WHERE id = %s", (job,))
            if written.rowcount != 1:
                raise psycopg.OperationalError("it does not know what it has confirmed")

    def standing(self, repository: str, manifest: str) -> InQueue:
        """How the orders for a manifest stand; nothing where there is no queue."""
        with translated(self._address):
            if not self._app.check_connection():
                return InQueue()
            waiting, in_hand, failed = (
                tuple(shots for job in self._jobs(status) if (shots := shots_of(job.task_kwargs, repository, manifest)))
                for status in (*_OPEN, "failed"))
        return InQueue(waiting=waiting, in_hand=in_hand, failed=failed)

    def _jobs(self, status: str) -> Sequence[Job]:
        return self._app.job_manager.list_jobs(task=TASK, status=status)


def task_of(app: App) -> Task[Any, Any, Any]:
    """The one task of the queue, for whoever only adds orders."""

    @app.task(name=TASK)
    def render(**_: object) -> None:
        raise UsageError("orders are carried out by workers")

    return render


def lock_of(order: Order, account: str) -> str:
    """What only one worker at a time may have in hand: the same shots of the same manifest."""
    what = [account, order.repository, order.manifest, *order.shots]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def shots_of(arguments: Mapping[str, Any], repository: str, manifest: str) -> tuple[str, ...]:
    """The shots of a queued order for this manifest; none where it is for another."""
    if (arguments.get("repository"), arguments.get("manifest")) != (repository, manifest):
        return ()
    shots = arguments.get("shots")
    return tuple(map(str, shots)) if isinstance(shots, list) else ()




def script(role: str) -> str:
    """What an administrator runs once, with psql, so that `role` may use a queue that it does not own; safe to run again."""
    body, allowed = SchemaManager.get_schema(), ";\n".join(grants(role))
    return f"""\
-- The queue of manifest-runner's orders (Procrastinate's tables): run by whoever may create tables in this database.
\\set ON_ERROR_STOP on
BEGIN;
SELECT pg_advisory_xact_lock({_GATE});
SELECT to_regclass('procrastinate_jobs') IS NULL AS is_new \\gset
\\if :is_new
{body}
\\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') AS is_new \\gset
\\if :is_new
CREATE ROLE {role} LOGIN;
\\endif
{allowed};
COMMIT;
"""  # noqa: S608 - numbers and names of ours, and a role of letters and digits


def grants(role: str) -> list[str]:
    """What a role needs that adds and carries out orders, and nothing more."""
    return [
        f"GRANT SELECT, INSERT, UPDATE ON procrastinate_jobs TO {role}",
        f"GRANT SELECT, INSERT ON procrastinate_events TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_workers TO {role}",
        f"GRANT SELECT ON procrastinate_periodic_defers TO {role}",
        f"GRANT USAGE ON SEQUENCE procrastinate_jobs_id_seq, procrastinate_events_id_seq TO {role}",
    ]
