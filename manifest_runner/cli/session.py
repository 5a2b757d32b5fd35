"""The live side of a command: gateway or embedded simulator, ledger, store, and how a run is stopped.

Imported only by commands that talk to a gateway; it brings anyio and httpx.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import anyio
import click

from manifest_runner.adapters.clock import SystemClock
from manifest_runner.adapters.downloads import HttpDownloads
from manifest_runner.adapters.frames import InlineFrames
from manifest_runner.adapters.gateway import HttpGateway
from manifest_runner.adapters.ledger_account import AccountLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.adapters.rescue import RescueFiles
from manifest_runner.adapters.secrets import Secret, account_of, is_loopback, read_key
from manifest_runner.adapters.settings import Settings
from manifest_runner.adapters.webhook import WebhookListener, callback_address, listen_address, need_server, webhook_token
from manifest_runner.cli import belonging
from manifest_runner.cli.belonging import Run
from manifest_runner.cli.ledgers import name_of, open_ledger
from manifest_runner.cli.project import Project
from manifest_runner.cli.stores import frames_of, store_of
from manifest_runner.cli.words import command
from manifest_runner.core.lifecycle import UNFINISHED, Abandoned
from manifest_runner.core.model import Limits
from manifest_runner.core.polling import QUICK_RATE, PollPolicy
from manifest_runner.engine import Archive, Options, Outside, take_back
from manifest_runner.errors import ExitCode, ManifestRunnerError, MissingExtra, UsageError
from manifest_runner.ports import Frames, Media, SpendingLimits
from manifest_runner.views.text import safe

T = TypeVar("T")
DRAFT_URL = "http://simulator.invalid"


def tightest(project: Project, manifest: Limits) -> SpendingLimits:
    """The tighter of what the operator and the manifest say, limit by limit."""
    settings = project.settings
    rates = [rate for rate in (settings.rate(), manifest.rate) if rate is not None]
    return SpendingLimits(
        rate=max(rates, key=lambda rate: rate.spacing, default=None),
        concurrency=_least(settings.concurrency(), manifest.concurrency),
        run_credits=_least(settings.credits("max-credits"), manifest.credits),
        daily_credits=settings.credits("daily-credits"),
    )


Number = TypeVar("Number", int, Decimal)


def _least(*values: Number | None) -> Number | None:
    return min((value for value in values if value is not None), default=None)


def key_if_any(settings: Settings) -> Secret | None:
    """The operator's key, None where there is none."""
    chosen = settings.text("key-file")
    return read_key(os.environ, Path(chosen) if chosen else None)


def key_of(project: Project) -> Secret:
    """The operator's key; raises `UsageError` that says both ways on where there is none."""
    key = key_if_any(project.settings)
    if key is None:
        raise UsageError("no API key: nothing was read or sent", code="no-key",
                         hint="set TRINETRA_API_KEY (or --key-file FILE) to render for credits, or add --draft for an animatic "
                              "that costs nothing",
                         next_commands=[command("render", project.shown, draft=True)])
    return key


def account(project: Project, key: Secret) -> str:
    """Under which name the ledger files this gateway and key."""
    return account_of(_base_url(project), key)


def _base_url(project: Project) -> str:
    return project.settings.text("base-url") or ""


@asynccontextmanager
async def live(project: Project, key: Secret, limits: SpendingLimits, run: Run) -> AsyncIterator[tuple[Outside, Options]]:
    """Everything outside for a paid run."""
    base_url, clock = _base_url(project), SystemClock()
    local = is_loopback(base_url)
    async with AsyncExitStack() as stack:
        listener, callback_url, hidden = await _listener(stack, project, clock)
        gateway = await stack.enter_async_context(HttpGateway(base_url, key, clock=clock, hidden=hidden))
        downloads = await stack.enter_async_context(HttpDownloads(allow_local=local, clock=clock))
        ledger = stack.enter_context(_ledger(project, account_of(base_url, key), run, clock))
        outside = _outside(project, gateway, downloads, ledger, frames_of(project), clock,
                           _rescue(project, account_of(base_url, key)))
        outside = replace(outside, listener=listener)
        poll = PollPolicy(first=0.5, every=0.5) if local else PollPolicy()
        poll = replace(poll, rate=QUICK_RATE) if gateway.asks_quickly else poll
        yield outside, Options(limits=limits, callback_url=callback_url, poll=poll)


def check_listening(project: Project) -> tuple[str, int] | None:
    """Where the operator wants webhooks to be heard, None where nowhere; raises `UsageError` for what cannot work, before a
    plan is shown or anything is asked."""
    listen, callback_url = project.settings.values["listen"], project.settings.text("callback-url")
    if listen.value is None:
        return None
    callback_address(callback_url, "")
    need_server()
    return listen_address(listen.value, listen.origin)


async def _listener(stack: AsyncExitStack, project: Project,
                    clock: SystemClock) -> tuple[WebhookListener | None, str | None, tuple[str, ...]]:
    """The listener, what the gateway is told to call, and what of that must never be shown: whatever follows the host."""
    callback_url, address = project.settings.text("callback-url"), check_listening(project)
    secret = _secrets_of(callback_url) if callback_url is not None else ()
    if address is None:
        return None, callback_url, secret
    token = webhook_token(project.state.make().webhook_token, warn)
    listener = await stack.enter_async_context(WebhookListener(*address, token, clock=clock))
    return listener, callback_address(callback_url, token), (*secret, token)


@asynccontextmanager
async def draft(project: Project, run: Run) -> AsyncIterator[tuple[Outside, Options]]:
    """Everything outside for a draft: the provider lives in this process and ends with it."""
    import httpx

    _need("video,sim", "a draft", "av", "PIL", "starlette")
    from manifest_runner.simulator.page import LIST_PRICES
    from manifest_runner.simulator.server import Simulator
    from manifest_runner.simulator.world import Settings, World

    clock, key = SystemClock(), Secret("draft")
    guard = project.state.make().guard(f"draft {project.name}")
    async with AsyncExitStack() as stack:
        stack.enter_context(_alone(guard))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="manifest-runner-draft-")))
        free = dict.fromkeys(LIST_PRICES, Decimal(0))
        world = World(Settings(speed=1e6, seed=os.urandom(8).hex(), prices=free))
        simulator = await stack.enter_async_context(Simulator(folder=folder, clock=clock, world=world, base_url=DRAFT_URL,
                                                              place=stack.enter_context(belonging.place())))
        transport = httpx.ASGITransport(simulator.app)
        gateway = await stack.enter_async_context(HttpGateway(DRAFT_URL, key, transport=transport, clock=clock))
        downloads = await stack.enter_async_context(HttpDownloads(transport=transport, clock=clock))
        ledger = stack.enter_context(_ledger(project, "draft", run, clock))
        for job in ledger.jobs(project.name):
            if job.state in UNFINISHED:  # its simulator has gone with the run that asked it
                ledger.record(job.intent.external_task_id, Abandoned(release=True))
        rescue = RescueFiles(account="draft", ledger=name_of(project), places=(), say=_tell)  # nothing to lose
        outside = _outside(project, gateway, downloads, ledger, InlineFrames(), clock, rescue)
        limits = SpendingLimits(concurrency=2 * (os.cpu_count() or 2))
        yield outside, Options(limits=limits, poll=PollPolicy(first=0.05, every=0.1))


def _secrets_of(address: str) -> tuple[str, ...]:
    """What must not be shown of a callback's address: all that is more than a host, as a whole and in its parts."""
    parts = urlsplit(address)
    inside = [part for part in (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password) if part]
    return (address, *inside) if inside else ()


def _need(extra: str, purpose: str, *modules: str) -> None:
    """Say at once, and in one sentence, which extras are missing."""
    from importlib import import_module

    for module in modules:
        try:
            import_module(module)
        except ImportError:
            raise MissingExtra(extra, purpose) from None


def _alone(guard: Path) -> AbstractContextManager[object]:
    """Hold the draft of one manifest: two at once would take each other's jobs for dead."""
    from filelock import FileLock, Timeout

    lock = FileLock(guard)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        raise UsageError("another draft of this manifest is being rendered", code="draft-busy", hint="wait for it") from None


def _ledger(project: Project, name: str, run: Run, clock: SystemClock) -> AccountLedger:
    return open_ledger(project, name, run=run.name, sender=run.sender, say=_tell, wall=clock.wall)


def _outside(project: Project, gateway: HttpGateway, downloads: HttpDownloads, ledger: AccountLedger, frames: Frames,
             clock: SystemClock, rescue: RescueFiles) -> Outside:
    from manifest_runner.adapters.media import PyAvMedia

    return Outside(provider=gateway, ledger=GroupLedger(ledger), store=store_of(project, _tell, publishes=True),
                   media=PyAvMedia(), downloads=downloads, frames=frames, files=project.files, clock=clock,
                   lock=project.lock_writer(), rescue=rescue)


@asynccontextmanager
async def archive(project: Project, key: Secret | None) -> AsyncIterator[Archive]:
    """Where the clips of finished takes may be had back: the stores, and with a key the gateway."""
    clock, base_url = SystemClock(), _base_url(project)
    async with AsyncExitStack() as stack:
        gateway = None if key is None else await stack.enter_async_context(HttpGateway(base_url, key, clock=clock))
        local = is_loopback(base_url)
        downloads = await stack.enter_async_context(HttpDownloads(allow_local=local, clock=clock))
        yield Archive(provider=gateway, store=store_of(project, _tell), media=_media(), downloads=downloads, clock=clock)


def _media() -> Media | None:
    """A second look at what was fetched, where the extra is there; the hash decides in any case."""
    try:
        from manifest_runner.adapters.media import PyAvMedia
    except MissingExtra:
        return None
    return PyAvMedia()


def _rescue(project: Project, name: str) -> RescueFiles:
    """Where job ids go that the ledger cannot take: beside it, else beside the manifest, else to the temporary folder."""
    places = (project.state.root, project.files.folder, Path(tempfile.gettempdir()))
    return RescueFiles(account=name, ledger=name_of(project), places=places, say=_tell)


def recover(project: Project, key: Secret, run: Run) -> None:
    """Take the job ids that an earlier run could not record into the ledger, before anything is planned."""
    if not _rescue(project, account(project, key)).found():
        return

    async def main() -> None:
        async with live(project, key, SpendingLimits(), run) as (outside, _):
            await take_back(outside, _tell)

    run_until_done(main, warn)


class Interrupted(Exception):
    """The run was stopped by a signal; everything is saved."""


def run_until_done(main: Callable[[], Awaitable[T]], say: Callable[[str], None]) -> T:
    """Run `main`; the first SIGINT or SIGTERM stops and saves, a second one leaves at once. Raises `Interrupted`."""
    import gc

    gc.enable()  # a run lives long; only the loading before it is better off without
    outcome: list[T] = []

    async def watch(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                say("stopping: no new submissions, saving what is known (once more to leave at once)")
                break
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        scope.cancel()

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            outcome.append(await main())
            group.cancel_scope.cancel()

    try:
        anyio.run(both)
    except BaseExceptionGroup as group:
        raise _first(group) from group
    if not outcome:
        raise Interrupted
    return outcome[0]


def _leave(*_: object) -> NoReturn:
    """Leave at once: the ledger survives a kill anywhere."""
    belonging.give_back()
    os._exit(int(ExitCode.INTERRUPTED))


def _first(group: BaseExceptionGroup) -> BaseException:
    """What went wrong, out of the groups that task groups wrap it into: an error of ours before anything else."""
    flat: list[BaseException] = []
    todo: list[BaseException] = [group]
    while todo:
        error = todo.pop()
        if isinstance(error, BaseExceptionGroup):
            todo.extend(error.exceptions)
        else:
            flat.append(error)
    return next((error for error in flat if isinstance(error, ManifestRunnerError)), flat[-1])


def _tell(text: str) -> None:
    """What adapters and engine have to say: it may quote the gateway or a path."""
    warn(safe(text))


def warn(text: str) -> None:
    """One line on standard error, whatever has become of it."""
    try:
        click.echo(text, err=True)
    except OSError:
        return
