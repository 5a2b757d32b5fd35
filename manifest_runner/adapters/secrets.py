"""The API key: where it comes from, what it may look like, and how it is kept out of everything that is written.

Laws
- The key lives in a `Secret` from the moment it is read. Only the gateway calls `reveal`.
- No message of this module shows the key, whole or in part.
- What is written about a fault of this program passes `without_secrets`, since nobody knows what it may hold.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from manifest_runner.adapters.redaction import Redactor
from manifest_runner.errors import UsageError

KEY_VARIABLE = "TRINETRA_API_KEY"
_LONGEST_KEY = 4096
_known: set[str] = set()  # every secret of this process, for `without_secrets`
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Secret:
    """A value that shows itself to nobody who does not ask for it by name.

    Printable ASCII without spaces only, which is what an HTTP header can carry unchanged; anything else is a `UsageError`
    here, before a library can quote it in an error of its own.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        if not 0 < len(value) <= _LONGEST_KEY or not all("!" <= character <= "~" for character in value):
            raise UsageError("the API key is empty, too long, or holds spaces, control characters or non-ASCII letters",
                             code="bad-key", hint=f"copy it again, without quotes or line breaks, into {KEY_VARIABLE}")
        self.__value = value
        _known.add(value)

    def reveal(self) -> str:
        """The value itself."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, spec: str) -> str:
        return "***"

    def __getstate__(self) -> NoReturn:  # what every kind of copying and pickling asks for
        raise TypeError("a secret is not copied or pickled")


def keep_hidden(value: str) -> None:
    """A secret that lives elsewhere, such as the password of a database: reports are written without it."""
    _known.add(value)


def without_secrets(text: str) -> str:
    """`text` without any secret that this process has held."""
    return Redactor(*sorted(_known))(text)


def read_key(environ: Mapping[str, str], key_file: Path | None) -> Secret | None:
    """The API key from the operator's file or else from `TRINETRA_API_KEY`; None where neither is given.

    One trailing line break is forgiven. The file may be a pipe (`--key-file <(pass show gateway)`). Raises `UsageError` for
    a file that cannot be read and for a key that no header can carry.
    """
    if key_file is None:
        value = environ.get(KEY_VARIABLE, "")
        return Secret(_without_line_break(value)) if value else None
    try:
        with key_file.open("rb") as file:
            content = file.read(_LONGEST_KEY + 3)  # the longest key, its line break, and one byte too many
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise UsageError(f"the key file {key_file} cannot be read: {reason}", code="key-file") from None
    return Secret(_without_line_break(content.decode("latin-1")))


def _without_line_break(value: str) -> str:
    return value.removesuffix("\n").removesuffix("\r")


def normal_address(base_url: str) -> str:
    """The gateway's address in one spelling: lower-case scheme and host, no default port, no trailing slash.

    Raises `UsageError` for anything but http and https, and for addresses that carry credentials, a query or a fragment.
    """
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port
    except ValueError:
        raise _bad_address("is not an address") from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _DEFAULT_PORTS or not host:
        raise _bad_address("must start with https:// (or http://) and name a host")
    if parts.username is not None or parts.password is not None:
        raise _bad_address("must not carry a user name or password")
    if parts.query or parts.fragment:
        raise _bad_address("must not carry a query or a fragment")
    if not base_url.isascii() or any(character <= " " for character in base_url.strip()):
        raise _bad_address("must be plain ASCII without spaces")
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}"
    return f"{scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def gateway_address(base_url: str) -> str:
    """`normal_address` of a gateway that a key may be sent to: raises `UsageError` for plain http to another machine, too."""
    address = normal_address(base_url)
    if address.startswith("http://") and not is_loopback(address):
        raise UsageError("the gateway's address is plain http to another machine: the key could be read on the way",
                         code="plain-http", hint="write https://")
    return address


def is_loopback(address: str) -> bool:
    """Whether a web address stays on this machine. False for what is no address at all."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def account_of(base_url: str, key: Secret) -> str:
    """A name for the account that a key opens at a gateway: 16 hex digits from which the key cannot be had back.

    Limits and reservations are shared by everything that has the same name.
    """
    key_hash = hashlib.sha256(key.reveal().encode()).hexdigest()
    return hashlib.sha256(f"{normal_address(base_url)}\0{key_hash}".encode()).hexdigest()[:16]


def _bad_address(what: str) -> UsageError:
    return UsageError(f"the gateway's address {what}", code="bad-address", hint="for example https://brahmand-api.bulletshorts.co")
