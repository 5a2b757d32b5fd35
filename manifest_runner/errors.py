"""Every way this program fails, as one family tree.

    ManifestRunnerError            code, message, exit_code, hint, next_commands
    ├── UsageError                 2  a flag, a setting or a file that cannot be used
    │   └── MissingExtra           2  an optional part that is not installed
    ├── InvalidInput               2  carries Diagnostics: a manifest, lockfile, plan or card that is wrong
    ├── StalePlan                  2  a saved plan no longer describes this checkout
    ├── ShotsFailed                1  some shot failed, or a check found differences
    ├── BudgetExceeded             4  a credit limit would be passed
    ├── LedgerError                2  the ledger cannot be read or written: nothing is submitted
    ├── MediaError                 1  a clip or picture cannot be read, cut or encoded
    ├── DownloadError              1  bytes that did not arrive, or are not what was asked for
    ├── StoreError                 1  the artifact store does not answer, refuses, or holds other bytes than it should
    └── ProviderError              5  the gateway; `sent` and `retry` say what may be done next
        ├── NotSent                   certainly never left: repeat freely
        ├── FateUnknown               may have been accepted: repeat only under the same id, with the same bytes
        ├── Throttled                 429: wait `retry_after`, then repeat
        ├── Refused                   a clear no to this request: no job, no charge
        ├── AccountEmpty              no credits: stop, repeat nothing
        ├── Unauthorized              the key is wrong: stop, repeat nothing
        ├── JobNotFound               GET says 404: never resubmit
        └── Conflict                  an answer for another job or body: halt new submissions

`cli/error_exit.py` is the one place that turns these into exit codes. Library code never prints and never exits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manifest_runner.core.model import Diagnostic


class ExitCode(IntEnum):
    """What the process says when it ends. A contract: scripts read these."""

    DONE = 0
    DIFFERENCES = 1
    INVALID = 2
    BUG = 3
    CREDITS = 4
    PROVIDER = 5
    INTERRUPTED = 130


class ManifestRunnerError(Exception):
    """Base of all errors of this program.

    `code` is stable and machine-readable, `hint` is one sentence on what to do, and `next_commands` are commands
    that are safe to type next.
    """

    code = "error"
    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None,
                 next_commands: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.next_commands = tuple(next_commands)
        if code is not None:
            self.code = code


class UsageError(ManifestRunnerError):
    """A flag, a setting or a file that cannot be used as given."""

    code = "usage"
    exit_code = ExitCode.INVALID


class MissingExtra(UsageError):
    """An optional part of the program is needed and not installed."""

    code = "missing-extra"

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra [{extra}]", hint=f"pip install 'manifest-runner[{extra}]'")
        self.extra = extra


class InvalidInput(ManifestRunnerError):
    """Input that is wrong, with one Diagnostic for every mistake found in it.

    `texts` maps paths as shown to the text that was read there, so that the line under a caret can be printed.
    """

    code = "invalid-input"
    exit_code = ExitCode.INVALID

    def __init__(self, diagnostics: Sequence[Diagnostic], *, texts: Mapping[str, str] | None = None,
                 next_commands: Sequence[str] = ()) -> None:
        warnings = sum(item.severity == "warning" for item in diagnostics)
        counts = ((len(diagnostics) - warnings, "mistake"), (warnings, "warning"))
        super().__init__(", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count),
                         next_commands=next_commands)
        self.diagnostics = tuple(diagnostics)
        self.texts = dict(texts or {})


class StalePlan(ManifestRunnerError):
    """A saved plan does not describe this checkout any more. Nothing was submitted."""

    code = "stale-plan"
    exit_code = ExitCode.INVALID


class ShotsFailed(ManifestRunnerError):
    """Some shots failed, or a check found differences; everything else was done."""

    code = "shots-failed"
    exit_code = ExitCode.DIFFERENCES


class BudgetExceeded(ManifestRunnerError):
    """A reservation would pass a credit limit; nothing was reserved and nothing sent."""

    code = "credit-limit"
    exit_code = ExitCode.CREDITS


class LedgerError(ManifestRunnerError):
    """The ledger cannot be trusted or written. No submission may follow."""

    code = "ledger"
    exit_code = ExitCode.INVALID


class MediaError(ManifestRunnerError):
    """A clip or a picture cannot be read, cut or encoded."""

    code = "media"
    exit_code = ExitCode.DIFFERENCES


class DownloadError(ManifestRunnerError):
    """Bytes that did not arrive, or that are not what was asked for.

    `expired` is true where the address itself was refused (403, 404, 410): ask the job for a fresh one.
    """

    code = "download"
    exit_code = ExitCode.DIFFERENCES

    def __init__(self, message: str, *, expired: bool = False, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.expired = expired


class StoreError(ManifestRunnerError):
    """The shared artifact store does not answer or refuses, or (`damaged`) its bytes are not those that their name says."""

    code = "store"
    exit_code = ExitCode.DIFFERENCES

    def __init__(self, message: str, *, damaged: bool = False, hint: str | None = None) -> None:
        super().__init__(message, code="damaged-object" if damaged else None, hint=hint)
        self.damaged = damaged


class ProviderError(ManifestRunnerError):
    """The gateway answered something other than what was asked for, or did not answer.

    `status` is the HTTP status where there was one; `words` are the provider's own words, kept as they came.
    """

    code = "provider"
    exit_code = ExitCode.PROVIDER

    def __init__(self, message: str, *, status: int | None = None, words: str = "", hint: str | None = None,
                 next_commands: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint, next_commands=next_commands)
        self.status = status
        self.words = words


class NotSent(ProviderError):
    """The request certainly never reached the gateway. It may be repeated freely.

    `permanent` marks what no retry can mend (a certificate that does not verify).
    """

    code = "not-sent"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class FateUnknown(ProviderError):
    """The request left and no usable answer came back. A job may exist."""

    code = "fate-unknown"


class Throttled(ProviderError):
    """Too many requests, or (`crowded`) too many jobs in flight. `retry_after` is in seconds, None where nothing was said.
    `everywhere`: it is said of the whole gateway and not of this one request alone, as another 5xx may be."""

    code = "throttled"

    def __init__(self, message: str, *, retry_after: float | None, status: int | None = 429, words: str = "",
                 crowded: bool = False) -> None:
        super().__init__(message, status=status, words=words)
        self.retry_after = retry_after
        self.crowded = crowded
        self.everywhere = status in (429, 503)


class Refused(ProviderError):
    """The gateway refused this request for what it contains. No job exists and nothing is charged."""

    code = "refused"


class AccountEmpty(ProviderError):
    """The account has no credits left. Waiting does not help."""

    code = "account-empty"


class Unauthorized(ProviderError):
    """The API key was not accepted."""

    code = "unauthorized"


class JobNotFound(ProviderError):
    """The gateway does not know this job (yet, or any more)."""

    code = "job-not-found"


class Conflict(ProviderError):
    """The answer belongs to another job or another body than the one that was sent."""

    code = "conflict"
