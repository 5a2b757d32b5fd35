"""The review page: one HTML file that needs nothing but the clips beside it.

Laws
- Everything that a manifest, a lockfile or the provider says stands in the page as JSON, in a form in which no text can end the
  element that it stands in; the page's script puts it on the screen as text and never as markup.
- The page may load nothing but pictures inside it and clips beside or inside it, and run nothing but its own script: a
  Content-Security-Policy says so, with the hashes of script and style.
- The same data and the same parts give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manifest_runner.core.model import JsonObject

STYLES = ("report.css",)
SCRIPTS = ("dom.js", "sheet.js", "viewer.js", "report.js")
TEMPLATE = "report.html"
PARTS = (TEMPLATE, *STYLES, *SCRIPTS)
"""The files that `report_page` is given, by name."""

_MARK = re.compile(r"\{\{ (\w+) \}\}")
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A clip that travels inside the page: the id that the data names it by, and its bytes in base64."""

    name: str
    base64: str


def report_page(data: JsonObject, parts: Mapping[str, str], *, title: str, clips: Sequence[Embedded] = ()) -> str:
    """The page's text. `parts` holds the text of every file that `PARTS` names."""
    style, script = ("".join(parts[name] for name in names) for names in (STYLES, SCRIPTS))
    values = {
        "policy": html.escape(policy(style, script)),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "clips": "".join(f'<script type="text/plain" id="{html.escape(clip.name)}">{clip.base64}</script>\n' for clip in clips),
        "data": json_in_html(data),
    }
    return _MARK.sub(lambda mark: values[mark[1]], parts[TEMPLATE])  # in one pass: no value is searched for marks


def json_in_html(data: JsonObject) -> str:
    """JSON that can stand in a script element: plain ASCII, and no character with which markup begins or ends."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)


def policy(style: str, script: str) -> str:
    """What the page may do: its own script and style, pictures inside it, clips beside or inside it, and nothing else."""
    return "; ".join(("default-src 'none'", f"script-src {_hash(script)}", f"style-src {_hash(style)}", "img-src data:",
                      "media-src 'self' file: data:", "base-uri 'none'", "form-action 'none'"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
