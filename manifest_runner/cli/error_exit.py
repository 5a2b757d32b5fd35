"""The one place where an exception becomes words and an exit code.

Results go to standard output, errors to standard error. With `--json` an error is one object on standard output:
`{code, message, diagnostics, next}`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import click

from manifest_runner.errors import ExitCode, InvalidInput, ManifestRunnerError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import safe


def leave(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command and return the exit code that says how it ended."""
    wants_json = "--json" in arguments or _follows(arguments, "--format", "json")
    try:
        result = command()
        sys.stdout.flush()
        return int(result) if isinstance(result, int) else int(ExitCode.DONE)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return _usage(error, wants_json)
    except (KeyboardInterrupt, click.Abort):
        if wants_json:
            _write_json("interrupted", "interrupted", [], [])
        else:
            click.echo("interrupted", err=True)
        return int(ExitCode.INTERRUPTED)
    except ManifestRunnerError as error:
        return _report(error, wants_json)
    except Exception as error:  # a fault of ours must not look like a failed shot
        return _fault(error, wants_json)


def _follows(arguments: Sequence[str], flag: str, value: str) -> bool:
    return f"{flag}={value}" in arguments or (flag, value) in pairwise(arguments)


def _usage(error: click.UsageError, wants_json: bool) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx is not None:
        click.echo(error.ctx.get_help(), err=True)
        return int(ExitCode.INVALID)
    context = error.ctx.command_path if error.ctx is not None else "manifest-runner"
    if wants_json:
        _write_json("usage", error.format_message(), [], [f"{context} --help"])
    else:
        click.echo(f"{_label()}{safe(error.format_message())}\n  try: {context} --help", err=True)
    return int(ExitCode.INVALID)


def _fault(error: Exception, wants_json: bool) -> int:
    """Something that should not happen. The details go to a file, since they help only whoever mends it."""
    import tempfile
    import traceback

    from manifest_runner.adapters.secrets import without_secrets  # as the two above: a fault is rare

    with tempfile.NamedTemporaryFile("w", prefix="manifest-runner-fault-", suffix=".txt", delete=False, encoding="utf-8",
                                     errors="backslashreplace") as file:
        file.write(without_secrets("".join(traceback.format_exception(error))))
    message = without_secrets(f"a fault of this program: {type(error).__name__}: {error}")
    hint = f"please report it with {file.name}; the ledger is safe, and the same command may be run again"
    if wants_json:
        _write_json("fault", message, [], [], hint)
    else:
        click.echo(f"{_label()}{safe(message)}\n  hint: {safe(hint)}", err=True)
    return int(ExitCode.BUG)


def _report(error: ManifestRunnerError, wants_json: bool) -> int:
    from manifest_runner.views.diagnostics import as_dict, as_text  # start-up: `--help` reports nothing

    diagnostics = error.diagnostics if isinstance(error, InvalidInput) else ()
    if wants_json:
        _write_json(error.code, error.message, [as_dict(item) for item in diagnostics], list(error.next_commands), error.hint)
        return int(error.exit_code)
    if isinstance(error, InvalidInput):
        click.echo(as_text(diagnostics, error.texts), err=True)
        click.echo(f"\n{error.message}", err=True)
        return int(error.exit_code)
    click.echo(f"{_label()}{safe(error.message)}", err=True)
    if error.hint:
        click.echo(f"  hint: {safe(error.hint)}", err=True)
    for command in error.next_commands:
        click.echo(f"  next: {safe(command)}", err=True)
    return int(error.exit_code)


def _label() -> str:
    return click.style("error: ", fg="red", bold=True)


def _write_json(code: str, message: str, diagnostics: list[dict[str, Any]], commands: list[str],
                hint: str | None = None) -> None:
    import json  # start-up, as above


    body = {"code": code, "message": message, "hint": hint, "diagnostics": diagnostics, "next": commands}
    click.echo(json_text(json.dumps(body, ensure_ascii=False, indent=2)))
