"""Words on pictures: no empty boxes, nothing obeyed, nothing wider than its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from manifest_runner.adapters import lettering
from manifest_runner.adapters.cards import SlateWords, slate_card, slug_card
from manifest_runner.adapters.lettering import Lettering, visible
from manifest_runner.errors import UsageError


@contextmanager
def no_fonts() -> Iterator[None]:
    """A machine without fonts."""
    with pytest.MonkeyPatch.context() as patch:
        lettering._on_this_machine.cache_clear()
        patch.setattr(lettering, "_installed", dict)
        yield
    lettering._on_this_machine.cache_clear()


@pytest.fixture
def alone() -> Iterator[Lettering]:
    with no_fonts():
        yield Lettering()


def drawn(letters: Lettering, text: str) -> bytes:
    sheet = Image.new("L", (600, 60))
    letters.draw(ImageDraw.Draw(sheet), (10, 40), text, 24, 255)
    return sheet.tobytes()


@pytest.mark.parametrize(("text", "like", "missing"), [
    ("SH0010", "SH0010", ""), ("Café – 35×", "Cafe - 35x", "é–×"), ("नमस्ते world", "… world", "नमस्ते"), ("日本 CU", "… CU",
                                                                                                           "日本"),
    ("one\U0001f3actwo", "one…two", "\U0001f3ac"), ("a\nb\tc", "a b c", ""), ("", "", ""),
])
def test_where_no_font_has_a_letter_it_is_plainer_or_an_ellipsis_and_remembered(text: str, like: str, missing: str,
                                                                                alone: Lettering) -> None:
    assert drawn(alone, text) == drawn(Lettering(), like)
    assert "".join(sorted(alone.missing)) == "".join(sorted(missing)) or alone.missing == {missing}


def test_a_letter_is_looked_for_in_the_fonts_of_the_machine() -> None:
    fonts = [path for name, path in lettering._installed().items() if name in ("DejaVuSans", "NotoSans-Regular")]
    if not fonts:
        pytest.skip("neither DejaVu Sans nor Noto Sans on this machine (Debian: apt-get install fonts-dejavu-core)")
    letters = Lettering()
    assert drawn(letters, "Café – Zürich") != drawn(letters, "Cafe - Zurich")
    assert drawn(letters, "Москва") not in (drawn(letters, "…"), drawn(letters, ""))
    assert not letters.missing
    assert letters.identity("Москва") != Lettering(fonts[:1]).identity("Moskva")
    assert Lettering(fonts[:1]).identity("plain") != letters.identity("plain"), "the font that was asked for comes first"


@pytest.mark.parametrize(("text", "shown"), [
    ("a\u202eb\u202c", "ab"), ("\x1b[31mred", "[31mred"), ("a\u200bb\ufeff", "ab"), ("a\u2066b", "ab"), ("  a \r\n b ", "a b"),
    ("\ud800x", "x"), ("क\u094d\u200dष", "क\u094d\u200dष"), ("\u00ad", ""),
])
def test_what_has_no_shape_is_not_drawn_and_moves_nothing(text: str, shown: str) -> None:
    assert visible(text) == shown


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.integers(8, 40), st.integers(1, 400))
def test_whatever_the_text_a_line_fits_its_place(text: str, size: int, width: int) -> None:
    letters = Lettering()
    with no_fonts():
        assert letters.length(letters.shortened(visible(text), size, width), size) <= width
        assert letters.length(letters.elided(visible(text), size, width), size) <= width
        for line in letters.wrapped(text, size, width, 3):
            assert letters.length(line, size) <= width


def test_lines_break_at_spaces_and_the_last_says_that_there_is_more() -> None:
    letters = Lettering()
    text = "one two three four five six seven eight nine ten"
    lines = letters.wrapped(text, 20, letters.length("one two three", 20) + 1, 2)
    assert lines == ["one two three", "four five six…"]
    assert letters.wrapped("one two", 20, 500, 2) == ["one two"]
    assert letters.wrapped(text, 20, 2000, 2) == [text]
    assert letters.wrapped("", 20, 100, 2) == []


def test_a_name_loses_its_middle_and_keeps_what_tells_it_from_others() -> None:
    letters = Lettering()
    name = "SH0060-a-very-long-name-of-a-matrix-24mm"
    short = letters.elided(name, 20, letters.length(name, 20) / 2)
    assert short.startswith("SH0060")
    assert short.endswith("24mm")
    assert short.count("…") == 1


def test_a_file_that_is_no_font_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.ttf").write_text("no font")
    for path in (tmp_path / "x.ttf", tmp_path / "gone.ttf"):
        with pytest.raises(UsageError, match="no font that can be read"):
            Lettering([path])


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (160, 90), (16, 16), (4096, 256)])
def test_cards_of_any_size_keep_their_edges_free(size: tuple[int, int]) -> None:
    words = SlateWords(show="A title " * 30, sequence="SQ " * 40, shot="SH" * 80, prompt="word " * 400,
                       facts=tuple((f"fact {n}", "value " * 3) for n in range(5)))
    for card in (slate_card(words, size, Lettering()), slug_card("SH" * 80, "no clip yet " * 20, size, Lettering())):
        assert card.size == size
        if min(size) >= 90:
            ground = card.getpixel((0, 0))
            edge = round(0.05 * min(size))
            for box in ((0, 0, size[0], edge), (0, 0, edge, size[1]), (size[0] - edge, 0, *size)):
                assert card.crop(box).getcolors() == [(card.crop(box).width * card.crop(box).height, ground)]
