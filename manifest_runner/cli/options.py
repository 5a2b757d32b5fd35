"""Flags that several commands share, and how output is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from manifest_runner.adapters.settings import VARIABLES
from manifest_runner.cli.completing import complete_manifests, complete_shots

F = TypeVar("F", bound=Callable[..., Any])

_SETTING_HELP = {
    "base-url": "The gateway's address.",
    "key-file": "A file that holds the API key.",
    "state-dir": "Where the ledger and the store live.",
    "max-credits": "The most that this run may spend.",
    "rate": "Submissions per time: 30/min.",
    "concurrency": "Jobs in flight at most.",
    "store": "The artifact store: s3://BUCKET/PREFIX, gs://…, az://…, or a folder.",
    "store-url": "The address below which anybody can read the store; else addresses are signed.",
    "frames": "How pictures reach the gateway: store or inline.",
    "callback-url": "A webhook for finished jobs; with --listen, where the gateway reaches it.",
    "listen": "HOST:PORT: hear webhooks there (extra [sim]).",
}


def manifest_argument(command: F) -> F:
    """The manifest, a path."""
    return click.argument("manifest", metavar="MANIFEST", shell_complete=complete_manifests)(command)


def manifests_argument(command: F) -> F:
    """One manifest or several, paths."""
    return click.argument("manifests", metavar="MANIFEST...", nargs=-1, required=True,
                          shell_complete=complete_manifests)(command)


def only_option(command: F) -> F:
    """Shots by id."""
    return click.option("--only", multiple=True, metavar="ID", shell_complete=complete_shots,
                        help="These shots, and those whose frames they need.")(command)


_OUTPUT = {
    "json": click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output."),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Only results and errors."),
    "verbose": click.option("-v", "--verbose", is_flag=True, help="Say more."),
}


def output_options(*names: str) -> Callable[[F], F]:
    """`--color`, in force as soon as it is parsed, and those of `json`, `quiet` and `verbose` that a command heeds."""

    def decorate(command: F) -> F:
        for name in names:
            command = _OUTPUT[name](command)
        return click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", is_eager=True,
                            expose_value=False, callback=_set_colour, help="Colour the output.")(command)

    return decorate


def _set_colour(context: click.Context, _: click.Parameter, value: str) -> None:
    if value == "never" or (value == "auto" and (os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")):
        context.color = False
    elif value == "always":
        context.color = True


def setting_options(*names: str) -> Callable[[F], F]:
    """Flags for operator's settings; the command receives them as one mapping `flags`, by setting name."""

    def decorate(command: F) -> F:
        for name in names:
            variable = VARIABLES[name]
            words = _SETTING_HELP[name] + (f" [{variable}]" if variable else "")
            command = click.option(f"--{name}", name.replace("-", "_"), metavar="VALUE", help=words)(command)
        return command

    return decorate
