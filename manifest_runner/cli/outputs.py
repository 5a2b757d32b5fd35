"""Standard output and standard error that may be closed, full, or read by somebody who has gone.

Laws: no file of ours is ever opened under the number of a closed output, where a stray line would be written into it. What
standard error does not take is lost and changes nothing, exit code included. A reader who has gone (`| head`) has seen enough.
Results that standard output does not take for another reason are an error, told once.
"""

from __future__ import annotations

import errno
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # every command passes here, and `typing` takes as long as half of a quick plan
    from typing import Any, TextIO


def mend() -> None:
    """Put both outputs of this process on such footing. To be called before anything else is opened."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number: those of closed streams come first
        pass
    os.close(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - it lives as long as the process
    sys.stdout = _over(sys.stdout, _Output(1, "wb", closefd=False))
    sys.stderr = _over(sys.stderr, _Chatter(2, "wb", closefd=False))


def _over(old: TextIO | None, raw: io.FileIO) -> TextIO:
    encoding, errors = (old.encoding, old.errors) if old is not None else ("utf-8", "backslashreplace")
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors,
                            line_buffering=raw.fileno() == 2 or raw.isatty())


class _Chatter(io.FileIO):
    """Standard error: what cannot be written is lost."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:
            return len(data)
        return len(data) if written is None else written  # None: it is not to wait, and would have to


class _Output(io.FileIO):
    """Standard output: the first failure is told, unless the reader has gone."""

    _broken = False

    def write(self, data: Any, /) -> int:
        try:
            while not self._broken:
                written = super().write(data)
                if written is not None:
                    return written
                import select  # as above

                select.select([], [self], [])  # somebody has made it one that does not wait: results are waited for
            return len(data)
        except OSError as error:
            self._broken = True
            if error.errno in (errno.EPIPE, errno.EINVAL):  # the second is what Windows says of a pipe
                return len(data)
            from manifest_runner.errors import UsageError  # as above

            raise UsageError(f"standard output cannot be written: {error.strerror}", code="output",
                             hint="what was to be done is done; the same command shows it again") from None
