"""Finds a secret in text that came from outside, however it is spelt there, and takes it out.

Laws
- Text is cleaned before it is cut, kept or shown: what is left of half a secret is found by nobody.
- Each character may be spelt in its own way (`%6B`, `&#107;`, `\\u006b`); the whole may be hex, or base64 at any
  alignment. Letters count in either case.
- What no list of spellings could end (compressed, encrypted, backwards) is not looked for: whoever has the secret already
  can always hide it from a reader.
"""

from __future__ import annotations

import base64
import re

SHORTEST = 12
"""A shorter secret (`draft`, `test`) is a word, and would tear up addresses and ids that hold that word."""

SHOWN = "***"

_SIGNED = re.compile(
    r"((?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|(?<![\w-])(?:sig|Signature|AWSAccessKeyId|GoogleAccessId))"
    r"(?:=|%3D))[^&\s\"'<>\\]{16,}", re.IGNORECASE)
"""What makes a signed address of S3, Google Cloud Storage or Azure more than a name; none of them is shorter."""

_SPELLS = re.compile(r"[%&=\\]")


class Redactor:
    """Takes some secrets out of texts; those that are too short to be one are left."""

    def __init__(self, *secrets: str) -> None:
        long = [secret for secret in secrets if len(secret) >= SHORTEST]
        # Branches that begin with plain characters: `re` looks only where one of those stands. Most texts spell nothing.
        wholes = [form for secret in long for form in _wholes(secret.encode())]
        self._plain = [re.compile(re.escape(secret), re.IGNORECASE) for secret in long]
        self._plain += [re.compile("|".join(map(re.escape, sorted(wholes, key=len, reverse=True))))] if wholes else []
        self._spelt = [re.compile("".join(map(_character, secret))) for secret in long]

    def __call__(self, text: str) -> str:
        """`text` with each secret in it replaced."""
        for pattern in self._patterns(text):
            text = pattern.sub(SHOWN, text)
        return text

    def finds(self, text: str) -> bool:
        """Whether a secret stands in a text."""
        return any(pattern.search(text) is not None for pattern in self._patterns(text))

    def _patterns(self, text: str) -> list[re.Pattern[str]]:
        return [*self._plain, *self._spelt] if _SPELLS.search(text) else self._plain


def without_signatures(text: str) -> str:
    """A text whose signed addresses no longer open anything: a gateway may quote the address of a picture that was published
    for it alone."""
    return _SIGNED.sub(rf"\1{SHOWN}", text)


def _character(character: str) -> str:
    """A pattern of one character in all its spellings."""
    plain = {character.lower(), character.upper()}
    codes = sorted({f"{ord(letter):02{case}}" for letter in plain for case in "xX"})
    numbers = "|".join(sorted({str(ord(letter)) for letter in plain}))
    either = "|".join(codes)
    spelt = [*map(re.escape, sorted(plain)), f"%(?:25){{0,4}}(?:{either})", f"=(?:{either})",
             f"&#0{{0,8}}(?:{numbers});", f"&#[xX]0{{0,8}}(?:{either});",
             rf"\\{{1,4}}(?:u00|U000000|x)(?:{either})", rf"\\{{1,4}}u\{{0{{0,8}}(?:{either})\}}"]
    if not character.isalnum():
        spelt.append(rf"\\{{1,4}}{re.escape(character)}")
    return f"(?:{'|'.join(spelt)})"


def _wholes(secret: bytes) -> set[str]:
    """Hex, and what of a base64 text is the same whatever stands before and after the secret."""
    found = {secret.hex(), secret.hex().upper()}
    for before in range(3):
        start = -(-before * 8 // 6)
        end = (before + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * before + secret + b"\0\0").decode()[start:end])
    return found
