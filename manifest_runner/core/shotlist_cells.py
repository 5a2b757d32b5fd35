"""What a cell of a shot list says, where that is certain.

Laws
- A cell that can be read in two ways is a doubt, in words, and never a value. Where one reading is likely it is the
  `suggestion`, which a person takes over or not.
- Nothing here knows rows, columns or other cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from manifest_runner.core.model import Json, JsonObject
from manifest_runner.core.schema import MOST_TAKES


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A cell as it was read: a value, or a doubt with what it may mean. `said` are its words, where the value drops some."""

    value: Json = None
    doubt: str = ""
    suggestion: Json = None
    said: str = ""


NO_NUMBER = "that is no number"

BLANK = frozenset({"", "-", "–", "—", "--", "---", "/", "n/a", "na", "n.a.", "none", "nil", "keine", "keiner", "k.a.", "aucun",
                   "aucune"})
_OPEN = frozenset({"?", "??", "???", "tbd", "tbc", "tba", "todo", "xxx", "tk", "offen", "à définir", "n.n."})


def is_blank(cell: str) -> bool:
    """Whether a cell says nothing, or that there is nothing."""
    return cell.strip().casefold() in BLANK


def name_cell(name: str) -> str:
    """A name as a cell: with an apostrophe, as spreadsheets mark texts, where it is a word that says that there is nothing."""
    return f"'{name}" if name and is_blank(name) else name


def cell_name(cell: str) -> str:
    """What `name_cell` was given; empty where a cell says nothing, or that there is nothing."""
    text = cell.strip()
    if is_blank(text):
        return ""
    return text[1:] if text.startswith("'") and is_blank(text[1:]) else text


def is_open(cell: str) -> bool:
    """Whether a cell says that it is to be decided."""
    return cell.strip().casefold() in _OPEN


# ── lengths of time ───────────────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = r"\d{1,6}(?:[.,]\d{1,9})?|[.,]\d{1,9}"
_SECOND = r"(?:s|secs?|seconds?|sek|sekunden?|secondes?|segundos?|\"|″|''|”)"
_MINUTE = r"(?:m|mins?|minutes?|minuten?|'|′|’)"
_RATE = r"\s*(?:@|at|bei)\s*(?P<rate>\d{1,3}(?:[.,]\d{1,3})?)\s*(?:fps|b/s|p)?"
_HEDGE = re.compile(r"(?:~|≈|±|\+/-|ca\.?|circa|c\.|approx\.?|approximately|about|around|etwa|ungefähr|env\.?|environ)"
                    r"\s*(?=[\d.,])", re.IGNORECASE)
_RANGE = re.compile(rf"(?:{_NUMBER})\s*{_SECOND}?\s*(?:-|–|—|to|bis|à|/)\s*(?:{_NUMBER})\s*{_SECOND}?", re.IGNORECASE)


@lru_cache(maxsize=4096)  # a list says the same few lengths over and over
def seconds(cell: str, *, decimal_comma: bool = False) -> Reading:
    """A length in seconds: `5`, `5,5`, `5s`, `0:05`, `1m 05s`, `00:00:05.500`, `00:00:05:12@24`, `132 frames @ 24`."""
    text = " ".join(cell.split())
    if hedge := _HEDGE.match(text):
        inner = seconds(text[hedge.end():], decimal_comma=decimal_comma)
        return Reading(doubt="it is given as about so long", suggestion=inner.value if not inner.doubt else None)
    for pattern, read in _FORMS:
        if found := pattern.fullmatch(text):
            return read(found, decimal_comma)
    return Reading(doubt="it gives a range" if _RANGE.fullmatch(text) else "that is no length in seconds")


def number(cell: str, *, decimal_comma: bool = False) -> Reading:
    """A number, whole where it can be: `0.5`, `0,5`, `1e-05`."""
    text = cell.strip()
    if re.fullmatch(r"\d{1,3},\d{3}", text) and not text.startswith("0"):
        return Reading(doubt="the comma may part thousands or decimals")
    if decimal_comma and re.fullmatch(r"\d{1,3}\.\d{3}", text) and not text.startswith("0"):
        return Reading(doubt="the dot may part thousands or decimals")
    if not re.fullmatch(r"-?(?:\d{1,15}(?:[.,]\d{0,30})?|[.,]\d{1,30})(?:[eE]-?\d{1,3})?", text):
        return Reading(doubt=NO_NUMBER)
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        return Reading(doubt="that is no number that can be sent")
    return Reading(value=int(value) if value.is_integer() else value)


def within(reading: Reading, rule: JsonObject, unit: str = "") -> Reading:
    """A number, if the model's rule for it has room for it."""
    low, high = rule.get("minimum"), rule.get("maximum")
    if reading.doubt or ((low is None or low <= reading.value) and (high is None or reading.value <= high)):
        return reading
    bounds = f"from {low:g} to {high:g}" if None not in (low, high) else f"from {low:g}" if high is None else f"to {high:g}"
    return Reading(doubt=f"it goes {bounds} {unit}".rstrip())


def _plain(found: re.Match[str], decimal_comma: bool) -> Reading:
    return number(found["n"], decimal_comma=decimal_comma)


def _minutes(found: re.Match[str], decimal_comma: bool) -> Reading:
    rest = number(found["n"] or "0", decimal_comma=decimal_comma)
    return rest if rest.doubt else _whole(int(found["m"]) * 60 + rest.value)


def _clock(found: re.Match[str], _: bool) -> Reading:
    """Minutes and seconds, or hours, minutes and seconds, with tenths or thousandths. Hundredths may as well be frames."""
    part = found["part"] or ""
    total = int(found["h"] or 0) * 3600 + int(found["m"]) * 60 + int(found["s"])
    if found["h"] is not None and len(part) == 2:
        return Reading(doubt="the last two digits may be hundredths or frames")
    return _whole(total + (int(part) / 10 ** len(part) if part else 0))


def _timecode(found: re.Match[str], _: bool) -> Reading:
    """Hours, minutes, seconds and frames. Frames are a length only where the rate is said."""
    total, frames = int(found["h"]) * 3600 + int(found["m"]) * 60 + int(found["s"]), int(found["f"])
    if found["rate"] is None:
        return _whole(total) if frames == 0 else Reading(doubt="how many frames make a second is not said", suggestion=total)
    rate = float(found["rate"].replace(",", "."))
    counted = math.ceil(rate)
    if not 1 <= rate <= 240 or frames >= counted:
        return Reading(doubt="no second has so many frames")
    return _whole(round((total * counted + frames) / rate, 3))


def _frames(found: re.Match[str], _: bool) -> Reading:
    if found["rate"] is None:
        return Reading(doubt="how many frames make a second is not said")
    rate = float(found["rate"].replace(",", "."))
    if not 1 <= rate <= 240:
        return Reading(doubt="no second has so many frames")
    return _whole(round(int(found["n"]) / rate, 3))


def _whole(value: float) -> Reading:
    return Reading(value=int(value) if float(value).is_integer() else value)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], bool], Reading]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read) for pattern, read in (
        (rf"(?P<n>{_NUMBER})\s*{_SECOND}?\.?", _plain),
        (rf"(?P<m>\d{{1,3}})\s*{_MINUTE}(?:\s*(?P<n>{_NUMBER})\s*{_SECOND}?)?\.?", _minutes),
        (rf"(?:(?P<h>\d{{1,2}}):)?(?P<m>\d{{1,3}}):(?P<s>[0-5]\d)(?:[.,](?P<part>\d{{1,3}}))?\s*{_SECOND}?", _clock),
        (rf"(?P<h>\d{{1,2}}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)[:;](?P<f>\d{{2,3}})(?:{_RATE})?", _timecode),
        (rf"(?P<n>\d{{1,6}})\s*(?:f|fr|frames?|bilder|images)\.?(?:{_RATE})?", _frames),
    ))


# ── counts, shapes and sizes ──────────────────────────────────────────────────────────────────────────────────────────


def count(cell: str) -> Reading:
    """A whole number from 1, as spreadsheets write it: `3`, `3.0`, `x3`."""
    found = re.fullmatch(r"[x×]?\s*(\d{1,4})(?:[.,]0+)?\s*[x×]?", cell.strip(), re.IGNORECASE)
    if found is None:
        return Reading(doubt="that is no number of takes")
    return within(Reading(value=int(found[1])), {"minimum": 1, "maximum": MOST_TAKES})


def aspect(cell: str) -> Reading:
    """A ratio of two whole numbers: `16:9`, `16x9`, `16/9`."""
    text = cell.strip().replace(" ", "")
    if found := re.fullmatch(r"([1-9]\d{0,2})[:x×/]([1-9]\d{0,2})", text, re.IGNORECASE):
        return Reading(value=f"{found[1]}:{found[2]}")
    if re.fullmatch(r"\d{2}:\d{2}(?::\d{2})?", text):
        hours, minutes = (int(part) for part in text.split(":")[:2])
        likely = f"{hours}:{minutes}" if hours and minutes else None
        return Reading(doubt="spreadsheets make times of day of ratios", suggestion=likely)
    return Reading(doubt="a ratio is two whole numbers, such as 16:9")


_RESOLUTIONS = {"1080": "1080p", "1080p": "1080p", "1920x1080": "1080p", "1080x1920": "1080p", "fhd": "1080p",
                "fullhd": "1080p", "720": "720p", "720p": "720p", "1280x720": "720p", "720x1280": "720p"}


def resolution(cell: str, known: tuple[str, ...]) -> Reading:
    """One of the model's own words, or the size in pixels that one of them means."""
    text = cell.strip().casefold().replace(" ", "").replace("×", "x").replace("*", "x")
    value = next((word for word in known if word.casefold() == text), _RESOLUTIONS.get(text))
    if value in known:
        return Reading(value=value)
    return Reading(doubt=f"there are {', '.join(known)}")


# ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_SHOT_FRAME = re.compile(r"(first|last) frame of ([A-Za-z0-9][A-Za-z0-9._-]*)(?:,? (?:take |t)([1-9]\d?))?", re.IGNORECASE)


def frame(cell: str) -> Json:
    """A frame of another shot (`last frame of SH0010 take 2`) as a manifest writes it, or the text as it is."""
    if found := _SHOT_FRAME.fullmatch(cell.strip()):
        value: dict[str, Json] = {"shot": found[2], "frame": found[1].lower()}
        return value | ({"take": int(found[3])} if found[3] else {})
    return cell
