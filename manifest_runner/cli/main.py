"""The command line: finds the subcommand, and nothing else.

One subcommand, one file in `commands`, one function of that name. They are imported one at a time, when they are asked
for; the table below is what `--help` shows, so that help imports none of them.
"""

from __future__ import annotations

import importlib
import keyword
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from manifest_runner import __version__
from manifest_runner.cli.error_exit import leave
from manifest_runner.errors import ExitCode

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE = "_MANIFEST_RUNNER_COMPLETE"
"""Set by the scripts of `completion` while a shell asks what may be typed."""

COMMANDS: Mapping[str, str] = {
    "init": "Write a first manifest to start from.",
    "validate": "Find every mistake in a manifest, without a key or a network.",
    "fmt": "Lay manifests out in one way; values and comments stay.",
    "import": "Make a manifest of a shot list in CSV.",
    "export": "Write the shots of a manifest as CSV, for a spreadsheet.",
    "graph": "Which shots take frames from which: text, DOT or Mermaid.",
    "plan": "Show what would be rendered, why, and for how many credits.",
    "render": "Submit, wait, download and lock; run it again after anything.",
    "worker": "Carry out what `render --detach` has left in the queue.",
    "status": "Where every take stands, what was spent, what to type next.",
    "circle": "Choose the take of a shot that goes into the cut.",
    "retake": "Ask for one more take of a shot, with its price.",
    "adopt": "Say that a take in doubt is this job of the gateway's.",
    "abandon": "Give a take up that is in doubt or missing.",
    "report": "Write the review page: clips, takes, changes and credits.",
    "reel": "Cut the circled takes into one film.",
    "timeline": "Hand the cut to an editor: OTIO, EDL, Final Cut XML.",
    "make": "Write rules for GNU make: clips, reel and report.",
    "pull": "Bring the locked clips to their places, for no credits.",
    "push": "Copy the locked clips to the shared store.",
    "verify": "Read every byte of the locked clips, and mend what is damaged.",
    "gc": "Delete stored clips that no lockfile of the git history names.",
    "lock": "Rebuild the lockfile from the ledger, check it, or settle a merge.",
    "merge": "Merge lockfiles shot by shot; git runs it.",
    "models": "What can be rendered, with its rules and prices.",
    "schema": "Print a JSON Schema for editors and programs.",
    "completion": "Print a completion script for bash, zsh or fish.",
    "simulate": "Run the provider on a port of this machine, for no credits.",
}


def module_of(name: str) -> str:
    """What file and function of a subcommand are called: as it is, but for a word that Python keeps for itself (`import_`)."""
    return f"{name}_" if keyword.iskeyword(name) else name


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"manifest_runner.cli.commands.{module_of(cmd_name)}")
        command = getattr(module, module_of(cmd_name))
        assert isinstance(command, click.Command)  # noqa: S101 - file = subcommand = function; a test holds it
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands by the table above, so that a press of the tab key imports none of them."""
        from click.shell_completion import CompletionItem  # only while a shell asks

        named = [CompletionItem(name, help=words) for name, words in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
             epilog="Start with: manifest-runner init")
@click.version_option(__version__, message="manifest-runner %(version)s")
def cli() -> None:
    """Shot lists in git: plan, price, render and lock generative video, shot by shot."""


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return the process's exit code."""
    if VARIABLE in os.environ:
        try:
            cli.main(list(arguments), prog_name="manifest-runner", complete_var=VARIABLE)
        except Exception:  # a shell asks what may be typed: whatever is wrong, it is no time to say so
            return int(ExitCode.DIFFERENCES)
    return leave(lambda: cli.main(list(arguments), prog_name="manifest-runner", standalone_mode=False), arguments)
