"""A secret is found in a text of somebody else's however it is spelt there."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters.redaction import Redactor

KEY = "tk_Live/7f3a+9b=Zq81"
SPELT = {
    "as it is": KEY,
    "other case": KEY.swapcase(),
    "address": quote(KEY, safe=""),
    "address, every letter": "".join(f"%{ord(one):02x}" for one in KEY),
    "address, twice": quote(quote(KEY, safe=""), safe=""),
    "JSON": json.dumps(KEY),
    "JSON, slashes": json.dumps(KEY).replace("/", "\\/"),
    "JSON, every letter": "".join(f"\\u{ord(one):04x}" for one in KEY),
    "JSON in JSON": json.dumps(json.dumps("".join(f"\\u{ord(one):04X}" for one in KEY))),
    "HTML": html.escape(KEY),
    "HTML, numbers": "".join(f"&#{ord(one)};" for one in KEY),
    "HTML, hex": "".join(f"&#x{ord(one):X};" for one in KEY),
    "C": "".join(f"\\x{ord(one):02x}" for one in KEY),
    "mail": "".join(f"={ord(one):02X}" for one in KEY),
    "mixed": "".join(f"%{ord(one):02x}" if index % 2 else one.upper() for index, one in enumerate(KEY)),
    "hex": KEY.encode().hex(),
    "HEX": KEY.encode().hex().upper(),
    **{f"base64 after {before}": base64.b64encode(b"x" * before + KEY.encode() + b"yz").decode() for before in range(4)},
    **{f"url-safe base64 after {before}": base64.urlsafe_b64encode(b"?" * before + KEY.encode()).decode() for before in (1, 2)},
}


@pytest.mark.parametrize("how", SPELT)
@pytest.mark.parametrize("around", ["{}", '{{"key": "{}"}}', "Authorization: {}, and more {} %zz \\q &#9"])
def test_no_spelling_is_left(how: str, around: str) -> None:
    text = around.format(SPELT[how], SPELT[how])
    redactor = Redactor("other-secret-of-ours", KEY)
    assert redactor.finds(text)
    shown = redactor(text)
    assert "***" in shown
    assert not redactor.finds(shown)
    if "base64" not in how:  # its ends share their letters with what stands around
        assert SPELT[how] not in shown


@given(st.text())
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert Redactor(KEY, "other-secret-of-ours")(text) == text


def test_a_word_is_no_secret() -> None:
    assert Redactor("draft")("renders/a.draft/x.mp4") == "renders/a.draft/x.mp4"
    assert Redactor()("x") == "x"


@pytest.mark.parametrize("unit", ["t", "%", "%25", "\\", "&#0", "&#", "t\0", "\0", "=", "tk_Live/7f3a+9b=Zq8", "&#x0", "\\u{0"])
def test_a_long_text_is_read_in_no_time(unit: str) -> None:
    before = time.process_time()
    Redactor(KEY)("%" + unit * (300_000 // len(unit)))
    assert time.process_time() - before < 3
