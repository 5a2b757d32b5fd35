"""Command lines that are shown to people and programs to type next."""

from __future__ import annotations

import shlex


def command(*words: str, draft: bool = False) -> str:
    """`manifest-runner` and these words, quoted for a shell."""
    return shlex.join(["manifest-runner", *words, *(["--draft"] if draft else [])])
