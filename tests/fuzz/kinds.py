"""The kinds of input, each a function from chance to a `Case`. A new kind is one function with `@kind`.

Laws: the same name gives the same case (nothing but its `Random` decides); a case is only data: files below a folder, and the
words of a command as a person would type them there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.schema import manifest_schema
from manifest_runner.core.sheet_text import ENCODINGS
from manifest_runner.core.shotlist_columns import NAMES
from tests.fuzz import shapes
from tests.fuzz.shapes import Pairs, Raw, bend_bytes, bend_lines, hostile, json_written, mutate, tree_of, yaml_text

Data = bytes  # below, `bytes` is a kind
PICTURE = b"\x89PNG\r\n\x1a\n and so on"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input: files by path below the repository, the command line, and whether a key is at hand."""

    name: str
    files: Mapping[str, bytes]
    arguments: tuple[str, ...]
    keyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a kind makes: the files, and the commands of which chance takes one."""

    files: Mapping[str, bytes]
    commands: tuple[tuple[str, ...], ...]
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    weight: float
    make: Callable[[Random], Made]
    tags: tuple[str, ...] = field(default=())


KINDS: dict[str, Kind] = {}


def kind(weight: float) -> Callable[[Callable[[Random], Made]], Callable[[Random], Made]]:
    """Enter a function into the table; `weight` is its share of a run."""

    def enter(make: Callable[[Random], Made]) -> Callable[[Random], Made]:
        KINDS[make.__name__] = Kind(weight, make)
        return make

    return enter


def case_of(name: str) -> Case:
    """The case called SEED:KIND:NUMBER."""
    _, which, _ = name.split(":")
    random = Random(name)
    made = KINDS[which].make(random)
    return Case(name=name, files=made.files, arguments=random.choice(made.commands), keyed=made.keyed)


def names(seed: int, count: int, only: tuple[str, ...] = ()) -> list[str]:
    """The names of a run's cases, in order."""
    chosen = {name: entry for name, entry in KINDS.items() if not only or name in only}
    random = Random(f"{seed}:names")
    drawn = random.choices(list(chosen), [entry.weight for entry in chosen.values()], k=count)
    return [f"{seed}:{which}:{number}" for number, which in enumerate(drawn)]


# ── manifests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LOOKING = (("validate", "show.yaml"), ("validate", "show.yaml", "--json"), ("plan", "show.yaml"),
           ("plan", "show.yaml", "--json"),
           ("plan", "show.yaml", "--exit-code", "-v"), ("lock", "show.yaml", "--check"), ("status", "show.yaml"),
           ("status", "show.yaml", "--json"), ("graph", "show.yaml", "--pictures"), ("graph", "show.yaml", "--format", "dot"),
           ("graph", "show.yaml", "--format", "mermaid"), ("export", "show.yaml", "--csv"),
           ("circle", "show.yaml", "SH0010:1", "--force", "--dry-run"),
           ("retake", "show.yaml", "SH0010", "--dry-run", "--json"))


@kind(44)
def manifests(random: Random) -> Made:
    """Grammar first, mutations after; nothing in them needs the process that computes templates, or next to nothing."""
    return _manifest(random, computed=False)


@kind(3)
def templates(random: Random) -> Made:
    """The same with expressions, loops, includes of `*.j2` and whole-file templates."""
    return _manifest(random, computed=True)


@kind(0.02)
def bombs(random: Random) -> Made:
    """Templates that would compute, grow or recurse for ever."""
    text = random.choice(("{{ range(10**9) | list }}", "{{ 'a' * 10**9 }}", "{{ 2 ** (2 ** 33) }}",
                          "{{ (9 ** 9 ** 9) | string }}",
                          "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3,
                          "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ 'x' | center(999999999) }}",
                          "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
                          "{{ " + "(" * 3000 + ")" * 3000 + " }}",
                          "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' | wordwrap(1) * 99999999 }}", "{{ " + "not " * 5000 + "1 }}"))
    tree = _grammar(random, computed=False)
    mutate(random, tree, 2, lambda _: text)
    head = "version: 1\nshow: x\nmodel: kling-v3-omni\nshots: [{id: a, prompt: '{{ b }}'}]\n"
    body = f"{head}vars: {{b: {json.dumps(text)}}}\n" if random.random() < 0.7 else yaml_text(random, tree)
    return Made(files={**_surroundings(random), "show.yaml": _encoded(body)}, commands=LOOKING[:4])


def _manifest(random: Random, *, computed: bool) -> Made:
    tree = _grammar(random, computed=computed)
    draw = random.random()
    if draw > 0.2:
        tree = mutate(random, tree, random.choice((0, 1, 1, 1, 1, 2, 4)))
    text = yaml_text(random, tree)
    if draw > 0.8:
        text = bend_lines(random, text, random.choice((1, 1, 2, 5)))
    files = {**_surroundings(random), "show.yaml": _encoded(text)}
    commands = LOOKING
    if computed and random.random() < 0.2:
        files["gen.yaml.j2"] = _encoded(_whole_file(random, text))
        commands = tuple(tuple("gen.yaml.j2" if word == "show.yaml" else word for word in words) for words in LOOKING)
    return Made(files=files, commands=commands)


@cache
def _vocabulary() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys of a manifest and of a shot, as the schema has them."""
    properties: Any = manifest_schema(load_card("kling-v3-omni"), templates=True)["properties"]
    return tuple(properties), tuple(properties["shots"]["items"]["properties"])


EXPRESSIONS = ("{{ beat * 2 }}", "{{ hero | upper }}", "{{ look[0] }}", "{{ hero ~ look }}",
               "{% if beat > 1 %}a{% else %}b{% endif %}",
               "{% for n in range(3) %}{{ n }}{% endfor %}", "{% include 'looks/words.j2' %}", "{{ nobody | default('x') }}",
               "{{ beat / 0 }}", "{{ hero.__class__.__mro__ }}", "{{ [1, 2] | tojson }}", "{{ '%s' | format(hero) }}",
               "{{ beat",
               "{{ {'a': beat} }}", "{% import 'looks/words.j2' as w %}{{ w }}", "{{ 10 ** 400 }}", "{{ 'x' * 3000 }}",
               "{{ none }}",
               "{% include '../../etc/passwd' %}", "{{ look.split() }}", "{{ '\\x1b[2J' }}", "{{ '\\u202e' }}",
               "{{ 1e308 * 10 }}")


def _grammar(random: Random, *, computed: bool) -> Pairs:
    """A manifest that is right, or nearly."""
    top_keys, _ = _vocabulary()
    ids = [f"SH{10 * number:04}" for number in range(1, random.choice((1, 2, 3, 3, 5, 12)) + 1)]
    values: dict[str, Any] = {
        "version": 1, "show": random.choice(("monsoon", "x", "a.b-c")), "sequence": "SQ010", "title": "One more for the bridge",
        "note": random.choice(("two\nlines", "{{ hero }}")), "model": "kling-v3-omni",
        "vars": Pairs([["hero", "Asha, red raincoat"], ["look", "dusk"], ["beat", 2],
                       *([["more", "{{ hero }} at dusk"],
                          ["deep", Pairs([["a", [1, "{{ look }}"]]])]] if random.random() < 0.3 else [])]),
        "include": ["looks/noir.yaml"] if random.random() < 0.5 else [],
        "defaults": Pairs([pair for pair in ([["resolution", random.choice(("720p", "1080p"))],
                                              ["duration", random.randint(1, 15)],
                           ["aspect_ratio", Raw("16:9")], ["negative_prompt", "text"]]) if random.random() < 0.5]),
        "limits": Pairs([["concurrency", 8], ["rate", "30/min"], ["credits", 5000]]),
        "output": random.choice(("renders/x", "out", "renders")),
        "shots": [_shot(random, name, ids[:index], computed) for index, name in enumerate(ids)],
    }
    must = ("version", "show", "model", "vars", "shots")
    keys = [key for key in top_keys if key in must or random.random() < 0.4]
    return Pairs([[key, values.get(key, hostile(random))] for key in keys])


def _shot(random: Random, name: str, earlier: list[str], computed: bool) -> Pairs:
    _, shot_keys = _vocabulary()
    axes: Pairs | None = None
    if random.random() < 0.12:
        axes = Pairs([["weather", ["rain", "fog"]], ["n", random.choice(([1, 2, 3], list(range(20))))]][:random.randint(1, 2)])
        name = name + "".join(f"-{{{{ {axis} }}}}" for axis, _ in axes)
    duration = random.choice((5, 5, 3, 15, 2.5))
    picture = random.choice(("plates/in.png", "plates/out.png", "https://cdn.example/a.png"))
    values: dict[str, Any] = {
        "id": name, "note": _prose(random, computed), "matrix": axes, "takes": random.randint(1, 3), "circled": 1,
        "camera": random.choice(("static", "dolly_in", Pairs([["move", "truck_right"], ["amount", 4]]),
                                 Pairs([["type", "simple"], ["config", Pairs([["zoom", -3]])]]))),
        "first_frame": Pairs([["shot", random.choice(earlier)],
                              ["frame", "last"]]) if earlier and random.random() < 0.6 else picture,
        "last_frame": picture, "cut": Pairs([["in", 0.5], ["out", 1]]), "prompt": _prose(random, computed),
        "duration": duration,
        "aspect_ratio": Raw(random.choice(("16:9", "9:16", "1:1"))), "resolution": random.choice(("720p", "1080p")),
        "negative_prompt": "text, watermark", "cfg_scale": 0.5,
    }
    keep = {"id", "prompt", *(["matrix"] if axes else [])}
    chance = {"last_frame": 0.05, "matrix": 0.0, "first_frame": 0.3}
    keys = [key for key in shot_keys if key in keep or random.random() < chance.get(key, 0.2)]
    return Pairs([[key, values.get(key, hostile(random))] for key in keys])


def _prose(random: Random, computed: bool) -> str:
    text = random.choice(("{{ hero }} steps off the last tram. {{ look }}.", "The bridge, empty.", "Close on {{ hero }}.",
                          "{{ shot }}: rain"))
    return f"{text} {random.choice(EXPRESSIONS)}" if computed and random.random() < 0.4 else \
        random.choice(EXPRESSIONS) if computed and random.random() < 0.2 else text


def _whole_file(random: Random, text: str) -> str:
    head = "{% set hero = 'Asha' %}{% set look = 'dusk' %}{% set beat = 2 %}"
    loop = "{% for n in range(3) %}\n  - {id: S{{ n }}, prompt: p}\n{% endfor %}"
    return head + random.choice((text, f"version: 1\nshow: x\nmodel: kling-v3-omni\nshots:{loop}\n", text + loop, loop,
                                 "{% raw %}" + text))


def _surroundings(random: Random) -> dict[str, bytes]:
    """What lies beside a manifest: pictures, something to include, sometimes bent as well."""
    noir = tree_of({"vars": {"look": "noir", "lens": "{{ hero }} at 35mm"}, "defaults": {"resolution": "720p"}})
    if random.random() < 0.1:
        noir = mutate(random, noir, 2)
    return {"plates/in.png": PICTURE, "plates/out.png": PICTURE if random.random() < 0.9 else b"GIF89a",
            "looks/noir.yaml": _encoded(yaml_text(random, noir)), "looks/words.j2": b"rain {{ beat }}"}


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# ── bytes of what is there ────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _originals() -> tuple[tuple[str, bytes], ...]:
    """All manifests of this repository, and the text files round them."""
    places = [*_ROOT.glob("manifests/**/*.yaml"), *_ROOT.glob("manifests/**/*.j2"), *_ROOT.glob("tests/golden/mistakes/**/*.*")]
    return tuple((str(path.relative_to(_ROOT)), path.read_bytes()) for path in sorted(places))


@cache
def _plates() -> dict[str, bytes]:
    return {f"{folder}/{path.name}": PICTURE for path in sorted(_ROOT.glob("manifests/plates/*.png"))
            for folder in ("manifests/plates", "tests/golden/mistakes/plates")}


_COMPUTED = re.compile(rb"\{%.*?%\}|\{\{(?! *\w+ *\}\}).*?\}\}", re.DOTALL)


@kind(20)
def bytes(random: Random) -> Made:  # noqa: A001 - it is the kind's name on the command line
    """Bytes of the repository's own manifests, bent; or a file that they include. Most lose what would have to be computed
    first, since starting the process for it takes ten times as long as all the rest."""
    files = {**dict(_originals()), **_plates()}
    bent, _ = random.choice(_originals())
    where = bent if "/looks/" not in bent and bent.endswith((".yaml", ".yaml.j2")) else "manifests/monsoon.yaml"
    if random.random() < 0.95:
        files = {name: _COMPUTED.sub(b"{{ hero }}", data) for name, data in files.items()}
        where = where.removesuffix(".j2")
        files.setdefault(where, files.get(f"{where}.j2", b""))
    files[bent] = bend_bytes(random, files[bent], random.choice((1, 1, 2, 4, 20)))
    return Made(files=files,
                commands=tuple(tuple(where if word == "show.yaml" else word for word in words) for words in LOOKING))


# ── shot lists ────────────────────────────────────────────────────────────────────────────────────────────────────────

_TITLES = (*(name for names in NAMES.values() for name in names[:2]), "negative prompt", "cfg_scale", "Crew", "Descripton")
_CELLS = ("", "", "1", "12A", "12-3", "SH0010", "INT. TRAM - NIGHT", "Scene 12", "WS", "rain on the rails", "pan left",
          "slow push in", "pan left 4", '{"type": "simple", "config": {"zoom": -3}}', "5s", "0:05", "00:00:05:12@24",
          "5,5", "1,500", "~5", "40s", "16:9", "16:09:00", "1080p", "plates/in.png", "../../etc/passwd",
          "https://cdn.example/a.png", "last frame of 1", "first frame of SH0010 take 2", "Total", "TBD", "=1+1",
          "'=x", "@SUM(A1:A9)", "-", "1e309", "0.5", "two\nlines", "{{ 7 * 7 }}", "{% raw %}", "{# x #}", 'say "no"',
          "# QUESTION: x", "- id: x")
_SAMPLE = "scene;shot;description;duration\r\n1;1;Straße;5,5\r\n;2;café;40s\r\n"


@kind(12)
def lists(random: Random) -> Made:
    """A shot list as a stranger's spreadsheet may have left it, in any encoding, whole or bent."""
    delimiter = random.choice(",,,;;\t|")
    head = [*random.sample(_TITLES, random.randint(1, 9)), *(["description"] if random.random() < 0.95 else [])]
    random.shuffle(head)
    rows = [[_cell(random) for _ in range(len(head) + random.choice((0, 0, 0, -1, 1)))]
            for _ in range(random.choice((0, 2, 3, 5, 8, 40)))]
    above = [[_cell(random)] for _ in range(random.choice((0, 0, 1, 3)))]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=random.choice(("\r\n", "\n", "\r")))
    writer.writerows([*above, *([head] if random.random() < 0.95 else []), *rows])
    text = out.getvalue() if random.random() < 0.95 else _SAMPLE
    if random.random() < 0.97:  # a list that holds one is no text, and nothing more of it is looked at
        text = text.replace("\0", "")
    if random.random() < 0.2:
        text = bend_lines(random, text, random.choice((1, 2, 5)))
    data = text.encode(random.choice(("utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "latin-1")), "replace")
    if random.random() < 0.2:
        data = bend_bytes(random, data, random.choice((1, 1, 3, 20)))
    words = ("import", "list.csv", "--out", "-")
    return Made(files={**_surroundings(random), "list.csv": data},
                commands=(words, words, (*words, "--show", "x"), (*words, "--encoding", random.choice(sorted(ENCODINGS)))))


def _cell(random: Random) -> str:
    draw = random.random()
    if draw < 0.75:
        return random.choice(_CELLS)
    if draw < 0.9:
        return shapes.odd_text(random)
    return random.choice((shapes.long_text(random), random.choice(shapes.WORDS), random.choice(shapes.NUMBERS)))


# ── lockfiles and plans ───────────────────────────────────────────────────────────────────────────────────────────────

_SMALL = b"""version: 1
show: test
model: kling-v3-omni
shots:
  - {id: SH0010, prompt: one, duration: 5, takes: 2}
  - {id: SH0020, prompt: two, first_frame: {shot: SH0010, frame: last}}
"""

_HOSTILE_STRINGS = (*shapes.WORDS, "../../../../etc/passwd", "/dev/zero", "renders/../../x", "file:///etc/passwd",
                    "job_of_another",
                    "http://169.254.169.254/latest/meta-data", "sha256:" + "0" * 64, "0" * 64, "stored", "in_doubt",
                    "submitted",
                    "1e999999999", "-1", "NaN", "sNaN", "Infinity", "1_0", "9" * 5000, "a\x00b", "\x1b[2J\x9b31m", "\u202egnp",
                    "\ud800")


def _json_poison(random: Random) -> Any:
    draw = random.random()
    if draw < 0.3:
        return random.choice(_HOSTILE_STRINGS)
    if draw < 0.5:
        return Raw(random.choice(("NaN", "Infinity", "-Infinity", "1e999", "-0", "0.0", "1" * 300, "1" * 5000, "1e400", "1.0",
                                  "0x1",
                                  '"\\ud800"', '"\\u0000"', '"\\u009b"', '"\\u202e"', "undefined", "", "[", "{", '"',
                                  '{"a": 1, "a": 2}',
                                  "[" * 900 + "]" * 900, "[" * 50_000, '{"a":' * 900 + "1" + "}" * 900, "01", "1 2", "nul",
                                  "\t1")))
    if draw < 0.6:
        return shapes.number(random)
    if draw < 0.7:
        return random.choice((None, True, False, [], Pairs()))
    value = hostile(random)
    return value if not isinstance(value, Raw) else value.text


@cache
def _locked() -> Any:
    data = json.loads((_ROOT / "tests/golden/lockfile.json").read_bytes())
    return {**data, "manifest": "show.yaml"}


@kind(16)
def lockfiles(random: Random) -> Made:
    """A lockfile as another branch may have left it, beside a manifest that is right."""
    data = json.loads(json.dumps(_locked()))
    for block in data["shots"].values():
        for take in block["takes"].values():
            if random.random() < 0.4:
                take["state"] = random.choice(("intended", "submitted", "running", "in_doubt", "missing", "succeeded", "stored",
                                               "failed", "refused", "abandoned"))
    tree = mutate(random, tree_of(data), random.choice((0, 1, 1, 2, 3)), _json_poison)
    text = _bent_json(random, json_written(tree))
    return Made(files={"show.yaml": _SMALL, "show.lock.json": text}, commands=LOOKING[2:])


@cache
def _planned() -> Any:
    change = {"shot": "SH0010", "take": 1, "action": "create", "reasons": [{"code": "new", "detail": ""}], "credits": "145",
              "quote": "5 s × 29", "fingerprint": "sha256:" + "0" * 64, "before": None,
              "after": {"model": "kling-v3-omni", "request": {"prompt": "one", "duration": 5}}}
    return {"version": 1, "manifest": "show.yaml", "basis": {"program": "0.1.0", "model card": "sha256:1", "lockfile": "none",
            "file show.yaml": "sha256:2"}, "changes": [change, {**change, "take": 2}], "total": "290", "cut_total": "290"}


@kind(8)
def plans(random: Random) -> Made:
    """A saved plan that is not of this checkout. With a key at hand it is read, and must be refused before anything leaves."""
    tree = mutate(random, tree_of(_planned()), random.choice((0, 1, 1, 2, 3)), _json_poison)
    text = _bent_json(random, json_written(tree))
    keyed = random.random() < 0.9
    words = ("render", "show.yaml", "--plan", "plan.json")
    return Made(files={"show.yaml": _SMALL, "plan.json": text}, keyed=keyed,
                commands=(words, (*words, "--json"), (*words, "--yes")) if keyed else (words, (*words, "--json")))


def _bent_json(random: Random, text: str) -> Data:
    data = text.encode("utf-8", "surrogatepass")
    draw = random.random()
    if draw < 0.15:
        return bend_bytes(random, data, random.choice((1, 2, 5)))
    if draw < 0.2:
        return data[: random.randrange(len(data) + 1)]
    if draw < 0.23:
        return bend_lines(random, json.dumps(_locked(), indent=2), 3).encode("utf-8", "surrogatepass")
    if draw < 0.25:
        return b"{\n<<<<<<< HEAD\n" + data + b"\n=======\n" + data + b"\n>>>>>>> other\n"
    return data


# ── configuration ─────────────────────────────────────────────────────────────────────────────────────────────────────

_SETTINGS = ('base-url = "https://gateway.example"', "max-credits = 500", 'daily-credits = "1000"', 'rate = "30/min"',
             "concurrency = 8",
             'frames = "inline"', 'state-dir = ".manifest-runner"', '[models.kling-v3-omni]\nexternal_task_id = "correlates"',
             '[models.kling-v3-omni.price]\nquantity = "duration"', "[models]", "[[models]]", "models = 3", "models = {a = 1}",
             '[models."kling-v3-omni"]\nparameters = []', 'callback-url = "https://hooks.example"', 'listen = "localhost:8090"')
_VALUES = ("1", "-1", "nan", "inf", "1e999", "0x10", '"x"', "[]", "{}", "true", "1979-05-27", "'a'", '"""x"""', "9" * 50,
           "9" * 5000,
           "[" * 40 + "]" * 40, "[" * 3000, "[" * 3000 + "]" * 3000, '"\\u001b[2J"', '"\\ud800"', '"\x1b"', "",
           "{a = 1, a = 2}", '"../.."')


@kind(9)
def settings(random: Random) -> Made:
    """The project's configuration, which lies in the repository too."""
    lines = random.sample(_SETTINGS, random.randint(0, 4))
    for _ in range(random.choice((0, 1, 1, 2))):
        name = random.choice(("base-url", "rate", "concurrency", "frames", "models", "max-credits", "state-dir", "nonsense",
                              "[models]", "a.b",
                              '"\\u202e"', "models.kling-v3-omni.price.quantity", "models.kling-v3-omni", "models.x",
                              "callback-url"))
        lines.insert(random.randint(0, len(lines)), f"{name} = {random.choice(_VALUES)}")
    text = "\n".join(lines) + "\n"
    if random.random() < 0.25:
        text = bend_lines(random, text, 2)
    if random.random() < 0.3:
        head = random.choice(("[tool.manifest-runner]\n", "[tool]\nmanifest-runner = 3\n", "tool = 3\n", "[[tool]]\n",
                              "[tool]\n"))
        return Made(files={"show.yaml": _SMALL, "pyproject.toml": _encoded(head + text)}, commands=LOOKING + _SHOWING)
    return Made(files={"show.yaml": _SMALL, "manifest-runner.toml": _encoded(text)}, commands=LOOKING + _SHOWING)


_SHOWING = (("status", "--settings"), ("status", "--settings", "--json"))
