"""Frame rates that editors know, and the time code of a frame. Pure; rates are exact fractions.

Laws
- 23.976, 29.97 and 59.94 are 24000/1001, 30000/1001 and 60000/1001, never decimals, however a person or a container wrote them.
- Time code counts frames, not time. Without drop frame an hour of code at 29.97 lasts 3.6 s longer than an hour of the clock;
  drop frame (29.97 and 59.94 alone) leaves out numbers, never frames, to keep up with the clock.
- `01:00:00:00` is code without drop frame, `01:00:00;00` with it. A day of code ends at 24 hours, and nothing goes beyond it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from manifest_runner.errors import UsageError

NTSC = Fraction(1000, 1001)
RATES = (24 * NTSC, Fraction(24), Fraction(25), 30 * NTSC, Fraction(30), 48 * NTSC, Fraction(48), Fraction(50), 60 * NTSC,
         Fraction(60))
"""The frame rates of a timeline: those that SMPTE time code is defined for."""

STANDARD_RATES = (*RATES, Fraction(12), Fraction(15), Fraction(100), Fraction(120), 120 * NTSC)
"""Frames a second that cameras and editors know."""

_DROPPED = {Fraction(30) * NTSC: 2, Fraction(60) * NTSC: 4}
"""Numbers that drop frame leaves out at the beginning of each minute but every tenth."""

_CODE = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})([:;])([0-9]{2,3})")


def rate_name(rate: Fraction) -> str:
    """`24`, or `23.976` for what is no whole number: as editors say it."""
    return f"{rate.numerator}" if rate.denominator == 1 else f"{float(rate):.3f}".rstrip("0").rstrip(".")


def parse_rate(text: str) -> Fraction | None:
    """`24`, `23.976` (which means 24000/1001), `30000/1001`: 1 to 240 frames a second; None for anything else."""
    try:
        rate = Fraction(text.strip()) if len(text) <= 20 and text.isascii() else None
    except (ValueError, ZeroDivisionError):
        return None
    if rate is None or not 1 <= rate <= 240:
        return None
    ntsc = [standard for standard in STANDARD_RATES if standard.denominator > 1 and abs(standard - rate) < Fraction(1, 150)]
    return ntsc[0] if "." in text and ntsc else rate


def rate_of(text: str) -> Fraction:
    """The rate of a timeline as it is written. Raises `UsageError` for one that is none of `RATES`."""
    rate = parse_rate(text)
    if rate is None or rate not in RATES:
        raise UsageError(f"a timeline of {text} frames a second has no time code", code="bad-rate",
                         hint=f"the rates are {', '.join(map(rate_name, RATES))}; 30000/1001 is 29.97")
    return rate


def tidy_rate(rate: Fraction) -> Fraction:
    """The standard rate that a container rounded (24000/1001 from 2997/125); any other as it is."""
    near = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return near if abs(near - rate) * 4000 <= near else rate


def uneven_rate(rate: Fraction) -> Fraction:
    """What counts as the rate of a clip whose frames are not evenly spaced: the standard rate nearest to its mean."""
    return min(STANDARD_RATES, key=lambda standard: (abs(standard - rate), standard))


def nominal(rate: Fraction) -> int:
    """The frames that a second of time code counts: 30 at 29.97."""
    return -(-rate.numerator // rate.denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """How a timeline counts: its rate, whether it drops numbers, and the frame that its first picture has."""

    rate: Fraction
    drop: bool = False
    start: int = 0

    @property
    def day(self) -> int:
        """The frames of 24 hours of code."""
        return 1440 * nominal(self.rate) * 60 - (_DROPPED[self.rate] * 1296 if self.drop else 0)

    def at(self, frame: int) -> str:
        """The code of a frame, counted from code 0. The frame where a day ends is called 24:00:00:00."""
        each = nominal(self.rate)
        if self.drop:
            skipped = _DROPPED[self.rate]
            tens, rest = divmod(frame, 600 * each - 9 * skipped)
            # Of ten minutes the first alone keeps all its numbers.
            minutes = max(0, rest - skipped) // (60 * each - skipped)
            frame += skipped * (9 * tens + minutes)
        seconds, frames = divmod(frame, each)
        mark, digits = ";" if self.drop else ":", max(2, len(str(each - 1)))
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{frames:0{digits}}"


def is_code(text: str) -> bool:
    """Whether this is time code at some rate."""
    match = _CODE.fullmatch(text.strip())
    return match is not None and int(match.group(1)) < 24 and max(int(match.group(2)), int(match.group(3))) < 60


def code_from(text: str, rate: Fraction) -> Code:
    """The code of a film of this rate that begins with `text`. Raises `UsageError` where there is no such code."""
    match = _CODE.fullmatch(text.strip())
    if match is None:
        raise _bad(text, "is not hours:minutes:seconds:frames")
    hours, minutes, seconds, frames = (int(part) for part in match.group(1, 2, 3, 5))
    each, drop = nominal(rate), match.group(4) == ";"
    if drop and rate not in _DROPPED:
        raise _bad(text, f"drops frames, and at {rate_name(rate)} none are dropped",
                   hint=f"write {text.replace(';', ':')}; drop frame belongs to 29.97 and 59.94")
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= each:
        raise _bad(text, f"does not exist at {rate_name(rate)} frames a second")
    count = ((hours * 60 + minutes) * 60 + seconds) * each + frames
    if drop:
        skipped = _DROPPED[rate]
        if minutes % 10 and not seconds and frames < skipped:
            raise _bad(text, "is one of the numbers that drop frame leaves out")
        whole = hours * 60 + minutes
        count -= skipped * (whole - whole // 10)
    return Code(rate=rate, drop=drop, start=count)


def _bad(text: str, why: str, hint: str = "such as 01:00:00:00, or 01:00:00;00 for drop frame") -> UsageError:
    return UsageError(f"the time code {text} {why}", code="bad-timecode", hint=hint)
