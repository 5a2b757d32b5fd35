"""A transport for questions that costs a third of httpx's own (extra `[fast]`), where it may be used.

Submissions never travel by it: they wait for their moment with a connection in hand, which only httpx's own transport tells of.
What travels by it is a GET, which changes nothing, so a transport that repeats one by itself does no harm.
"""

from __future__ import annotations

import ssl
import urllib.request
from importlib.util import find_spec

import httpx


def is_there() -> bool:
    """Whether the extra is installed."""
    try:
        return all(find_spec(name) is not None for name in ("httpx_aiohttp", "aiohttp"))
    except ValueError:  # one of them is kept from being imported
        return False


def quick_transport(tls: ssl.SSLContext, *, local: bool, connections: int, idle: float) -> httpx.AsyncBaseTransport | None:
    """The transport, for an asyncio loop that runs; None where httpx's own is to be used: without the extra, on another event
    loop, or where the environment names a proxy and the gateway is not on this machine (`local`).

    `tls` is what certificates are checked against, `connections` how many are held at most, and `idle` the seconds after which
    one that is not used is closed.
    """
    if not is_there() or not _on_asyncio() or (urllib.request.getproxies() and not local):
        return None
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=idle, ssl=tls)
    # No cookie is kept, none is sent; and nothing of the environment counts here.
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
    return AiohttpTransport(verify=tls, client=session)


def _on_asyncio() -> bool:
    import asyncio  # where it is the loop that runs, it is there

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
