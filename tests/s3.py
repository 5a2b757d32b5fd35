"""A real S3 server on this machine (moto, in a process of its own), and a bucket of it seen from behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import obstore
from obstore.store import S3Store

SERVE = """
import logging, sys, threading
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket called `studio` at the server `address`."""

    address: str

    @property
    def env(self) -> dict[str, str]:
        """What a vendor's tool would read from the environment."""
        return {"AWS_ACCESS_KEY_ID": "AKIACANARY0123456789", "AWS_SECRET_ACCESS_KEY": "canary-secret-0123456789",
                "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.address}

    def names(self, prefix: str = "") -> list[str]:
        """The keys of all objects below a prefix, sorted."""
        return sorted(meta["path"] for page in obstore.list(self._all, prefix=prefix) for meta in page)

    def get(self, name: str) -> bytes:
        return bytes(obstore.get(self._all, name).bytes())

    def put(self, name: str, content: bytes) -> None:
        obstore.put(self._all, name, content)

    @property
    def _all(self) -> S3Store:
        return S3Store("studio", endpoint=self.address, client_options={"allow_http": True}, access_key_id="x",
                       secret_access_key="x", region="us-east-1")


@contextmanager
def s3() -> Iterator[Bucket]:
    """A server with an empty bucket, for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
    try:
        assert process.stdout is not None
        bucket = Bucket(process.stdout.readline().strip())
        httpx.put(f"{bucket.address}/studio", timeout=30, trust_env=False).raise_for_status()
        yield bucket
    finally:
        process.terminate()
        process.communicate(timeout=20)
