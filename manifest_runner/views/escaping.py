"""What strangers wrote, in each place where it is shown: seen as it is, and obeyed by nobody.

One function a place. Each takes any text at all and gives text that belongs into exactly that place; nothing is escaped twice,
and nothing that has passed one of these is safe elsewhere.

Laws
- What a reader would not see, or not where it stands (controls, bidirectional overrides, what has no width), is written out
  (`\\x1b`, `\\u202e`) in every place that a person reads.
- Everything else is left as it is: what the place shows is the text, letter for letter.
- No library decides here what is dangerous, but for HTML, where the standard library does.
"""

from __future__ import annotations

import re

# C0 and C1 controls, bidirectional overrides and isolates, zero-width and line separators, the soft hyphen, tags, halves of
# surrogate pairs (which no output could encode): each could move the cursor, recolour, hide or reorder what a person reads.
# The joiners U+200C and U+200D stay: Hindi, Persian and emoji are spelt with them.
_HIDDEN = ("\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
           "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e00ff")
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_UNSEEN_OR_BREAK = re.compile(f"[{_HIDDEN}\t\n]")

# CI services read commands in what is logged: GitHub `::name::` where a line begins (also after blanks) and `##[name]` anywhere
# in it, others `##vso[` and `##teamcity[`. Some compare as a language would, past characters without width.
_WIDTHLESS = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c\u200d\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]*"
_LOG_COMMAND = re.compile(rf"\A(?:\s|{_WIDTHLESS[:-1]})*:(?={_WIDTHLESS}:)|#(?={_WIDTHLESS}#{_WIDTHLESS}(?:vso|teamcity)?\[)",
                          re.IGNORECASE)


def terminal(text: str) -> str:
    """`text` as a part of one line of a terminal or a log: line breaks and tabs become spaces, everything that a terminal would
    obey is written out, and so is the first character of what a CI service would take for a command."""
    shown = _UNSEEN_OR_BREAK.sub(_written_out, text)
    return _LOG_COMMAND.sub(lambda match: f"{match.group()[:-1]}\\x{ord(match.group()[-1]):02x}", shown)


def json_text(text: str) -> str:
    """A JSON document, already serialised, for a terminal or a log: the same values, with escapes in the strings where
    `terminal` would have to write something out."""
    ascii_only = _UNSEEN.sub(lambda match: _json_escape(match.group()), text)
    return _LOG_COMMAND.sub(lambda match: f"{match.group()[:-1]}\\u{ord(match.group()[-1]):04x}", ascii_only)


def node(text: str) -> str:
    """`text` for a page's script, which sets it as the text of a node and never as markup. Line breaks stay."""
    return _UNSEEN.sub(_written_out, text.replace("\r\n", "\n"))


def html(text: str) -> str:
    """`text` between HTML tags or in a quoted attribute. Line breaks stay."""
    from html import escape  # start-up: its table of entities, in a module that every command imports

    return escape(_UNSEEN.sub(_written_out, text), quote=True)


# ── Markdown, as GitHub reads it ──────────────────────────────────────────────────────────────────────────────────────

# GitHub looks for these in the text *after* Markdown was read, where no backslash is left: mentions, references, addresses,
# commit hashes, advisories, emoji codes, formulas. It looks nowhere inside code.
_LINKED = re.compile(r"[@#$]|:[\w+-]+:|://|www\.|mailto:|xmpp:|GH-\d|GHSA-|CVE-|\b[0-9a-f]{7,40}\b", re.IGNORECASE)
_MARKUP = re.compile(r"[\\`*_\[\]<>!~|&]")
_OPENING = re.compile(r"\A([0-9]*)([-+=.)])")  # of a list or of the line below a heading


def markdown(text: str) -> str:
    """`text` inside one paragraph, heading, list item or table cell. Line breaks become spaces. A word in which GitHub would
    find a link, a mention, a reference, an emoji or a formula is shown as code, which is the only place where it does not look.

    References that a repository has defined for itself (`TICKET-12`) are beyond this: its owner chose them.
    """
    line = _UNSEEN_OR_BREAK.sub(_written_out, text)
    inner = line.strip()
    start = len(line) - len(line.lstrip())
    before, after = (line[:start], line[start + len(inner):]) if inner else (line, "")
    shown = " ".join(_word(word) for word in inner.split(" "))
    return _blanks(before) + _OPENING.sub(r"\1\\\2", shown) + _blanks(after)


def code_span(text: str) -> str:
    """`text` as code inside a line, in a table cell too: there a bar ends the cell even inside code, so it stands between two
    spans. Line breaks become spaces; of nothing, nothing is shown."""
    return "\\|".join(_span(piece) if piece else "" for piece in _UNSEEN_OR_BREAK.sub(_written_out, text).split("|"))


def code_fence(text: str) -> str:
    """`text` as a block of code: whole lines, to be put where a line begins."""
    fence = "`" * max(3, 1 + _longest("`", text))
    body = _UNSEEN.sub(_written_out, text)
    return f"{fence}text\n{body}{'' if body.endswith(chr(10)) else chr(10)}{fence}\n"


def _word(word: str) -> str:
    return code_span(word) if _LINKED.search(word) else _MARKUP.sub(r"\\\g<0>", word)


def _span(piece: str) -> str:
    ticks = "`" * (1 + _longest("`", piece))
    blank = " " if piece.strip(" ") and (piece[0] in "` " or piece[-1] in "` ") else ""  # a reader takes one off at both ends
    return f"{ticks}{blank}{piece}{blank}{ticks}"


def _blanks(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)  # as themselves they would be stripped, or indent


def _longest(character: str, text: str) -> int:
    """The length of the longest run of a character."""
    return max(map(len, re.findall(f"{character}+", text)), default=0)


# ── GitHub's workflow commands and output files ───────────────────────────────────────────────────────────────────────


def command_data(text: str) -> str:
    """`text` behind the second `::` of a workflow command (`::error file=…::text`). Line breaks stay line breaks."""
    return _UNSEEN.sub(_written_out, text).replace("%", "%25").replace("\n", "%0A")


def command_property(text: str) -> str:
    """`text` as a property of a workflow command (`file=text`)."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def output_value(name: str, value: str) -> str:
    """A record for the file that `GITHUB_OUTPUT` (or `GITHUB_ENV`) names: exactly `value` under `name`, whatever is in it.

    Its last line is a delimiter that is computed from the value and not found in it, so that the same value gives the same
    bytes. Raises `ValueError` for a name that is none.
    """
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", name) is None:
        raise ValueError(f"{name!r} is not the name of an output")
    delimiter = "-" * max(3, 1 + _longest("-", value))
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


# ── graphs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def dot(text: str) -> str:
    """`text` inside a quoted string of Graphviz' DOT, where a backslash and an ampersand begin something."""
    return _UNSEEN_OR_BREAK.sub(_written_out, text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


_MERMAID_PLAIN = re.compile(r"[^\w /.,_-]|[.-](?=\s)|(?<=\A)[-_]", re.ASCII)


def mermaid(text: str) -> str:
    """`text` inside a quoted label of Mermaid. Whatever could be markup there (quotes, HTML, Markdown, Mermaid's own words
    between `%%`) is written as the number of its character."""
    return _MERMAID_PLAIN.sub(_numbered, _UNSEEN_OR_BREAK.sub(_written_out, text))


def _numbered(match: re.Match[str]) -> str:
    return f"#{ord(match.group())};"


def _written_out(match: re.Match[str]) -> str:
    character = match.group()
    if character in "\n\t":
        return " "
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
