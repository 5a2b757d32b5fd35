"""The artifact store that clones and colleagues share: S3, Google Cloud Storage, Azure, or a folder, through obstore.

    <address>/sha256/ab/cdef…        clips, named by the sha256 of their bytes: the form of the local store
    <address>/frames/<sha256>.png    pictures that the gateway reads
    <address>/repositories/<id>      who has pushed here, so that nobody sweeps away what is another's

Laws
- An object appears whole or not at all, and is written once. Small ones are created only where there is none; large ones go in
  parts, after a look whether they are there: should two writers meet, both have checked that they write the same bytes.
- Bytes are hashed while they pass, in both directions. What does not fit its name is never stored and never handed on.
- Credentials are the environment's, in the form that the vendor's own tools read. Nothing of them is in an error.
- What obstore raises is translated here, and it blocks: each call runs in a thread, so that any event loop will do.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import anyio.to_thread

from manifest_runner.adapters.answers import printable
from manifest_runner.adapters.files import sync_name
from manifest_runner.adapters.frames import media_type
from manifest_runner.adapters.secrets import is_loopback
from manifest_runner.errors import MissingExtra, StoreError, UsageError
from manifest_runner.ports import Kept

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError
    from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store, from_url
    from obstore.store import LocalStore as Folder
except ImportError as missing:
    raise MissingExtra("s3", "an artifact store") from missing

T = TypeVar("T")

CLOUDS = ("s3", "gs", "az")
"""Schemes of addresses that can be signed, so that the gateway reads a picture without anybody's credentials."""

SIGNED_FOR = timedelta(hours=24)
"""How long the address of a published picture holds: a job may wait in the gateway's queue."""

_AT_ONCE = 8 * 1024 * 1024
"""Bytes up to which an object is sent in one request that fails where there is one of that name; also the size of a part. With
two parts on their way for each of the objects that move at once, that is what bounds the memory of a push."""

_TRIES = 3
_CHUNK = 1024 * 1024
_KEY = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{62})")
_STATUS = re.compile(r"status code: (\d{3}[A-Za-z ]*)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}
_CLIENT: dict[str, Any] = {"timeout": timedelta(hours=1), "connect_timeout": timedelta(seconds=10),
                           "user_agent": "manifest-runner"}
_RETRY: dict[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}


def open_shared(address: str, *, public: str | None = None, environ: Mapping[str, str] = os.environ) -> ObjectSharedStore:
    """The store at `address`: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///…`, or a folder's path. `public` is the
    address below which anybody can read the same objects. Raises `UsageError` for what is no such address."""
    parts = urlsplit(address)
    if parts.scheme not in CLOUDS:
        folder = _folder(address)
        return ObjectSharedStore(Folder(folder, mkdir=True), shown=str(folder), public=public, folder=folder)
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(f"{_plain(address)} is no address of a store", code="bad-store",
                         hint="s3://BUCKET/PREFIX; credentials stay in the environment")
    options = dict(_CLIENT)
    endpoint = environ.get("AWS_ENDPOINT_URL") or environ.get("AWS_ENDPOINT") or ""
    if parts.scheme == "s3" and endpoint.startswith("http://") and is_loopback(endpoint):
        options["allow_http"] = True
    try:
        store = from_url(address, client_options=options, retry_config=_RETRY)  # type: ignore[call-overload]
    except (BaseError, ValueError) as error:
        raise UsageError(f"{_plain(address)} cannot be used as a store: {_words(error)}", code="bad-store",
                         hint="credentials and region are read from the environment, as the vendor's own tools do") from None
    return ObjectSharedStore(store, shown=address.rstrip("/"), public=public)


class ObjectSharedStore:
    """`ports.SharedStore` and the published side of `ports.Frames`, over any store of obstore's."""

    def __init__(self, store: ObjectStore, *, shown: str, public: str | None = None, folder: Path | None = None) -> None:
        self._store = store
        self._shown = shown
        self._public = public
        self._folder = folder  # where objects are files that can be synced
        self._lasting: set[Path] = set()

    @property
    def shown(self) -> str:
        return self._shown

    async def size(self, sha256: str) -> int | None:
        """See `ports.SharedStore.size`."""
        return await self._in_thread(self._size, _key(sha256))

    async def fetch(self, sha256: str, size: int, to: Path | None) -> bool:
        """See `ports.SharedStore.fetch`. Where the way breaks off, it goes on where it stopped, a few times."""
        return await self._in_thread(self._fetch, sha256, size, to)

    async def put(self, sha256: str, source: Path, *, over: bool = False) -> bool:
        """See `ports.SharedStore.put`."""
        return await self._in_thread(self._put, sha256, source, over)

    async def listing(self) -> Sequence[Kept]:
        """See `ports.SharedStore.listing`; sorted by sha256. What is not named as objects are is not ours."""
        return await self._in_thread(self._listing)

    async def remove(self, names: Sequence[str]) -> None:
        """See `ports.SharedStore.remove`."""
        await self._in_thread(obstore.delete, self._store, [_key(name) for name in names])

    async def users(self, me: str | None = None) -> frozenset[str]:
        """See `ports.SharedStore.users`."""
        return await self._in_thread(self._users, me)

    async def publish(self, picture: bytes) -> str:
        """`ports.Frames`: the picture's address for the gateway, below the public address or signed for a day."""
        kind = media_type(picture)
        name = f"frames/{hashlib.sha256(picture).hexdigest()}.{_SUFFIXES[kind]}"
        return await self._in_thread(self._publish, name, picture, kind)

    def _size(self, key: str) -> int | None:
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def _fetch(self, digest: str, size: int, to: Path | None) -> bool:
        if to is None:
            return self._stream(digest, size, lambda _: None)
        whole = False
        try:
            with to.open("xb") as file:
                whole = self._stream(digest, size, file.write)
                file.flush()
                os.fsync(file.fileno())
            return whole
        finally:
            if not whole:
                to.unlink(missing_ok=True)

    def _stream(self, digest: str, size: int, write: Callable[[bytes], object]) -> bool:
        """Hand the object's bytes on as they come, from where they broke off if need be; False where there is none. Raises a
        `StoreError` that is `damaged` after the last of them where they are not what their name says."""
        hashed, done, fruitless = hashlib.sha256(), 0, 0
        while done < size:
            begun = done
            try:
                part = obstore.get(self._store, _key(digest), options={"range": {"offset": done}} if done else {})
                if part.meta["size"] != size:
                    raise _damaged(self._shown, digest)
                for chunk in part.stream(min_chunk_size=_CHUNK):
                    hashed.update(chunk)
                    write(chunk)
                    done += len(chunk)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return False
            except BaseError:
                fruitless = fruitless + 1 if done == begun else 0
                if fruitless == _TRIES:
                    raise
        if hashed.hexdigest() != digest:
            raise _damaged(self._shown, digest)
        return True

    def _put(self, digest: str, source: Path, over: bool) -> bool:
        key = _key(digest)
        if not over and self._size(key) is not None:
            return False
        try:
            if source.stat().st_size <= _AT_ONCE:
                content = source.read_bytes()
                if hashlib.sha256(content).hexdigest() != digest:
                    raise _damaged(str(source), digest)
                self._create(key, content, over=over)
            else:
                obstore.put(self._store, key, _checked(source, digest), chunk_size=_AT_ONCE, max_concurrency=2)
        except AlreadyExistsError:
            return False
        if self._folder is not None:
            self._sync(self._folder / key)
        return True

    def _sync(self, path: Path) -> None:
        """An object of a folder outlives a power cut, or nobody was told that it is there."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_name(path, self._lasting)

    def _create(self, key: str, content: bytes, *, over: bool = False, attributes: Any = None) -> None:
        """One request that fails where there is an object of that name, and where the store knows no such request, one that
        follows a look."""
        try:
            obstore.put(self._store, key, content, mode="overwrite" if over else "create", attributes=attributes,
                        use_multipart=False)
        except NotSupportedError:
            if self._size(key) is None or over:
                obstore.put(self._store, key, content, use_multipart=False)

    def _listing(self) -> Sequence[Kept]:
        found = []
        for page in obstore.list(self._store, prefix="sha256"):
            for meta in page:
                key = _KEY.fullmatch(meta["path"])
                if key is not None:
                    found.append(Kept(sha256=key[1] + key[2], bytes=meta["size"], written=meta["last_modified"].timestamp()))
        return sorted(found, key=lambda kept: kept.sha256)

    def _users(self, me: str | None) -> frozenset[str]:
        if me is not None and self._size(f"repositories/{me}") is None:
            with suppress(AlreadyExistsError):  # another run of the same repository was faster
                self._create(f"repositories/{me}", b"This repository keeps clips here.\n")
        names = {meta["path"].rpartition("/")[2] for page in obstore.list(self._store, prefix="repositories") for meta in page}
        return frozenset(names)

    def _publish(self, name: str, picture: bytes, kind: str) -> str:
        if self._size(name) is None:
            with suppress(AlreadyExistsError):  # another run publishes the same picture
                self._create(name, picture, attributes=None if self._folder is not None else {"Content-Type": kind})
        if self._public is not None:
            return f"{self._public.rstrip('/')}/{quote(name)}"
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            raise UsageError(f"the gateway cannot read what is in {self._shown}", code="frames-unreachable",
                             hint="name the address under which it is served: --store-url https://…")
        return obstore.sign(self._store, "GET", name, SIGNED_FOR)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work to its end beside the event loop, its errors in our words."""

        def work() -> T:
            with _translated(self._shown):
                return function(*arguments)

        return await anyio.to_thread.run_sync(work)


def _key(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest[2:]}"


def _checked(source: Path, digest: str) -> Iterator[bytes]:
    """The file's bytes; raises after the last ones, and before the store takes the object, where they are not what they should
    be."""
    hashed = hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(_AT_ONCE):
            hashed.update(chunk)
            yield chunk
    if hashed.hexdigest() != digest:
        raise _damaged(str(source), digest)


def _folder(address: str) -> Path:
    parts = urlsplit(address)
    if parts.scheme == "file" and not parts.netloc:
        folder = Path(unquote(parts.path)).absolute()
    elif "://" in address or not address.strip():
        raise UsageError(f"{_plain(address)} is no address of a store", code="bad-store",
                         hint=f"{', '.join(f'{scheme}://…' for scheme in CLOUDS)}, file:///…, or a folder")
    else:
        folder = Path(address).expanduser().absolute()
    if not folder.parent.is_dir():  # a disk that is not mounted, or a slip of the hand: no new store is made of it
        raise UsageError(f"there is no folder {folder.parent}", code="bad-store", hint="is the disk mounted?")
    return folder


def _plain(address: str) -> str:
    """An address without what may be a password."""
    return printable(re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", address, maxsplit=1)[0]), 120)


def _damaged(where: str, digest: str) -> StoreError:
    return StoreError(f"the bytes of sha256 {digest[:12]}… in {where} are others than that", damaged=True)


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreError(f"{shown} refuses: {_words(error)}",
                         hint="credentials are the environment's (AWS_ACCESS_KEY_ID and so on); may they read and write there?",
                         ) from None
    except FileNotFoundError as error:
        raise StoreError(f"{shown} is not there: {_words(error)}", hint="is the bucket's name right?") from None
    except (BaseError, OSError, ValueError) as error:
        raise StoreError(f"{shown} does not do what it is asked: {_words(error)}",
                         hint="run the same command again: what is done is not done twice") from None


def _words(error: BaseException) -> str:
    """What a store said, without addresses, headers and whatever else a body may hold."""
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        return printable(" ".join(part for part in (status[1].strip(), code[1] if code is not None else "") if part), 120)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(text.partition("\n")[0].rpartition(" - ")[2] or type(error).__name__, 160)
