"""`completion`: a script that teaches a shell to complete commands, flags, manifests and shots."""

from __future__ import annotations

import click

from manifest_runner.cli.main import VARIABLE

# Without it zsh knows no `compdef`, and would say so at every start.
_ZSH_READY = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }\n"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    In the start-up file of bash or zsh: eval "$(manifest-runner completion bash)"; of fish: manifest-runner completion fish
    | source
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete  # only here

    kind = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    made = kind(context.find_root().command, {}, "manifest-runner", VARIABLE)
    script = made.source_template % made.source_vars()  # `source` would run bash to ask for its version
    if shell == "zsh":
        first, _, rest = script.lstrip().partition("\n")
        script = f"{first}\n{_ZSH_READY}{rest}"
    click.echo(script.strip())
