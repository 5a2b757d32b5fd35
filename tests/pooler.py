"""PgBouncer in transaction mode before a database: the machine's own (Debian's package `pgbouncer`).

Without it what needs one is skipped. It runs as `nobody` where the tests run as root, as the database does.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.postgres import PASSWORD, ROLE, Server, free_port


@contextmanager
def pooled(database: Server, *, connections: int) -> Iterator[str]:
    """The database's address behind a pooler that has so many connections to it, and gives each transaction whichever is free;
    without any, the database itself."""
    if not connections:
        yield database.url()
        return
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine (Debian's package of that name)")
    port, folder = free_port(), database.folder
    users, settings = folder / f"users-{port}.txt", folder / f"pooler-{port}.ini"
    users.write_text(f'"{ROLE}" "{PASSWORD}"\n')
    settings.write_text(f"""[databases]
* = host=127.0.0.1 port={database.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 500
server_round_robin = 1
""")
    for file in (users, settings):
        file.chmod(0o644)  # below a folder that is only its own
    with (folder / f"pooler-{port}.log").open("w") as log:
        process = subprocess.Popen([program, settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **database.who())
    try:
        while process.poll() is None:
            try:
                psycopg.connect(database.url(port=port)).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                yield database.url(port=port)
                return
        raise RuntimeError((folder / f"pooler-{port}.log").read_text()[-2000:])
    finally:
        process.kill()  # newer ones wait for their clients when they are asked to end
        process.wait(timeout=20)
