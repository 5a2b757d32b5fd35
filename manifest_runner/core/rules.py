"""What a schema cannot say: how the parts of a shot, and the shots of a show, must fit each other.

Laws: a rule sees only values that passed the schema; a value that is missing because something else was wrong with it is *in
doubt*, and no rule draws a conclusion from its absence; every rule yields all that it finds, in the order of the shots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from manifest_runner.core.chains import FRAMES, first_places, frame_cycles, long_chains, references
from manifest_runner.core.explain import Finding, named, shown, suggestion
from manifest_runner.core.model import JsonObject, Pointer, Severity
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.schema import NOT_SHARED

RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))})
"""Names that Windows keeps for devices, with any ending: no file may be called so."""

SUGGESTIONS = 20
"""How many unknown shots are compared with all the others: it is slow, and a wrong manifest may hold thousands."""

MOST_TAKES_OF_ALL = 40_000
"""Takes of one manifest: twice the shots that it may have."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_WEB = re.compile(r"https?://[^\s/?#@\\]+([/?#][^\s\\]*)?\Z", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
# Control characters but tab and line ends, lone surrogates, and marks that change the direction of text.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """The sound part of a filled manifest. `doubtful` are pointers of top-level keys, shots and shot keys that had to be left
    out of `data` and `shots`, which keep their places."""

    data: JsonObject
    shots: Sequence[JsonObject]
    doubtful: frozenset[Pointer]
    card: ModelCard

    def doubts(self, index: int, *keys: str) -> bool:
        """Whether one of these keys of a shot is missing only because it was wrong."""
        if not self.doubtful:
            return False
        return ("shots", index) in self.doubtful or any(("shots", index, key) in self.doubtful for key in keys)


def findings(show: Show) -> Iterator[Finding]:
    """Everything that breaks a rule of the show."""
    for rule in RULES:
        yield from rule(show)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def reserved_names(show: Show) -> Iterator[Finding]:
    """Names become file names, on every system."""
    names = [((key,), str(show.data[key])) for key in ("show", "sequence") if key in show.data]
    ids = ((("shots", index, "id"), shot["id"]) for index, shot in enumerate(show.shots) if "id" in shot)
    folders = ((("output",), name) for name in show.data.get("output", "").split("/"))
    for pointer, name in (*names, *folders, *ids):
        if name.partition(".")[0].lower() in RESERVED:
            yield Finding(code="reserved-name", message=f"{name} is a device's name on Windows; no file can be called so",
                          pointer=pointer, hint=f"add something to it, such as {name}_1")


def duplicate_ids(show: Show) -> Iterator[Finding]:
    """Two shots may not share an id, nor differ only in case. Ids are ASCII, so case is the only other disguise."""
    seen: dict[str, int] = {}
    for index, shot in enumerate(show.shots):
        if (name := shot.get("id")) is None or (first := seen.setdefault(name.lower(), index)) == index:
            continue
        other = show.shots[first]["id"]
        message = f"{name} is the id of another shot too" if name == other else \
            f"{name} differs from {other} only in case; some file systems could not tell their files apart"
        yield Finding(code="duplicate-id", message=message, pointer=("shots", index, "id"),
                      see=((f"collides with {other}, which is here", ("shots", first, "id")),),
                      hint="give one of them another id; where a matrix makes the shots, name its axes in the id")


def too_many_takes(show: Show) -> Iterator[Finding]:
    """A show has a bounded number of takes: each is a line of the plan, and a block of the lockfile."""
    total = 0
    for index, shot in enumerate(show.shots):
        takes = shot.get("takes", 1)
        total += int(takes)
        if total > MOST_TAKES_OF_ALL:
            yield Finding(code="too-many-takes", message=f"the manifest asks for more than {MOST_TAKES_OF_ALL:,} takes",
                          pointer=("shots", index, "takes") if "takes" in shot else ("shots", index),
                          hint="split it into several manifests, or ask for fewer takes")
            return


def keys_of_defaults(show: Show) -> Iterator[Finding]:
    """What every shot must have of its own cannot be a default."""
    defaults = show.data.get("defaults")
    for key in NOT_SHARED:
        if isinstance(defaults, dict) and key in defaults:
            yield Finding(code="unknown-key", message=f"{key} belongs to each shot and is never a default",
                          pointer=("defaults", key), at_key=True, hint="write it in the shots")


# ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────────


def frame_places(show: Show) -> Iterator[Finding]:
    """A frame that is a text is an http(s) address or a relative path; whether the path stays in the repository and the file
    exists is judged where files can be read."""
    for index, shot in enumerate(show.shots):
        for key in FRAMES:
            value = shot.get(key)
            if isinstance(value, str) and (problem := _place_problem(value)):
                code, message, hint = problem
                yield Finding(code=code, message=f"{key} {shown(value)} {message}", pointer=("shots", index, key), hint=hint)


def _place_problem(text: str) -> tuple[str, str, str] | None:
    if ADDRESS.match(text):
        if _WEB.match(text):
            return None
        return "frame-url", "is no plain http or https address", "use http(s)://host/path, without spaces, user or password"
    relative = "use a path relative to the manifest, with forward slashes"
    if text.startswith(("/", "~")) or _DRIVE.match(text):
        return "frame-path", "is not relative to the manifest", relative
    if "\\" in text:
        return "frame-path", "has a backslash", relative
    if text.endswith("/") or text.strip() != text or _UNSEEN.search(text):
        return "frame-path", "does not name a file", "name the picture itself"
    return None


def frame_shots(show: Show) -> Iterator[Finding]:
    """A frame of another shot names a shot, and a take, that there is."""
    by_id = first_places(show)
    # An id in doubt may be the very one that is asked for.
    all_known = not show.doubtful or not any(show.doubts(index, "id") for index in range(len(show.shots)))
    suggestions = SUGGESTIONS
    for index, key, value in references(show):
        wanted, pointer = value["shot"], ("shots", index, key, "shot")
        if wanted == show.shots[index].get("id"):
            yield Finding(code="frame-self", message=f"{key} of {wanted} is a frame of {wanted} itself", pointer=pointer)
        elif wanted in by_id:
            yield from _frame_take(show, (index, key), value, by_id[wanted])
        elif all_known:
            hint = suggestion(wanted, by_id) if suggestions > 0 else None
            suggestions -= 1
            yield Finding(code="unknown-shot", message=f"{key} names {shown(wanted)}, and no shot has that id",
                          pointer=pointer, hint=hint)


def _frame_take(show: Show, where: tuple[int, str], value: JsonObject, upstream: int) -> Iterator[Finding]:
    takes = show.shots[upstream].get("takes", 1)
    if value.get("take", 1) > takes and not show.doubts(upstream, "takes"):
        yield Finding(code="unknown-take", pointer=("shots", *where, "take"),
                      message=f"{where[1]} asks for take {value['take']} of {value['shot']}, which has {_takes(takes)}",
                      see=((f"{value['shot']} is here", ("shots", upstream)),))


def last_frames(show: Show) -> Iterator[Finding]:
    """What the card says about clips with a last frame."""
    rules, quantity = show.card.frames, show.card.price.quantity
    for index, shot in enumerate(show.shots):
        if "last_frame" not in shot:
            continue
        pointer = ("shots", index, "last_frame")
        if rules.last_requires_first and "first_frame" not in shot and not show.doubts(index, "first_frame"):
            yield Finding(code="last-frame-alone", message="a last_frame needs a first_frame", pointer=pointer,
                          hint="add first_frame, or leave last_frame out")
        seconds = shot.get(quantity, show.card.defaults[quantity])
        if rules.last_duration is not None and not show.doubts(index, quantity) and seconds != rules.last_duration:
            yield Finding(code="last-frame-duration",
                          message=f"a shot with a last_frame lasts exactly {rules.last_duration} seconds, not {shown(seconds)}",
                          pointer=("shots", index, quantity) if quantity in shot else pointer)


# ── one shot ──────────────────────────────────────────────────────────────────────────────────────────────────────


def circled_takes(show: Show) -> Iterator[Finding]:
    """The circled take is one of the takes."""
    for index, shot in enumerate(show.shots):
        if "circled" in shot and shot["circled"] > shot.get("takes", 1) and not show.doubts(index, "takes"):
            yield Finding(code="unknown-take", pointer=("shots", index, "circled"),
                          message=f"take {shot['circled']} is circled, and the shot has {_takes(shot.get('takes', 1))}")


def _takes(count: float) -> str:
    return f"{count:g} take{'' if count == 1 else 's'}"


def cuts(show: Show) -> Iterator[Finding]:
    """The cut lies inside the clip and is not empty."""
    quantity = show.card.price.quantity
    for index, shot in enumerate(show.shots):
        if "cut" not in shot:
            continue
        cut, length = shot["cut"], shot.get(quantity, show.card.defaults[quantity])
        start, end = cut.get("in", 0), cut.get("out", length)
        if show.doubts(index, quantity) and "out" not in cut:
            continue
        if "out" in cut and end > length and not show.doubts(index, quantity):
            yield Finding(code="cut-range", pointer=("shots", index, "cut", "out"),
                          message=f"the cut ends at {shown(end)} seconds, and the clip lasts {shown(length)}")
        elif start >= end:
            yield Finding(code="cut-range", pointer=("shots", index, "cut", "in" if "in" in cut else "out"),
                          message=f"the cut begins at {shown(start)} seconds and ends at {shown(end)}: nothing is left of it")


def cameras(show: Show) -> Iterator[Finding]:
    """A camera is a move or the API's own object, and upstream's documentation of the latter is followed."""
    for index, shot in enumerate(show.shots):
        if isinstance(value := shot.get("camera"), dict):
            yield from _camera(value, show.card, ("shots", index, "camera"))


def _camera(value: JsonObject, card: ModelCard, pointer: Pointer) -> Iterator[Finding]:
    rules = card.camera
    if ("move" in value) == ("type" in value) or ("amount" in value and "move" not in value) or \
            ("config" in value and "type" not in value):
        yield Finding(code="camera-form", pointer=pointer, message="camera mixes two forms, or is half of one",
                      hint="write a film word, {move: truck_right, amount: 4}, or the API's own {type: …, config: …}")
    elif "move" in value:
        if "amount" in value and rules.words[value["move"]].axis is None:
            yield _warning("camera-amount", f"{value['move']} is said in words; its amount has no effect", (*pointer, "amount"))
    elif value["type"] not in rules.types:
        yield _warning("camera-type", f"{shown(value['type'])} is no camera type that is documented", (*pointer, "type"),
                       hint=suggestion(value["type"], rules.types) or f"documented are {', '.join(rules.types)}")
    elif value["type"] != rules.type and "config" in value:
        yield _warning("camera-config", f"{value['type']} takes no config", (*pointer, "config"))
    elif value["type"] == rules.type and sum(amount != 0 for amount in value.get("config", {}).values()) != 1:
        yield _warning("camera-config", f"{rules.type} is documented with exactly one axis that is not 0", pointer)


def texts(show: Show) -> Iterator[Finding]:
    """Texts that are sent or shown hold only what can be seen, and prompts keep to the recommended length."""
    limit = show.card.advice.prompt_characters
    names = ("note", *(name for name, rule in show.card.parameters.items() if rule.get("type") == "string"))
    for index, shot in enumerate(show.shots):
        for name in names:
            # isprintable is quick and false for line ends too: only those texts are searched.
            if (text := shot.get(name)) and not text.isprintable() and (unseen := _UNSEEN.search(text)):
                yield Finding(code="bad-format", pointer=("shots", index, name), hint="write it again by hand",
                              message=f"{name} holds a character that cannot be seen (U+{ord(unseen[0]):04X})")
        if limit is not None and len(shot.get("prompt", "")) > limit:
            yield _warning("long-prompt", f"prompt has {len(shot['prompt']):,} characters; {limit:,} are recommended at most",
                           ("shots", index, "prompt"))


def numbers(show: Show) -> Iterator[Finding]:
    """NaN is within every range, as no comparison is true of it: a limit that is NaN would be no limit at all."""
    yield from _not_numbers(show.data.get("limits", {}), ("limits",))
    for index, shot in enumerate(show.shots):
        if _holds_nan(shot):
            yield from _not_numbers(shot, ("shots", index))


def _holds_nan(mapping: JsonObject) -> bool:
    """The quick answer, without a pointer for every value: only NaN is unlike itself."""
    for value in mapping.values():
        if value.__class__ is dict:
            if _holds_nan(value):
                return True
        elif value != value:
            return True
    return False


def _not_numbers(mapping: JsonObject, pointer: Pointer) -> Iterator[Finding]:
    for key, value in mapping.items():
        if value.__class__ is float and value != value:
            place = (*pointer, key)
            yield Finding(code="wrong-type", message=f"{named(place)} is not a number", pointer=place)
        elif value.__class__ is dict:
            yield from _not_numbers(value, (*pointer, key))


def durations(show: Show) -> Iterator[Finding]:
    """Upstream documents whole seconds only."""
    quantity = show.card.price.quantity
    for index, shot in enumerate(show.shots if show.card.advice.whole_seconds else ()):
        value = shot.get(quantity)
        if isinstance(value, float) and not value.is_integer():
            yield _warning("fractional-duration", f"{quantity} is {shown(value)}; whole seconds are documented upstream",
                           ("shots", index, quantity))


def _warning(code: str, message: str, pointer: Pointer, hint: str | None = None) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, pointer=pointer, hint=hint)


RULES: tuple[Callable[[Show], Iterator[Finding]], ...] = (
    reserved_names, duplicate_ids, too_many_takes, keys_of_defaults, frame_places, frame_shots, frame_cycles, last_frames,
    long_chains, circled_takes, cuts, cameras, texts, numbers, durations,
)
