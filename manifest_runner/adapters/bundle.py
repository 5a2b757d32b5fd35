"""Everything that a manifest is made from, in one file: what goes with an order to the machine that carries it out.

Laws: the same files give the same bytes; what is unpacked was judged name by name and lies below the folder; nothing of it is a
link, a program or longer than a manifest may name.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from manifest_runner.adapters.files import LARGEST_INPUT
from manifest_runner.errors import UsageError

_LARGEST_LOCKFILE = 256 * 1024 * 1024
LARGEST_IN_ALL = 2 * 1024**3
"""Bytes of all files of a bundle."""

_MOST = 100_000


def pack(files: Mapping[str, bytes]) -> bytes:
    """An archive of files by their paths from the repository's root, with `/` between."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 6)  # its time is 1980
    return packed.getvalue()


def unpack(archive: Path, folder: Path) -> None:
    """The files of an archive in the new folder `folder`. Raises `UsageError` for one that `pack` would not have made."""
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > _MOST or size > LARGEST_IN_ALL or not all(map(_is_sound, members)):
                raise UsageError("a bundle of an order holds what no manifest is made from", code="bad-order")
            folder.mkdir(parents=True)
            # Whatever looks for the repository's root stops here, wherever this lies.
            (folder / ".git").mkdir()
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(packed.read(member))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UsageError(f"a bundle of an order cannot be read: {error}", code="bad-order") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}", code="state-folder") from None


def _is_sound(member: zipfile.ZipInfo) -> bool:
    name = member.filename
    path = PurePosixPath(name)
    most = _LARGEST_LOCKFILE if name.endswith(".lock.json") else LARGEST_INPUT
    return (name == str(path) and not path.is_absolute() and name.isprintable() and "\\" not in name and ":" not in name
            and not any(part in ("..", ".") or part.lower() == ".git" for part in path.parts) and member.file_size <= most)
