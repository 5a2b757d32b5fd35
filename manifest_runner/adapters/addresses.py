"""Which addresses of a stranger may be connected to, and how they are shown.

An output's address comes from outside, so it may point at this machine, at its network, or at the metadata service of its
cloud. What counts is the IP address in the end, never its spelling.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import anyio

from manifest_runner.adapters.answers import printable

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")  # IPv4 behind NAT64: the last 32 bits are the address that is reached
_SIX_TO_FOUR = IPv6Network("2002::/16")


def shown(url: str) -> str:
    """An address as it may be shown: without its query, which is where signatures are."""
    return printable(re.sub(r"//[^/@?#]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0]), 200)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, judged by where its packets end up: addresses that wrap an IPv4
    address (mapped, NAT64) count as that one, and tunnels (6to4, Teredo) as none."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        wrapped = ip.ipv4_mapped or (IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _TRANSLATED else None)
        if wrapped is None:
            return ip in _GLOBAL_UNICAST and ip.is_global and ip not in _SIX_TO_FOUR
        ip = wrapped
    return ip.is_global and not ip.is_multicast


def is_plainly_local(host: str) -> bool:
    """Whether a host can be seen to be local without asking anybody: such a host is never left to a proxy to resolve."""
    try:
        return not is_public(socket.inet_ntoa(socket.inet_aton(host)))  # takes decimal, octal and short forms as resolvers do
    except OSError:
        host = host.rstrip(".")  # a name may end with the root's dot
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or (
            ":" in host and not is_public(host))


async def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host, in the system's order of preference. Raises `OSError`."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
