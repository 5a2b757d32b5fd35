"""Writes the generated parts of the documentation.

    python docs/generate.py             docs/manifest.md, from schemas/manifest.schema.json and the model card
    python docs/generate.py --strip     docs/strip.png too, from the draft of manifests/monsoon.yaml, rendered if need be

Law: the same schema and card give the same bytes; a test holds docs/manifest.md equal to what `reference` returns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.schema import TEMPLATE, manifest_schema

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "manifest.md"
STRIP = ROOT / "docs" / "strip.png"
SHOW = "manifests/monsoon.yaml"
CLIPS = ROOT / "manifests" / "renders" / "monsoon.draft"
PICTURES = 12
LARGEST = 900_000
"""Bytes of the contact strip: it is fetched with the README."""

WIDTHS = (1600, 1520, 1440, 1280)
"""Pixels across; the first at which the strip is light enough."""

Rule = Mapping[str, Any]

INTRODUCTION = """\
# The manifest

<!-- Written by docs/generate.py. Change that file, or the schema, and run: make docs -->

A manifest is one sequence of a show: its shots, in the order of the cut, as YAML in git. This page is the reference. To begin,
type `manifest-runner init`, or read [`manifests/first.yaml`](../manifests/first.yaml) and
[`manifests/monsoon.yaml`](../manifests/monsoon.yaml).

```yaml
# yaml-language-server: $schema=../schemas/manifest.schema.json
version: 1
show: monsoon
model: kling-v3-omni
vars: {look: "35mm anamorphic, monsoon dusk"}
shots:
  - id: SH0010
    prompt: "The last tram stops. {{ look }}."
```

The first line gives an editor with a YAML language server completion, hover text and red underlines. The schema is
[`schemas/manifest.schema.json`](../schemas/manifest.schema.json); `manifest-runner schema` prints it.

In the tables below *required* stands in the place of a default. Any single value may be a template instead, but for
`version` and `include`.
"""

DEFAULTS = """\
## defaults

What every shot has unless it says otherwise. It may hold any key of a shot except `id` and `matrix`. A shot's own key replaces
the default whole; mappings such as `cut` are not merged key by key.

```yaml
defaults:
  resolution: 720p
  aspect_ratio: 16:9
  negative_prompt: text, watermark
```
"""

FRAMES = """\
A frame is written in one of three ways:

```yaml
first_frame: plates/bridge-in.png                     # a PNG or JPEG of the repository, relative to the manifest
first_frame: https://example.com/bridge.png           # a picture that the gateway fetches itself
first_frame: {shot: SH0010, frame: last}              # a frame of another shot: continuity
```

- A shot that takes a frame from another shot waits for that shot's clip, and is rendered again when that clip is. A circle of
  shots that wait for each other is an error.
- Without `take`, the frame comes from the circled take, or from the latest where none is circled.
- A picture file counts by its bytes: paint over it and the shots that use it are rendered again; rename it and they are not.
- How a picture of the repository reaches the gateway is the operator's setting `frames`; see
  [going live](going-live.md#pictures).
"""

TEMPLATES = """\
## Templates

The file is YAML before it is a template. So positions in messages are those of your file, and a value can never add a key or a
shot. Each string is a [Jinja](https://jinja.palletsprojects.com/) template of its own:

```yaml
vars:
  hero: Asha, thirties, red raincoat
  beat: 2
shots:
  - id: SH0010
    prompt: "{{ hero }} steps off the last tram."
    duration: "{{ beat * 2 }}"        # one whole expression keeps its type: this is the number 4
```

- **Names**: everything in `vars`, `vars` itself, `show`, `sequence`, `shot` (the shot's id), and in a shot with a matrix its
  axes. A name that is not there is an error, with the nearest name as a hint.
- **Vars may use one another**, in any order. A circle is an error.
- **A value that is one whole `{{ expression }}` keeps its type**: number, list, mapping, true or false. All else becomes text.
- **Jinja's filters, tests, `if`, `for` and macros** work. `random`, `pprint`, `attr`, `urlize` and `xmlattr` are taken out: the
  same manifest must give the same request.
- **Templates see data only.** There is no environment, clock, network or file but `*.j2` files of the repository, read by
  `{% include "looks/words.j2" %}` and `{% import "looks/words.j2" as words %}`, relative to the manifest.
- Start a value that begins with `{{` with a quote: `duration: "{{ beat }}"`. Without quotes YAML reads a mapping.

A manifest whose name ends in `.yaml.j2` is a template as a whole, rendered before it is read as YAML. It sees no `vars`: set
names with `{% set %}`. Messages then point into the rendered text, and say so. Prefer a plain manifest with a matrix.

## Include

`include` brings `vars` and `defaults` of other files of the repository, so that shows share a look:

```yaml
include: [looks/monsoon-dusk.yaml]
```

An included file holds `vars`, `defaults`, `include`, `version` and `note`, nothing else. Paths are relative to the file that
includes. Later files win over earlier ones, a file wins over what it includes, the manifest wins over all. A change in an
included file costs what it changes in the requests, and no more.

## Matrix

One written shot becomes one shot for each combination of its axes, the last axis fastest:

```yaml
- id: "SH0060-{{ weather }}-{{ lens }}"
  matrix:
    weather: [rain, mist]
    lens: [24mm, 85mm]
  prompt: "The bridge in {{ weather }}, {{ lens }}."
```

That is SH0060-rain-24mm, SH0060-rain-85mm, SH0060-mist-24mm, SH0060-mist-85mm. Name every axis in the id: two shots with one id
are an error. An axis may not be called `show`, `sequence`, `shot` or `vars`.

## Takes

`takes: 3` renders the same request three times, and pays for three. `circled: 2` names the take that goes into the reel and
gives its frames to other shots; without it that is the last take.

`manifest-runner retake` raises `takes`, and the takes that are there are kept; `manifest-runner circle` writes `circled`. Both
say what follows from it and what that costs ([choosing takes](editing.md#choosing-takes)). Circling another take costs nothing
for that shot, but the shots that take a frame from it are rendered again. So circle a take before you ask for more of a shot
that others follow.

## Cut

`cut` is what the edit uses of a clip. `manifest-runner reel` keeps to it. It is not part of the request: a new cut costs
nothing. The in and out points are seconds of the clip, exact to the frame; the out point is exclusive.
"""

YAML = """\
## YAML, strictly

Manifests are read as YAML 1.2, core schema. What surprises people in older YAML does not happen here, and what stays
ambiguous is an error with a position:

| written | read as |
|---|---|
| `aspect_ratio: 16:9` | the text 16:9 (YAML 1.1 reads 969) |
| `note: no` | the word no (YAML 1.1 reads false) |
| `010` | the number 10; octal is `0o10` |
| `2026-06-01` | text; there are no dates |
| `true`, `True`, `TRUE`, `null`, `~` | true, and nothing |
| `.nan`, `.inf`, a whole number of more than 20 digits | error |
| a key twice in one mapping | error, at the second key |
| a tag (`!!python/…`), a merge key (`<<`), a key that is a list or mapping | error |
| anchors and aliases (`&look`, `*look`) | allowed, until together they stand for more than 100,000 values |
| a control character, or a mark that changes the direction of text | error |

Not in a manifest, ever: the gateway's address, keys, callback addresses, the state folder, the account's budget. A manifest
arrives in pull requests; those are the [operator's settings](../README.md#settings).

## What counts as a change

A shot is rendered again when its *request* changes: the model and the parameters after templating, and the bytes of its
pictures. Comments, layout, key order, `note`, `title`, `cut`, a var that moves to another file, `3` written as `3.0`: none of
them costs anything. `manifest-runner plan` shows what does, before you pay.
"""


def reference() -> str:
    """The text of docs/manifest.md."""
    schema = json.loads((ROOT / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
    card = load_card(schema["properties"]["model"]["default"])
    tables = _Tables(card)
    top, shot = schema["properties"], schema["properties"]["shots"]["items"]
    sections = [
        INTRODUCTION,
        "## The top of the file\n\n" + tables.table(schema, skip=("defaults", "limits", "shots")),
        "## limits\n\n" + top["limits"]["description"] + " The operator may set tighter ones; the tighter one counts.\n\n"
        + tables.table(top["limits"]),
        DEFAULTS,
        f"## shots\n\nA list of 1 to {top['shots']['maxItems']:,} shots, in the order of the cut, matrix included. These keys "
        "are the program's own:\n\n" + tables.table(shot, skip=tuple(card.parameters)),
        f"These are the parameters of {card.title}, under the API's own names:\n\n"
        + tables.table(shot, only=tuple(card.parameters)) + "\n" + _price(card),
        "### first_frame and last_frame\n\n" + FRAMES + "\n" + _last_frame(card) + "\n"
        + tables.table(shot["properties"]["first_frame"]),
        "### cut\n\n" + tables.table(_form(shot["properties"]["cut"], "object")),
        "### camera\n\n" + _camera(card),
        TEMPLATES,
        YAML,
    ]
    return "\n".join(section.rstrip("\n") + "\n" for section in sections)


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Tables:
    """Tables of keys. What a pattern means is said in the words that the program uses in its messages."""

    def __init__(self, card: ModelCard) -> None:
        self._says = {rule["pattern"]: str(rule["x-says"]) for rule in _rules(manifest_schema(card, templates=False))
                      if "pattern" in rule and "x-says" in rule}

    def table(self, schema: Rule, *, skip: tuple[str, ...] = (), only: tuple[str, ...] | None = None) -> str:
        """One row for each key of a mapping."""
        rows = ["| key | value | default | meaning | example |", "|---|---|---|---|---|"]
        for key, rule in schema["properties"].items():
            if key in skip or (only is not None and key not in only):
                continue
            default = "*required*" if key in schema.get("required", ()) else _code(rule["default"]) if "default" in rule else ""
            example = f"`{key}: {_yaml(rule['examples'][0])}`" if rule.get("examples") else ""
            rows.append(f"| `{key}` | {self._value(key, rule)} | {default} | {rule.get('description', '')} | {example} |")
        return "\n".join(row.replace("  ", " ") for row in rows) + "\n"

    def _value(self, key: str, rule: Rule) -> str:
        if key == "camera":
            return "see [camera](#camera)"
        if key in ("first_frame", "last_frame"):
            return "path, address or mapping: see [frames](#first_frame-and-last_frame)"
        if key == "cut":
            return "mapping: see [cut](#cut)"
        rule = _form(rule)
        if "enum" in rule:
            return " or ".join(_code(value) for value in rule["enum"])
        kind = rule["type"]
        if kind in ("integer", "number"):
            return ("whole number" if kind == "integer" else "number") + _bounds(rule)
        if kind == "string":
            words = self._says.get(rule.get("pattern", ""))
            return "text" if words is None else f"text; it {words}"
        return {"array": "list of texts", "object": "mapping"}[kind]


def _rules(schema: Any) -> Iterator[Rule]:
    """Every mapping inside a schema."""
    if isinstance(schema, dict):
        yield schema
    for item in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _rules(item)


def _form(rule: Rule, kind: str | None = None) -> Rule:
    """A value's own form, without the one that any template may take."""
    forms = [form for form in rule.get("anyOf", [rule]) if form != TEMPLATE]
    return next(form for form in forms if kind is None or form.get("type") == kind)


def _bounds(rule: Rule) -> str:
    if "minimum" in rule and "maximum" in rule:
        return f", {rule['minimum']:,} to {rule['maximum']:,}"
    return f", from {rule['minimum']:,}" if "minimum" in rule else ""


def _yaml(value: Any) -> str:
    """A value as one would type it in a manifest, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return json.dumps(value) if isinstance(value, str) and ", " in value else str(value)


def _code(value: Any) -> str:
    return f"`{_yaml(value)}`"


# ── what the model card says ──────────────────────────────────────────────────────────────────────────────────────


def _price(card: ModelCard) -> str:
    price = card.price
    table = ", ".join(f"{each} at {name}" for name, each in price.table.items())
    free = " A take that fails costs nothing." if card.jobs.failures_are_free else ""
    return (f"A take costs its `{price.quantity}` times the credits a {price.unit}: {table}. One credit is {price.symbol}"
            f"{price.per_credit} at list price.{free}\n")


def _last_frame(card: ModelCard) -> str:
    rules = card.frames
    words = ["`last_frame` needs a `first_frame`"] if rules.last_requires_first else []
    if rules.last_duration is not None:
        words.append(f"the clip must last exactly {rules.last_duration} seconds")
    return f"{card.title}: {', and '.join(words)}.\n" if words else ""


def _camera(card: ModelCard) -> str:
    rules = card.camera
    lines = [
        "Three forms:\n",
        "```yaml",
        "camera: static                                  # a film word",
        "camera: {move: truck_right, amount: 4}          # a film word and how far, 0 to 10; 5 where nothing is said",
        "camera: {type: simple, config: {pan: 3}}        # the API's own object, sent untouched",
        "```\n",
        "| film word | becomes |",
        "|---|---|",
    ]
    for name, word in rules.words.items():
        along = f"`{word.axis}: {'' if word.sign > 0 else '-'}amount`"
        lines.append(f"| `{name}` | {f'the prompt says: {word.phrase}' if word.axis is None else along} |")
    lines += [
        f"\nThe API's axes are {_listed(rules.axes)}, {rules.minimum} to {rules.maximum}. Its documented types are",
        f"{_listed(rules.types)}. `{rules.type}` is documented with exactly",
        "one axis that is not 0; anything else is sent as it is, with a warning. Which word moves which axis, and which way,",
        f"is the model card's business: [`schemas/models/{card.name}.yaml`](../schemas/models/{card.name}.yaml).",
    ]
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────


def strip(to: Path) -> None:
    """A contact sheet of the draft: twelve shots of the cut, evenly spread, each by its middle frame."""
    from manifest_runner.adapters.cards import SlateWords  # the video extra
    from manifest_runner.adapters.reel_segments import Segment
    from manifest_runner.adapters.sheet import Sheet, contact_sheet
    from manifest_runner.cli.project import Project

    manifest = Project(str(ROOT / SHOW), {}, draft=True).load().manifest
    clips = {shot.id: CLIPS / f"{shot.id}_t{shot.cut_take}.mp4" for shot in manifest.shots}
    if not all(clip.is_file() for clip in clips.values()):
        subprocess.run([sys.executable, "-m", "manifest_runner", "render", SHOW, "--draft"], cwd=ROOT, check=True)
    chosen = [manifest.shots[round(index * (len(clips) - 1) / (PICTURES - 1))] for index in range(PICTURES)]
    segments = [Segment(clip=clips[shot.id], start=shot.cut.start, end=shot.cut.end, name=shot.id,
                        slate=SlateWords(shot=shot.id, facts=(("take", str(shot.cut_take)),), prompt=shot.prompt))
                for shot in chosen]
    for width in WIDTHS:
        contact_sheet(segments, to, Sheet(title=manifest.title, facts=f"{manifest.show} · {manifest.sequence}",
                                          dots=width * 25.4 / 297))
        if to.stat().st_size <= LARGEST:
            return
    raise SystemExit(f"{to.name} has {to.stat().st_size:,} bytes at {WIDTHS[-1]} pixels; {LARGEST:,} are allowed")


def main(arguments: list[str]) -> None:
    REFERENCE.write_text(reference(), encoding="utf-8")
    print(f"wrote {REFERENCE.relative_to(ROOT)}")
    if "--strip" in arguments:
        strip(STRIP)
        print(f"wrote {STRIP.relative_to(ROOT)}, {STRIP.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
