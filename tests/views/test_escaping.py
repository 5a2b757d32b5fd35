"""What strangers wrote is shown as it is in each place, and obeyed in none."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from manifest_runner.views import escaping

# Any text, and text that is likely to mean something somewhere.
NASTY = [
    "@user", "#12", "owner/repo#3", "GH-4", "https://a.example/x?y=1&z", "www.example.com", "a@b.example",
    ":smile:", "$x$", "$`x`$", "0123abc", "GHSA-aaaa-bbbb-cccc", "<!--", "-->", "<script>", "</pre>", "&amp;",
    "&#64;", "![a](b)", "[a]: b", "[x](y)", "[^1]", "**b**", "__b__", "~~s~~", "`", "``", "```", "````text", "~~~",
    "|", "||", "\\", "\\|", "- a", "1. a", "1) a", "+", "=", "===", "---", "# h", "> q", "- [ ] a", "::error::x",
    "::", "##[error]", "##", "##vso[x]", "%0A", "\x1b[31m", "\x1b]8;;x\x07", "\x9b", "\u202e", "\u2066", "\u200d",
    "\ud800", "\U000e0041", "\r", "\n", "\t", " ", "  ", "    ", ",", ":", "'", '"', "é", "日本", "क्‍ष",
]
ANY = st.text() | st.lists(st.sampled_from(NASTY) | st.text(max_size=3)).map("".join)
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
CLEAN = ANY.map(lambda text: "".join(one for one in text if unicodedata.category(one) not in UNSEEN))

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def leaves(source: str) -> list[Token]:
    tokens = []
    for token in MARKDOWN.parse(source):
        tokens.extend(token.children or [] if token.type == "inline" else [token])
    return tokens


def text_of(tokens: list[Token]) -> str:
    return "".join(token.content for token in tokens if token.type in ("text", "code_inline", "text_special", "entity"))


# ── terminals and logs ────────────────────────────────────────────────────────────────────────────────────────────────


@given(ANY)
def test_nothing_that_a_terminal_obeys_is_left_and_any_output_can_encode_it(text: str) -> None:
    shown = escaping.terminal(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\xad\U000e0041")
    shown.encode()


@given(CLEAN)
def test_what_is_clean_is_shown_as_it_is(text: str) -> None:
    assert escaping.terminal(text).replace("\\x3a", ":").replace("\\x23", "#") == text


def obeyed(line: str) -> bool:
    """Whether a CI service would look for a command in a line: `::` at its start or `##[` anywhere, says GitHub's runner."""
    line = line.translate(dict.fromkeys(map(ord, "\u00ad\u200d\u200c\ufe0f\u034f")))
    return line.lstrip().startswith("::") or re.search(r"##(vso|teamcity)?\[", line, re.IGNORECASE) is not None


@given(ANY, st.sampled_from(["", " ", "        "]))
def test_no_line_that_is_logged_is_a_command_of_a_ci_service(text: str, indent: str) -> None:
    assert not any(obeyed(line) for line in (indent + escaping.terminal(text)).splitlines())
    assert not any(obeyed(line) for line in escaping.json_text(json.dumps([text], ensure_ascii=False, indent=1)).splitlines())


@pytest.mark.parametrize(("text", "shown"), [
    ("::error::no", "\\x3a:error::no"),
    ("  ::error::no", "  \\x3a:error::no"),
    ("\u200d::error::no", "\u200d\\x3a:error::no"),
    ("a ##[add-mask]b", "a \\x23#[add-mask]b"),
    ("####[group]", "##\\x23#[group]"),
    ("#\u00ad#[group]", "#\\xad#[group]"),
    ("#\ufe0f#[group]", "\\x23\ufe0f#[group]"),
    ("##vso[task.setvariable]", "\\x23#vso[task.setvariable]"),
    ("1::2 # # [a] ## b", "1::2 # # [a] ## b"),
])
def test_commands_of_ci_services_are_written_out(text: str, shown: str) -> None:
    assert escaping.terminal(text) == shown


@given(st.recursive(ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3), max_leaves=6))
def test_json_for_a_terminal_means_the_same_and_holds_nothing_that_it_obeys(value: object) -> None:
    shown = escaping.json_text(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(shown) == value
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown.replace("\n", ""))
    assert "\u202e" not in shown


# ── HTML ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(CLEAN)
def test_a_reader_of_html_gets_the_text_back_and_no_tag_or_attribute(text: str) -> None:
    reader = Reader()
    reader.feed(f'<p title="{escaping.html(text)}" lang=\'{escaping.html(text)}\'>{escaping.html(text)}</p>')
    reader.close()
    assert reader.tags == [("p", [("title", text), ("lang", text)])]
    assert reader.text == text


def test_html_keeps_line_breaks_and_shows_what_could_not_be_seen() -> None:
    assert escaping.node("a\r\n\tb\x1b\u202e<'\">&::x") == "a\n\tb\\x1b\\u202e<'\">&::x"
    assert escaping.html("a\n\tb\x1b\u202e<'\">&") == "a\n\tb\\x1b\\u202e&lt;&#x27;&quot;&gt;&amp;"


# ── Markdown ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def linked(text: str) -> bool:
    """Whether GitHub could find something to link, notify or draw in text that is no code."""
    found = re.search(r"@\w|#\d|GH-\d|://|www\.|:\w+:|\$|[\w.]+@[\w.]+|\b[0-9a-f]{7,40}\b|GHSA-", text, re.IGNORECASE)
    return found is not None


def joined(tokens: list[Token]) -> list[str]:
    """The texts outside code, as runs that nothing separates."""
    runs = [""]
    for token in tokens:
        if token.type in ("text", "text_special"):
            runs[-1] += token.content
        else:
            runs.append("")
    return runs


@given(CLEAN)
def test_a_reader_of_markdown_gets_the_text_back_and_no_markup(text: str) -> None:
    tokens = leaves(escaping.markdown(text))
    assert {token.type for token in tokens} <= {"text", "code_inline", "text_special", "paragraph_open", "paragraph_close"}
    assert text_of(tokens) == text


@given(ANY)
def test_outside_code_github_finds_nothing_to_link_to_notify_or_to_draw(text: str) -> None:
    tokens = leaves(escaping.markdown(text))
    assert not any(linked(run) for run in joined(tokens))
    assert not {token.type for token in tokens} & {"html_inline", "html_block", "link_open", "image"}


@given(CLEAN, CLEAN)
@pytest.mark.parametrize("place", [escaping.markdown, escaping.code_span])
def test_a_cell_of_a_table_holds_the_text_and_the_row_keeps_its_cells(place: object, first: str, second: str) -> None:
    assert callable(place)
    tokens = MARKDOWN.parse(f"| a | b |\n| - | - |\n| {place(first)} | {place(second)} |\n")
    cells = [inline.children or [] for opening, inline in pairwise(tokens) if opening.type == "td_open"]
    assert [text_of(cell) for cell in cells] == [first, second]
    assert sum(token.type == "tr_open" for token in tokens) == 2


@given(CLEAN)
def test_it_stays_inside_a_list_item_and_a_heading(text: str) -> None:
    for source, kinds in ((f"- {escaping.markdown(text)}\n- x\n", {"bullet_list_open": 1, "list_item_open": 2}),
                          (f"before\n\n## {escaping.markdown(text)}\n\nafter\n", {"heading_open": 1, "paragraph_open": 2})):
        found = [token.type for token in MARKDOWN.parse(source)]
        assert {kind: found.count(kind) for kind in kinds} == kinds
        assert not {"blockquote_open", "hr", "fence", "code_block", "html_block", "ordered_list_open"} & set(found)


@given(CLEAN.filter(bool))
def test_a_code_span_is_code_and_nothing_else(text: str) -> None:
    tokens = leaves(f"x {escaping.code_span(text)} y")
    assert {token.type for token in tokens} <= {"text", "text_special", "code_inline", "paragraph_open", "paragraph_close"}
    assert text_of(tokens) == f"x {text} y"
    assert "".join(token.content for token in tokens if token.type == "code_inline") == text.replace("|", "")


@given(st.lists(CLEAN | st.just("```") | st.just("~~~")).map("\n".join))
def test_a_fence_cannot_be_closed_from_inside(text: str) -> None:
    [token] = MARKDOWN.parse(escaping.code_fence(text))
    assert (token.type, token.info) == ("fence", "text")
    assert token.content.removesuffix("\n") == text.removesuffix("\n")


@pytest.mark.parametrize(("text", "shown"), [
    ("Asha runs, 35mm: rain. (Again!)", "Asha runs, 35mm: rain. (Again\\!)"),
    ("ask @user now", "ask `@user` now"),
    ("see https://a.example/?b=`c`", "see `` https://a.example/?b=`c` ``"),
    ("a|@b|c", "`a`\\|`@b`\\|`c`"),
    ("1. a", "1\\. a"),
    ("- a", "\\- a"),
    ("    a", "&#32;&#32;&#32;&#32;a"),
    ("two\nlines", "two lines"),
    ("<!-- x -->", "\\<\\!-- x --\\>"),
    ("", ""),
])
def test_markdown_stays_readable(text: str, shown: str) -> None:
    assert escaping.markdown(text) == shown


# ── workflow commands and output files ────────────────────────────────────────────────────────────────────────────────


def runner_reads(line: str) -> tuple[dict[str, str], str]:
    """A workflow command as GitHub's runner takes it apart."""
    head, data = line[2:].split("::", 1)
    properties = dict(pair.split("=", 1) for pair in head.split(" ", 1)[1].split(","))

    def plain(text: str, *codes: str) -> str:
        for code in (*codes, "%0D", "%0A", "%25"):
            text = text.replace(code, chr(int(code[1:], 16)))
        return text

    return {name: plain(value, "%3A", "%2C") for name, value in properties.items()}, plain(data)


@given(CLEAN.filter(str.strip), ANY)
def test_a_workflow_command_is_one_line_and_says_what_was_to_be_said(name: str, text: str) -> None:
    line = f"::error file={escaping.command_property(name.strip())},line=3::{escaping.command_data(text)}"
    assert len(line.splitlines()) == 1
    properties, data = runner_reads(line)
    assert properties == {"file": name.strip(), "line": "3"}
    assert data == "\n".join(escaping.html(part).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
                             .replace("&#x27;", "'").replace("&amp;", "&") for part in text.split("\n"))


@given(ANY, ANY)
def test_an_output_file_gives_back_each_value_under_its_name(first: str, second: str) -> None:
    text = escaping.output_value("one", first) + escaping.output_value("two", second)
    assert text == escaping.output_value("one", first) + escaping.output_value("two", second)
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, delimiter = line.split("<<", 1)
            value = []
            while (part := next(lines)) != delimiter:
                value.append(part)
            found[name] = "\n".join(value)
    assert found == {"one": first, "two": second}


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a<<b", "a\nb", "é", "1"])
def test_an_output_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        escaping.output_value(name, "x")


def test_a_delimiter_that_stands_in_the_value_is_not_used() -> None:
    assert escaping.output_value("a", "x\n---\nb=c") == "a<<----\nx\n---\nb=c\n----\n"


@pytest.mark.parametrize("function", [
    escaping.terminal, escaping.json_text, escaping.html, escaping.markdown, escaping.code_span, escaping.code_fence,
    escaping.command_data, escaping.command_property])
@pytest.mark.parametrize("unit", [
    "`", "#", "##\u200d", ":\u200d", ":a", "@", " ", "\\", "|", "ह", "a" * 39 + "g", "\x1b", "`` "])
def test_a_megabyte_of_anything_is_shown_in_no_time(function: object, unit: str) -> None:
    assert callable(function)
    before = time.process_time()
    function(unit * (200_000 // len(unit)))
    assert time.process_time() - before < 2
