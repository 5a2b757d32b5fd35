"""Rates and time code, against the standard's corners and against OpenTimelineIO."""

from __future__ import annotations

from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.timecode import (
    RATES,
    Code,
    code_from,
    is_code,
    nominal,
    parse_rate,
    rate_name,
    rate_of,
    tidy_rate,
    uneven_rate,
)
from manifest_runner.errors import UsageError

NTSC24, NTSC30, NTSC60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)

codes = st.one_of(st.sampled_from(RATES).map(lambda rate: Code(rate=rate)),
                  st.sampled_from([NTSC30, NTSC60]).map(lambda rate: Code(rate=rate, drop=True)))


@pytest.mark.parametrize(("text", "rate"), [
    ("24", Fraction(24)), ("25", Fraction(25)), ("23.976", Fraction(24000, 1001)), ("23.98", Fraction(24000, 1001)),
    ("24000/1001", Fraction(24000, 1001)), ("29.97", NTSC30), ("30000/1001", NTSC30), ("59.94", NTSC60), (" 60 ", Fraction(60)),
    ("30000/1000", Fraction(30)),
])
def test_a_rate_is_exact_however_it_is_written(text: str, rate: Fraction) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-24", "17", "24.0001", "24/0", "1e9", "abc", "nan"])
def test_other_rates_have_no_time_code(text: str) -> None:
    with pytest.raises(UsageError) as error:
        rate_of(text)
    assert error.value.code == "bad-rate"
    assert "23.976" in str(error.value.hint)


@pytest.mark.parametrize(("text", "rate", "frame", "drop"), [
    ("00:00:00:00", Fraction(24), 0, False), ("01:00:00:00", Fraction(24), 86400, False),
    ("01:00:00:00", Fraction(24000, 1001), 86400, False), ("01:00:00:00", NTSC30, 108000, False),
    ("01:00:00;00", NTSC30, 107892, True), ("01:00:00;00", NTSC60, 215784, True), ("00:00:59;29", NTSC30, 1799, True),
    ("00:01:00;02", NTSC30, 1800, True), ("00:10:00;00", NTSC30, 17982, True), ("00:01:00;04", NTSC60, 3600, True),
    ("00:00:00:119", Fraction(120), 119, False),
    ("23:59:59:23", Fraction(24), 2073599, False), ("23:59:59;29", NTSC30, 2589407, True),
])
def test_a_time_code_is_a_frame_and_back(text: str, rate: Fraction, frame: int, drop: bool) -> None:
    code = code_from(text, rate)
    assert (code.start, code.drop) == (frame, drop)
    assert code.at(frame) == text


@pytest.mark.parametrize(("text", "rate", "words"), [
    ("1:00:00:00", Fraction(24), "is not"), ("01:00:00", Fraction(24), "is not"), ("01.00.00.00", Fraction(24), "is not"),
    ("01:00:00:24", Fraction(24), "does not exist at 24"), ("24:00:00:00", Fraction(24), "does not exist"),
    ("00:60:00:00", Fraction(24), "does not exist"), ("00:00:60:00", Fraction(24), "does not exist"),
    ("01:00:00;00", Fraction(24), "none are dropped"), ("01:00:00;00", Fraction(24000, 1001), "none are dropped"),
    ("00:01:00;00", NTSC30, "leaves out"), ("00:01:00;01", NTSC30, "leaves out"), ("00:59:00;03", NTSC60, "leaves out"),
])
def test_what_is_no_time_code_is_said(text: str, rate: Fraction, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        code_from(text, rate)
    assert error.value.code == "bad-timecode"


@given(codes, st.integers(min_value=0))
def test_every_frame_of_a_day_has_one_code(code: Code, number: int) -> None:
    frame = number % code.day
    again = code_from(code.at(frame), code.rate)
    assert (again.start, again.drop) == (frame, code.drop)


@given(codes, st.integers(min_value=0))
def test_it_is_the_code_that_opentimelineio_gives(code: Code, number: int) -> None:
    # Without drop frame, OpenTimelineIO ends the day of 29.97 by the clock, and so 86 s of code too early.
    frame = number % (code.day - 100 * nominal(code.rate))
    rate = float(code.rate)
    assert code.at(frame) == otio.opentime.to_timecode(otio.opentime.RationalTime(frame, rate), rate, code.drop)


def test_a_day_ends_at_twenty_four_hours_and_drop_frame_keeps_up_with_the_clock() -> None:
    for code in (Code(rate=Fraction(24)), Code(rate=NTSC30), Code(rate=NTSC30, drop=True)):
        assert code.at(code.day).replace(";", ":") == "24:00:00:00"
    assert abs(Code(rate=NTSC30, drop=True).day / NTSC30 - 86400) < Fraction(1, 10)


def test_each_rate_has_its_name() -> None:
    assert [rate_of(rate_name(rate)) for rate in RATES] == list(RATES)
    assert [rate_name(rate) for rate in (Fraction(24), NTSC24, NTSC30, Fraction(25, 2))] == ["24", "23.976", "29.97", "12.5"]


@pytest.mark.parametrize(("text", "rate"), [
    ("24", 24), ("23.976", NTSC24), ("23.98", NTSC24), ("29.97", NTSC30), ("30000/1001", NTSC30), ("59.94", NTSC60),
    ("24.0", 24), ("12.5", Fraction(25, 2)), ("0", None), ("-24", None), ("1e9", None), ("24/0", None), ("fast", None),
    ("", None), ("٢٤", None), ("241", None), ("1" * 30, None),
])
def test_rates_as_people_write_them(text: str, rate: Fraction | None) -> None:
    assert parse_rate(text) == rate


def test_a_rate_that_a_container_rounded_is_the_standard_one() -> None:
    assert tidy_rate(Fraction(2997, 100)) == NTSC30
    assert tidy_rate(Fraction(24)) == 24
    assert tidy_rate(Fraction(23)) == 23
    assert uneven_rate(Fraction(235, 10)) == NTSC24


@pytest.mark.parametrize(("text", "is_one"), [
    ("01:00:00:00", True), ("01:00:00;00", True), ("00:00:00:119", True), ("", False), ("1:00:00:00", False),
    ("24:00:00:00", False), ("00:60:00:00", False), ("00:00:60:00", False), ("٠١:00:00:00", False),
])
def test_what_is_time_code_at_some_rate(text: str, is_one: bool) -> None:
    assert is_code(text) == is_one
