"""`worker`: carries out what `render --detach` has left in the queue."""

from __future__ import annotations

import click

from manifest_runner.cli.options import output_options, setting_options


@click.command()
@click.option("--until-idle", is_flag=True, help="End once nothing waits and nobody has anything in hand.")
@click.option("--orders", "at_once", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N",
              help="Orders that are carried out at once.")
@setting_options("rate", "concurrency", "base-url", "key-file", "state-dir", "store", "store-url", "frames")
@output_options()
def worker(until_idle: bool, at_once: int, **flags: str | None) -> int:
    """Carry out orders from the queue of a team's ledger, until it is stopped.

    Needs no checkout: everything comes out of the database and the artifact store, and clips go there. Stopped, it saves what
    it knows and gives its orders back; killed, another worker takes them up, and nothing is paid twice.
    """
    from manifest_runner.cli.working import Working  # anyio, httpx and the extra [team]

    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return int(Working(named, at_once=at_once, until_idle=until_idle).run())
