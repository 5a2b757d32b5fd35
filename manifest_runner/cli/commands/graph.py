"""`graph`: the shots and what they take from each other."""

from __future__ import annotations

import click

from manifest_runner.cli.options import manifest_argument, only_option, output_options, setting_options
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.core.shotgraph import graph_of
from manifest_runner.views.graph import MOST_CHARACTERS, MOST_EDGES, graph_dot, graph_mermaid, graph_text


@click.command()
@manifest_argument
@only_option
@click.option("--format", "style", type=click.Choice(["text", "dot", "mermaid"]), default="text",
              help="For a terminal, for Graphviz, or for Markdown.")
@click.option("--pictures", is_flag=True, help="Pictures of files and addresses, too.")
@click.option("--draft", is_flag=True, help="With the states of the draft.")
@setting_options("state-dir")
@output_options()
def graph(manifest: str, only: tuple[str, ...], style: str, pictures: bool, draft: bool, **flags: str | None) -> None:
    """Show which shots of MANIFEST take frames from which, and where each stands by the plan.

    Needs no key, changes nothing, and asks nobody.
    """
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()}, draft=draft)
    show = project.load()
    planned = plan_project(project, show, only=only, settled=False)
    found = graph_of(show.manifest, planned.plan.changes, pictures=pictures)
    if style == "text":
        click.echo(graph_text(found))
        return
    if style == "dot":
        click.echo(graph_dot(found, title=project.stem), nl=False)
        return
    text = graph_mermaid(found)
    click.echo(text, nl=False)
    if len(found.edges) + len(found.pictures) > MOST_EDGES or len(text) > MOST_CHARACTERS:
        click.echo(f"Mermaid draws {MOST_EDGES} arrows and {MOST_CHARACTERS:,} characters at most, unless it is configured "
                   "otherwise: take --only ID, or --format dot", err=True)
