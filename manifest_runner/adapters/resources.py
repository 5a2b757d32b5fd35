"""The files that come with the program: model cards, JSON Schemas, and the parts of the review page.

In an installed wheel the first two lie in `manifest_runner/schemas`; in a checkout, in `schemas` at its top. The page's parts
lie beside the view that joins them, in both. This is the only module that knows.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from manifest_runner.core import parsing
from manifest_runner.core.explain import suggestion
from manifest_runner.core.modelcard import ModelCard, card_from_data
from manifest_runner.errors import UsageError

_PACKAGE = Path(__file__).resolve().parents[1]


def read_text(name: str) -> str:
    """The text of a file that comes with the program, such as `manifest.schema.json` or `models/kling-v3-omni.yaml`.

    Raises UsageError where there is none of that name.
    """
    folder = _folder()
    path = folder / name
    if not path.resolve().is_relative_to(folder) or not path.is_file():
        raise UsageError(f"{name} is not part of this installation", code="no-resource", hint="install manifest-runner again")
    return path.read_text(encoding="utf-8")


def page_part(name: str) -> str:
    """The text of a part of the review page (`views.report.PARTS`), its lines ended by line feeds alone."""
    return (_PACKAGE / "views" / "page" / name).read_text(encoding="utf-8")


def model_names() -> tuple[str, ...]:
    """The names of all models that there is a card for, sorted."""
    return tuple(sorted(path.stem for path in (_folder() / "models").glob("*.yaml")))


@lru_cache(maxsize=8)
def load_card(name: str) -> ModelCard:
    """The card of a model, read once. Raises UsageError, naming the models there are, and InvalidInput for a broken card."""
    known = model_names()
    if name not in known:
        raise UsageError(f"no model is called {name}", code="unknown-model",
                         hint=suggestion(name, known) or f"known: {', '.join(known)}")
    file = f"models/{name}.yaml"
    return card_from_data(parsing.parse(read_text(file), path=file).data, source=file, known_good=True)


def card_path(name: str) -> Path:
    """The file of a model's card, for whoever must know when it changes."""
    return _folder() / "models" / f"{name}.yaml"


def _folder() -> Path:
    installed = _PACKAGE / "schemas"
    return installed if installed.is_dir() else _PACKAGE.parent / "schemas"
