"""The address of a team's ledger, and what of it may be shown.

Laws: what is shown is hosts and database and nothing else; a password in it is known to `secrets`, which keeps it out of
reports.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from manifest_runner.adapters.redaction import SHOWN
from manifest_runner.adapters.secrets import keep_hidden
from manifest_runner.errors import UsageError

_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")
_ELSEWHERE = ("PGHOST", "PGHOSTADDR", "PGSERVICE")
"""Variables by which libpq finds a host where the address names none."""


@dataclass(frozen=True, slots=True)
class TeamAddress:
    """A PostgreSQL URL, as libpq reads it. `shown` is for people; `hidden` are the texts that nobody must see."""

    url: str = field(repr=False)
    shown: str
    hidden: tuple[str, ...] = field(repr=False)
    is_local: bool
    names_hosts: bool = True

    @classmethod
    def of(cls, url: str, origin: str = "") -> TeamAddress:
        """Raises `UsageError`, which does not quote it, for what is no such address."""
        said = f" ({origin})" if origin else ""
        try:
            parts = urlsplit(url)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        except ValueError:
            raise _bad(said) from None
        if parts.scheme not in _SCHEMES or not url.isprintable() or not url.startswith(f"{parts.scheme}://") or parts.fragment:
            raise _bad(said)
        user, _, hosts = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        hidden = _hide([password, *(query[name] for name in _SECRETS if name in query)])
        places = query.get("hostaddr") or query.get("host") or hosts
        database = unquote(parts.path.lstrip("/")) or query.get("dbname", "") or unquote(name) or "default"
        is_local = "service" not in query and all(map(_is_local, _names(places)))
        return cls(url, f"{unquote(places) or 'localhost'}/{database}", hidden, is_local, bool(places))


def redacted(value: str) -> str:
    """What may be shown of a text that should be such an address, whatever it is."""
    try:
        address = TeamAddress.of(value)
    except UsageError:
        return SHOWN if value else ""
    return f"postgresql://{address.shown}"


def is_encrypted_by_choice(address: TeamAddress, environ: Mapping[str, str]) -> bool:
    """Whether somebody has said how the connection is encrypted, so that nothing needs to be added."""
    local = address.is_local and (address.names_hosts or not any(name in environ for name in _ELSEWHERE))
    return local or "PGSSLMODE" in environ or "sslmode" in parse_qs(urlsplit(address.url).query)


def _bad(said: str) -> UsageError:
    return UsageError(f"the team's ledger{said} is no address of a database", code="bad-ledger",
                      hint="postgresql://USER@HOST/DATABASE?sslmode=verify-full; the password belongs into ~/.pgpass")


def _hide(passwords: list[str]) -> tuple[str, ...]:
    found = {text for password in passwords if password for text in (password, unquote(password))}
    for text in found:
        keep_hidden(text)
    return tuple(sorted(found))


def _names(hosts: str) -> list[str]:
    """The hosts of a list with ports: `a:5432,[::1]:5433,/run/socket`."""
    return [host[1:].partition("]")[0] if host.startswith("[") else host if host.startswith("/") else host.partition(":")[0]
            for host in unquote(hosts).split(",")]


def _is_local(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
