"""Which characters may stand in a text: those that a reader sees, where he sees them.

This imports next to nothing: the process that runs templates needs it as well.
"""

from __future__ import annotations

import re

_PRINTABLE = b"\n" + bytes(range(0x20, 0x7F))
_CLEAN = "[\t\n\r -~\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
NOT_CLEAN = "[^\t\n\r -~\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""One character that an editor hides, or that changes the order in which others are shown."""


def is_clean(text: str) -> bool:
    """True where `text` holds no character that `characters.check_characters` would refuse."""
    # Whatever is printable is clean, and little else is: tabs, joiners, ends of lines as Windows writes them. It is quick to
    # ask, and leaves the pattern, which takes 6 ms to compile, to the texts that need it.
    if is_printable(text):
        return True
    clean = re.match(_CLEAN, text)
    return clean is not None and clean.end() == len(text)


def is_printable(text: str) -> bool:
    """True where `text` holds nothing but printable characters and line feeds."""
    if text.isascii():
        return not text.encode().translate(None, _PRINTABLE)  # several times quicker than the general question
    return text.replace("\n", "").isprintable()
