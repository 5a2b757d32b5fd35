"""`simulate`: the provider, on a port of this machine."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import click

from manifest_runner.errors import UsageError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes a free one.")
@click.option("--speed", type=click.FloatRange(min=0.01), default=30.0, show_default=True,
              help="How much faster than the real provider (70-260 s a job).")
@click.option("--fault", multiple=True, metavar="TEXT", help="A fault on demand, such as submit:500@2 or job:fail=moderation.")
@click.option("--credits", "balance", metavar="N", help="The account's credits; without it, as many as you like.")
@click.option("--rate", metavar="N/s|min|h", help="Submissions that it takes; faster ones are answered 429. Default: any.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="Jobs in flight that it takes; default: any.")
@click.option("--replay", type=click.Choice(["replays", "correlates"]), default="replays", show_default=True,
              help="What a repeated external_task_id does.")
@click.option("--seed", metavar="TEXT", help="The same seed gives the same job ids and durations; default: another each time.")
@click.option("--clips/--no-clips", default=True, help="Draw an animatic for each job, or give no bytes.")
@click.option("--folder", metavar="DIR", help="Where clips are kept; default: a temporary folder.")
def simulate(host: str, port: int, speed: float, fault: tuple[str, ...], balance: str | None, rate: str | None,
             concurrency: int | None, replay: str, seed: str | None, clips: bool, folder: str | None) -> None:
    """Run the provider on a port, for no credits.

    Any API key is accepted. The books (every job, charge and request, and what was refused) are at /_sim/books.
    """
    import os
    from functools import partial

    from manifest_runner.adapters.clock import SystemClock
    from manifest_runner.adapters.resources import model_names
    from manifest_runner.adapters.secrets import is_loopback
    from manifest_runner.cli.session import Interrupted, run_until_done, warn
    from manifest_runner.core.validation import parse_rate
    from manifest_runner.simulator.faults import Faults
    from manifest_runner.simulator.server import Simulator, serve
    from manifest_runner.simulator.world import Settings, World

    if not is_loopback(f"http://{f'[{host}]' if ':' in host else host}"):
        raise UsageError(f"{host} is not an address of this machine alone", hint="the simulator listens on loopback: 127.0.0.1")
    settings = Settings(models=model_names(), credits=None if balance is None else Decimal(balance), speed=speed,
                        posts=None if rate is None else parse_rate(rate), concurrency=concurrency,
                        replay="replays" if replay == "replays" else "correlates", seed=seed or os.urandom(8).hex())

    def ready(address: str) -> None:
        click.echo(f"simulator at {address}")
        click.echo(f"  books at {address}/_sim/books")
        click.echo(f"  export MANIFEST_RUNNER_BASE_URL={address} MANIFEST_RUNNER_FRAMES=inline TRINETRA_API_KEY=anything")

    with tempfile.TemporaryDirectory(prefix="manifest-runner-sim-") as temporary:
        simulator = Simulator(folder=Path(folder or temporary), clock=SystemClock(), world=World(settings),
                              faults=Faults(fault), clips=clips)
        try:
            run_until_done(partial(serve, host, port, simulator, ready=ready), lambda _: None)
        except Interrupted:
            warn("stopped")
