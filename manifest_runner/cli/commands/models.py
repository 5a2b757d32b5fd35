"""`models`: what can be rendered, with its rules and prices."""

from __future__ import annotations

import json

import click

from manifest_runner.adapters.resources import load_card, model_names
from manifest_runner.cli.options import output_options
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import format_credits
from manifest_runner.views.text import columns


@click.command()
@click.argument("name", required=False)
@output_options("json")
def models(name: str | None, as_json: bool) -> None:
    """List the models that there are cards for, or show one: NAME."""
    cards = [load_card(known) for known in ([name] if name else model_names())]
    if as_json:
        click.echo(json.dumps([card.data for card in cards], ensure_ascii=False, indent=2))
    elif name:
        click.echo(_card(cards[0]))
    else:
        for line in columns([(card.name, card.title, _price(card)) for card in cards]):
            click.echo(line)


def _price(card: ModelCard) -> str:
    price = card.price
    rows = ", ".join(f"{key} {format_credits(amount)}" for key, amount in price.table.items())
    return f"credits a {price.unit}: {rows} (1 credit = {price.symbol}{format_credits(price.per_credit)})"


def _card(card: ModelCard) -> str:
    lines = [f"{card.name}: {card.title}", _price(card), "", "parameters"]
    lines += [f"  {line}" for line in columns([
        (name, "required" if name in card.required else f"default {schema['default']}" if "default" in schema else "",
         str(schema.get("description", ""))) for name, schema in card.parameters.items()])]
    frames = card.frames
    rule = f" (only with a first frame, and only {frames.last_duration} s long)" if frames.last_duration is not None else ""
    lines += ["", f"frames: first_frame, last_frame{rule}", f"camera: {', '.join(card.camera.words)}; amount 0 to 10",
              f"external_task_id: {card.jobs.external_task_id.value}"]
    return "\n".join(lines)
