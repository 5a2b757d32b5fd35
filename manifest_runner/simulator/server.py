"""The simulator's HTTP face: the world behind Starlette, in process or on a port of this machine.

    POST /v1/video/{model}     GET /v1/jobs/{id}     GET, HEAD /out/{name}.mp4 (ranges too)
    GET  /_sim/books           POST /_sim/faults     GET /_sim/health

Laws: rules and money live in `world`; here are only answers, faults on their way out, clips and webhooks. What the world did
stands in the books even where its answer is lost. A dropped connection is a closed socket on a port; in process, where
there is no socket, the client gets the httpx error that it would have seen on one.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import httpx

from manifest_runner.errors import MediaError, MissingExtra, UsageError
from manifest_runner.ports import Clock
from manifest_runner.simulator.books import Job
from manifest_runner.simulator.clips import FLAW, FLAWS, ClipRoom, Place, Render, animatic, parse_task_id
from manifest_runner.simulator.faults import Fault, Faults, Phase
from manifest_runner.simulator.page import external_task_id_in
from manifest_runner.simulator.world import Delivery, World, error_document

try:
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise MissingExtra("sim", "the simulator") from error

__all__ = ["DROP", "Simulator", "parse_task_id", "serve"]

DROP = "manifest_runner.drop"
"""Where the ASGI scope carries a function that closes the connection, if there is one."""

_WEBHOOK_SECONDS = 10.0
_DELIVERIES = 10  # at a time: httpx's pool grows slow when many wait inside it
_BACKLOG = 2048
_DATE_SECONDS = 2.0  # how far ahead a `Retry-After` date lies
_ERROR_CODES = {401: "unauthorized", 402: "insufficient_credits", 404: "not_found", 429: "rate_limited"}


class Simulator:
    """The provider, as an ASGI application and the work behind it.

    Enter it (`async with`) before the first request: it encodes clips and delivers webhooks in a task group of its own, and
    leaving it cancels what is unfinished. `folder` is where clips go. Without `clips` jobs need none and `/out` has nothing
    to give; `render` stands in for the animatic, and `place` gives each of them room on this machine. `base_url` goes before
    the addresses of outputs; empty is filled in by `serve`. `webhooks` is the httpx transport of deliveries, None for the
    network.
    """

    def __init__(self, *, folder: Path, clock: Clock, world: World, base_url: str = "", faults: Faults | None = None,
                 clips: bool = True, encoders: int | None = None, render: Render | None = None,
                 place: Place | None = None, webhooks: httpx.AsyncBaseTransport | None = None) -> None:
        world.base_url = base_url.rstrip("/")
        world.gated = clips
        self.world = world
        self.faults = faults or Faults()
        self.app = Starlette(routes=[
            Route("/v1/video/{model}", self._submit, methods=["POST"]),
            Route("/v1/jobs/{job_id}", self._job),
            Route("/out/{name}.mp4", self._output),
            Route("/_sim/books", self._show_books),
            Route("/_sim/faults", self._set_faults, methods=["POST"]),
            Route("/_sim/health", self._health),
        ])
        self._folder = folder
        self._clock = clock
        self._began = clock.monotonic()
        self._render = render or animatic
        self._place = place
        self._encoders = encoders or os.cpu_count() or 1
        self._room: ClipRoom | None = None
        self._clips: dict[str, Path] = {}
        self._transport = webhooks
        self._deliveries = anyio.CapacityLimiter(_DELIVERIES)
        self._postman: httpx.AsyncClient | None = None
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        if self.world.gated:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._room = ClipRoom(self._folder, self._render, self._encoders, self._place)
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> bool | None:
        tasks, self._tasks = self._group, None
        tasks.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await tasks.__aexit__(kind, error, trace)
            # The group must not see any other error of the caller's: it would wrap it into an exception group.
            await tasks.__aexit__(None, None, None)
            return None
        finally:
            if self._postman is not None:
                await self._postman.aclose()

    @property
    def running(self) -> bool:
        """Whether it has been entered and not left."""
        return self._tasks is not None

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("the simulator must be entered first (`async with`)")
        return self._tasks

    def now(self) -> float:
        """Seconds since the simulator was made, as the world counts them."""
        return self._clock.monotonic() - self._began

    def books(self) -> dict[str, Any]:
        """The books as of now (see `Books.to_dict`)."""
        self.world.advance(self.now())
        return self.world.books()

    # ── submitting ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _submit(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        key, path = request.headers.get("x-api-key", ""), request.url.path
        task_id = external_task_id_in(body) if self.faults.rules else ""
        fault = self.faults.next(Phase.SUBMIT, task_id)
        text = fault.text if fault else ""
        if fault and fault.kind == "slow":
            await self._clock.sleep(float(fault.value))
        if fault and fault.instead:
            self.world.note("POST", path, key, fault.status, self.now(), body=body, fault=text)
            return await self._struck(fault, request)
        # From here to the end of the job's making nothing awaits: no cancellation can come between job and books.
        reply = self.world.submit(key, path, body, self.now(), fault=text)
        if reply.made:
            self._begin(reply.made, body)
        if fault and fault.kind in ("drop-after", "status"):
            return await self._struck(fault, request)
        if fault and fault.kind == "malformed-202" and reply.status == 202:
            return Response(json.dumps(reply.document)[:-9], status_code=202, media_type="application/json")
        if fault and fault.kind == "other-job" and reply.status == 202:
            return JSONResponse({**reply.document, "job_id": f"{reply.document['job_id']}0"}, 202)
        return JSONResponse(reply.document, reply.status, reply.headers)

    def _begin(self, job: Job, body: bytes) -> None:
        task_id = job.external_task_id
        fate, charge = self.faults.next(Phase.JOB, task_id), self.faults.next(Phase.CHARGE, task_id)
        if fate or charge:
            self.world.ordain(
                job.id,
                fails=fate.value if fate else "",
                no_outputs=fate is not None and fate.kind == "no-outputs",
                surcharge=Decimal(charge.value if charge else 0),
            )
        if fate and fate.kind == "short":
            order = json.loads(body)
            body = json.dumps({**order, "duration": max(1, float(order.get("duration", 5)) / 2)}).encode()
        if fate and fate.kind in FLAWS:
            body = json.dumps({**json.loads(body), FLAW: fate.kind}).encode()
        if self._room is not None or job.callback_url:
            self._group.start_soon(self._produce, job, body)

    async def _produce(self, job: Job, body: bytes) -> None:
        """What a job needs besides time: its clip, and somebody told of its end."""
        if self._room is not None and not job.fails:
            try:
                self._clips[job.id] = await self._room.clip(body, job.external_task_id)
            except MediaError as error:
                self.world.clip_failed(job.id, error.message)
            else:
                self.world.advance(self.now())
                self.world.clip_ready(job.id)
        if job.callback_url:
            while (left := job.due - self.now()) > 0:
                await self._clock.sleep(left)
            for delivery in self.world.due_webhooks(self.now()):
                await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        """Tell once; whoever was not there asks for the job instead."""
        if self._postman is None:
            self._postman = httpx.AsyncClient(transport=self._transport, timeout=_WEBHOOK_SECONDS, trust_env=False)
        try:
            async with self._deliveries:
                status = (await self._postman.post(delivery.url, json=delivery.document)).status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):  # ValueError: an address that is none
            status = 0
        self.world.delivered(delivery, status, self.now())

    # ── asking and downloading ────────────────────────────────────────────────────────────────────────────────────

    async def _job(self, request: Request) -> Response:
        key, path, job_id = request.headers.get("x-api-key", ""), request.url.path, request.path_params["job_id"]
        known = self.world.known_job(job_id)
        fault = self.faults.next(Phase.POLL, known.external_task_id if known else "")
        text = fault.text if fault else ""
        if fault and fault.kind == "slow":
            await self._clock.sleep(float(fault.value))
        if fault and fault.kind in ("status", "drop"):
            self.world.note("GET", path, key, fault.status, self.now(), job_id=job_id, fault=text)
            return await self._struck(fault, request)
        reply = self.world.job(key, job_id, self.now(), fault=text)
        document = reply.document
        if fault and reply.status == 200:
            if fault.kind == "malformed":
                return Response(json.dumps(document)[:-9], media_type="application/json")
            if fault.kind in ("stuck", "unknown-status"):  # the job goes on behind the answer
                status = "processing" if fault.kind == "stuck" else "awaiting_muse"
                document = {"id": document["id"], "model": document["model"], "status": status}
        return JSONResponse(document, reply.status, reply.headers)

    async def _output(self, request: Request) -> Response:
        job = self.world.job_of_output(request.path_params["name"])
        clip = self._clips.get(job.id) if job else None
        fault = self.faults.next(Phase.DOWNLOAD, job.external_task_id) if job else None
        text, status = (fault.text, fault.status) if fault else ("", 200 if clip else 404)
        key = request.headers.get("x-api-key", "")  # its hash in the books betrays a client that shows its key around
        self.world.note(request.method, request.url.path, key, status, self.now(), job_id=job.id if job else "", fault=text)
        if fault and fault.kind in ("status", "drop"):
            return await self._struck(fault, request)
        if clip is None:
            return JSONResponse(error_document("not_found", "there is no such file"), 404)
        match fault.kind if fault else "":
            case "garbage":
                return Response(b"<html>this is no clip</html>" * 100, media_type="video/mp4")
            case "other":  # an mp4 may end in a box of free space, and is the same film with it
                return Response(clip.read_bytes() + b"\0\0\0\x08free", media_type="video/mp4")
            case "truncated":
                return self._streamed(clip, request, cut=True)
            case "slow":
                return self._streamed(clip, request, pause=float(fault.value) if fault else 0)
        return FileResponse(clip, media_type="video/mp4")

    def _streamed(self, clip: Path, request: Request, *, cut: bool = False, pause: float = 0) -> Response:
        """A whole clip promised, and given in tenths with pauses, or only its first half and then a closed connection."""
        content = clip.read_bytes()
        step = max(1, len(content) // 10)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content) // 2 if cut else len(content), step):
                await self._clock.sleep(pause)
                yield content[start:start + step]
            if cut:
                await _drop(request)

        return StreamingResponse(pieces(), media_type="video/mp4", headers={"content-length": str(len(content))})

    async def _struck(self, fault: Fault, request: Request) -> Response:
        """The answer that a fault gives of its own: a status, or none at all."""
        if not fault.status:
            await _drop(request)
            return Response()  # goes nowhere: the connection is closed
        headers = {}
        if fault.retry_after == "date":
            headers["Retry-After"] = formatdate(self._clock.wall() + _DATE_SECONDS, usegmt=True)
        elif fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        code = _ERROR_CODES.get(fault.status, "fault")
        return JSONResponse(error_document(code, fault.value or "a fault on demand"), fault.status, headers)

    # ── the simulator's own pages ─────────────────────────────────────────────────────────────────────────────────

    async def _show_books(self, _request: Request) -> Response:
        return Response(json.dumps(self.books()), media_type="application/json")

    async def _set_faults(self, request: Request) -> Response:
        """Replace the faults by a JSON list of texts; counting begins anew."""
        try:
            texts = await request.json()
            if not isinstance(texts, list):
                raise UsageError("the body must be a JSON list of faults")
            self.faults = Faults(map(str, texts))
        except (ValueError, UsageError) as error:
            return JSONResponse(error_document("unknown_fault", str(error)), 400)
        return JSONResponse([rule.text for rule in self.faults.rules])

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "models": self.world.settings.models})


async def _drop(request: Request) -> None:
    close: Callable[[], None] | None = request.scope.get(DROP)
    if close is None:
        raise httpx.RemoteProtocolError("the simulator dropped the connection")
    close()
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def serve(host: str, port: int, simulator: Simulator, *, ready: Callable[[str], None]) -> None:
    """Serve the simulator on a port until cancelled; port 0 takes a free one.

    `ready` is called with the address (`http://127.0.0.1:8080`) once connections are answered. Enters the simulator unless the
    caller has. Needs asyncio. Raises `UsageError` where the address cannot be had and `MissingExtra` without uvicorn.
    """
    try:
        # Only here: a draft runs in process and needs no server.
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ImportError as error:
        raise MissingExtra("sim", "the simulator on a port") from error

    class Protocol(H11Protocol):
        """Lets the application close its connection without an answer, for which ASGI has no word."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            answer = self.app

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await answer({**scope, DROP: transport.close}, receive, send)

            self.app = app

    class Server(uvicorn.Server):
        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
            return nullcontext()  # signals are the caller's, who cancels

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(address)

    listening = _listen(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    simulator.world.base_url = simulator.world.base_url or address
    server = Server(uvicorn.Config(
        simulator.app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1,
    ))
    async with AsyncExitStack() as stack:
        if not simulator.running:
            await stack.enter_async_context(simulator)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run_shielded, server.serve, [listening])
            try:
                await anyio.sleep_forever()
            finally:
                server.should_exit = True


async def _run_shielded(run: Callable[[list[socket.socket]], Awaitable[None]], sockets: list[socket.socket]) -> None:
    # A cancelled uvicorn leaves its sockets open: it is asked to stop instead, and waited for.
    with anyio.CancelScope(shield=True):
        await run(sockets)


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only for sockets that say TCP themselves; left on, it costs 40 ms an answer.
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}", code="address") from error
    return listening
