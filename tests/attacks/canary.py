"""Looks for a secret in bytes, in every form in which a program might have written it without knowing."""

from __future__ import annotations

import base64
import gzip
import html
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms(secret: str) -> dict[str, bytes]:
    """The forms of a secret by name. Of base64, what does not depend on what stands before or after it."""
    raw = secret.encode()
    found = {
        "raw": raw, "upper": raw.upper(), "lower": raw.lower(), "other case": raw.swapcase(), "backwards": raw[::-1],
        "url": quote(secret).encode(), "url, all": quote(secret, safe="").encode(), "url, form": quote_plus(secret).encode(),
        "url, lower": quote(secret, safe="").lower().encode(), "url, twice": quote(quote(secret, safe=""), safe="").encode(),
        "url, every letter": "".join(f"%{one:02X}" for one in raw).encode(),
        "json": json.dumps(secret)[1:-1].encode(), "json, slashes": json.dumps(secret)[1:-1].replace("/", "\\/").encode(),
        "json, every letter": "".join(f"\\u{one:04x}" for one in raw).encode(), "html": html.escape(secret).encode(),
        "html, numbers": "".join(f"&#{one};" for one in raw).encode(), "c": "".join(f"\\x{one:02x}" for one in raw).encode(),
        "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "hex, spaced": raw.hex(" ").encode(),
        "utf-16-le": secret.encode("utf-16-le"), "utf-16-be": secret.encode("utf-16-be"),
    }
    for before in range(3):
        start, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found[f"base64 {before}"] = base64.b64encode(b"\0" * before + raw + b"\0\0")[start:end]
        found[f"base64 url-safe {before}"] = base64.urlsafe_b64encode(b"\0" * before + raw + b"\0\0")[start:end]
    return {name: form for name, form in found.items() if form}


def found_in(content: bytes, secret: str) -> set[str]:
    """The names of the forms that stand in `content`, or in what is packed within it."""
    names = {name for name, form in forms(secret).items() if form in content}
    for packed in _unpacked(content):
        names |= {f"packed {name}" for name, form in forms(secret).items() if form in packed}
    return names


def _unpacked(content: bytes) -> Iterator[bytes]:
    for magic, bits in ((b"\x1f\x8b\x08", 31), (b"\x78\x01", 15), (b"\x78\x9c", 15), (b"\x78\xda", 15)):
        start = content.find(magic)
        while start >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj(bits).decompress(content[start:], 10_000_000)
            start = content.find(magic, start + 1)


def leaks(secret: str, texts: Mapping[str, str | bytes], *folders: Path, but: Path | None = None) -> dict[str, set[str]]:
    """Where a secret is found: in texts, in names and bytes of files below `folders` (links are not followed)."""
    places = {name: text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text for name, text in texts.items()}
    for folder in folders:
        for path in folder.rglob("*"):
            if path != but:
                places[f"{path} (name)"] = bytes(path)
                if path.is_file() and not path.is_symlink():
                    places[str(path)] = path.read_bytes()
    return {place: names for place, content in places.items() if (names := found_in(content, secret))}


def packed(secret: str) -> bytes:
    """A secret as gzip."""
    return gzip.compress(f"a {secret} b".encode(), mtime=0)
