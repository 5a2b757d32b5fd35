"""Reads a manifest and the files it includes, and says who wins.

Laws: later includes override earlier ones, a file overrides what it includes, and the manifest overrides all. Every file
goes through the `Sources` that the caller gave, which keeps paths inside the repository, and every file read is in `inputs`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol

from manifest_runner.core.model import Diagnostic, Document, Json, Pointer
from manifest_runner.core.origins import Layer, Written, json_pointer
from manifest_runner.core.parsing import decode, locate, parse
from manifest_runner.core.templating import EngineMaker, Templates
from manifest_runner.errors import InvalidInput, UsageError

MAX_INCLUDES = 100
"""Files that one manifest may include, and how deep they may include one another."""

RESERVED = frozenset(("show", "sequence", "shot", "vars"))
"""Names that templates have anyway; no var and no axis may take them."""

_INCLUDED_KEYS = frozenset(("vars", "defaults", "include", "version", "note"))


class Sources(Protocol):
    """What a manifest needs of the file system."""

    def read(self, path: str) -> bytes:
        """The bytes of a file, by its path relative to the manifest's folder, with forward slashes.

        Raises `UsageError` for what is missing or lies outside the repository.
        """
        ...


class Reader:
    """Reads the files of one manifest, and collects what is wrong with them."""

    def __init__(self, path: str, sources: Sources, make_engine: EngineMaker) -> None:
        self._folder = posixpath.dirname(path)
        self._sources = sources
        self._layers: dict[str, Layer] = {}
        self.templates = Templates(files=self._template, make_engine=make_engine)
        self.inputs: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.diagnostics: list[Diagnostic] = []

    def document(self, data: bytes, *, path: str) -> Document:
        """The document in a file's bytes; `path` is the shown one. Raises `InvalidInput`."""
        self.inputs[path] = sha256(data).hexdigest()
        text = decode(data, path=path)
        self.texts[path] = text
        if not path.endswith((".yaml.j2", ".yml.j2")):
            return parse(text, path=path)
        rendered, path = self.templates.render_file(text, path=path), f"{path} (rendered)"
        self.texts[path] = rendered
        return parse(rendered, path=path, rendered=True)

    def layer(self, document: Document, *, at: str, chain: tuple[str, ...] = ()) -> Layer:
        """The vars and defaults of `document` over those it includes. `at` is its path from the manifest's folder."""
        layer = Layer()
        for entry, pointer in _entries(document.data.get("include")):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(at), entry))
            below = self._included(document, pointer, name, (*chain, at))
            layer.vars.update(below.vars)
            layer.defaults.update(below.defaults)
        for name, value in _items(document.data.get("vars")):
            if name in RESERVED:
                hint = f"templates have {name} already: take another name"
                message = f"{name} cannot be the name of a var"
                self.problem("reserved-name", message, document, ("vars", name), key=True, hint=hint)
                continue
            layer.vars[name] = Written(value=value, document=document, pointer=("vars", name))
        for name, value in _items(document.data.get("defaults")):
            layer.defaults[name] = Written(value=value, document=document, pointer=("defaults", name))
        return layer

    def problem(self, code: str, message: str, document: Document, pointer: Pointer, *, hint: str | None = None,
                key: bool = False) -> None:  # fmt: skip
        """Adds a diagnostic at `pointer` of `document`."""
        source = locate(document, pointer, key=key)
        self.diagnostics.append(
            Diagnostic(code=code, message=message, hint=hint, source=source, pointer=json_pointer(pointer))
        )

    def _template(self, name: str) -> str:
        """The text of a `*.j2` file for `{% include %}` and `{% import %}`. Raises `UsageError`."""
        data = self._sources.read(name)
        path = posixpath.normpath(posixpath.join(self._folder, name))
        self.inputs[path] = sha256(data).hexdigest()
        try:
            text = decode(data, path=path)
        except InvalidInput as error:
            raise UsageError(error.diagnostics[0].message) from error
        self.texts[path] = text
        return text

    def _included(self, document: Document, pointer: Pointer, name: str, chain: tuple[str, ...]) -> Layer:
        """The layer of the file `name`; an empty one, and a diagnostic, where it cannot be used."""
        if name in chain:
            way = " → ".join((*chain[chain.index(name) :], name))
            hint = "remove one of these includes"
            self.problem("include-cycle", f"files include one another: {way}", document, pointer, hint=hint)
        elif name not in self._layers and len(self._layers) >= MAX_INCLUDES:
            self.problem("include-cycle", f"more than {MAX_INCLUDES} files are included", document, pointer)
        else:
            if name not in self._layers:
                self._layers[name] = Layer()  # so that a file that fails is reported once
                self._layers[name] = self._read(document, pointer, name, chain)
            return self._layers[name]
        return Layer()

    def _read(self, document: Document, pointer: Pointer, name: str, chain: tuple[str, ...]) -> Layer:
        path = posixpath.normpath(posixpath.join(self._folder, name))
        try:
            included = self.document(self._sources.read(name), path=path)
        except UsageError as error:
            hint = error.hint or "write the path relative to this file, with forward slashes, inside the repository"
            self.problem("include-not-found", f"cannot include {name}: {error.message}", document, pointer, hint=hint)
            return Layer()
        except InvalidInput as error:
            self.diagnostics.extend(error.diagnostics)
            return Layer()
        if not isinstance(included.data, dict):
            hint = "begin it with vars: or defaults:"
            self.problem("include-key", "an included file holds vars and defaults", included, (), hint=hint)
            return Layer()
        self._check_shape(included)
        return self.layer(included, at=name, chain=chain)

    def _check_shape(self, included: Document) -> None:
        """What the manifest's schema never sees, because only vars and defaults of an included file are used."""
        for key, value in included.data.items():
            if key not in _INCLUDED_KEYS:
                hint = "an included file holds vars, defaults and include; the rest stands in the manifest"
                self.problem("include-key", f"{key} cannot stand in an included file", included, (key,), key=True, hint=hint)
            elif key in ("vars", "defaults") and not isinstance(value, dict | None):
                hint = "write name: value below it"
                self.problem("include-key", f"{key} must hold names and values", included, (key,), hint=hint)


def _entries(include: Json) -> Iterator[tuple[str, Pointer]]:
    """The paths of an `include`, with their pointers. Other shapes are the schema's business."""
    if isinstance(include, str):
        yield include, ("include",)
    elif isinstance(include, list):
        for number, entry in enumerate(include):
            if isinstance(entry, str):
                yield entry, ("include", number)


def _items(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from value.items()
