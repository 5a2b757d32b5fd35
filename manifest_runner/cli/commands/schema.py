"""`schema`: the JSON Schemas, for editors and programs."""

from __future__ import annotations

import click

from manifest_runner.adapters.resources import load_card, model_names, read_text
from manifest_runner.cli.project import DEFAULT_MODEL
from manifest_runner.core.schema import json_text, manifest_schema, model_card_schema


@click.command()
@click.argument("name", type=click.Choice(["manifest", "lockfile", "plan", "model-card"]), default="manifest")
@click.option("--model", type=click.Choice(model_names()), default=DEFAULT_MODEL, help="Whose parameters a manifest may set.")
def schema(name: str, model: str) -> None:
    """Print the JSON Schema (draft-07) of a manifest, lockfile, plan or model card."""
    if name == "manifest":
        click.echo(json_text(manifest_schema(load_card(model), templates=True)), nl=False)
    elif name == "model-card":  # as above from the code, so that the file can be written with it
        click.echo(json_text(model_card_schema()), nl=False)
    else:
        click.echo(read_text(f"{name}.schema.json"), nl=False)
