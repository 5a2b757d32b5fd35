"""`schema`: the JSON Schemas, for editors and programs; and the tables of a team's ledger and queue, for whoever owns the
database."""

from __future__ import annotations

import re

import click

from manifest_runner.adapters.resources import load_card, model_names, read_text
from manifest_runner.cli.project import DEFAULT_MODEL
from manifest_runner.core.schema import json_text, manifest_schema, model_card_schema
from manifest_runner.errors import UsageError

_ROLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


@click.command()
@click.argument("name", type=click.Choice(["manifest", "lockfile", "plan", "model-card", "ledger", "queue"]),
                default="manifest")
@click.option("--model", type=click.Choice(model_names()), default=DEFAULT_MODEL, help="Whose parameters a manifest may set.")
@click.option("--role", default="manifest_runner", help="Of ledger and queue: the role that machines log in with.")
def schema(name: str, model: str, role: str) -> None:
    """Print the JSON Schema (draft-07) of a manifest, lockfile, plan or model card.

    For `ledger` and `queue` it is SQL: what whoever owns the database of a team's ledger runs once (`… | psql DATABASE`), so
    that a role may use it that owns nothing. The queue is for `render --detach` and `worker`.
    """
    if name in ("ledger", "queue"):
        if not _ROLE.fullmatch(role):
            raise UsageError(f"{role!r} is no name of a role", code="bad-role",
                             hint="lower-case letters, digits and _, the first a letter, 63 at most")
        click.echo(_sql(name, role), nl=False)
    elif name == "manifest":
        click.echo(json_text(manifest_schema(load_card(model), templates=True)), nl=False)
    elif name == "model-card":  # as above from the code, so that the file can be written with it
        click.echo(json_text(model_card_schema()), nl=False)
    else:
        click.echo(read_text(f"{name}.schema.json"), nl=False)


def _sql(name: str, role: str) -> str:
    if name == "queue":
        from manifest_runner.adapters import team_queue  # few have a database

        return team_queue.script(role)
    from manifest_runner.adapters import team_schema  # as above

    return team_schema.script(role)
