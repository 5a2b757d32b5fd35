"""The simulator's HTTP face, in process and on a socket."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import anyio
import httpx
import pytest

from manifest_runner.errors import MediaError, UsageError
from manifest_runner.simulator.faults import Faults
from manifest_runner.simulator.server import Simulator, _listen, parse_task_id, serve
from manifest_runner.simulator.world import Settings, World

SUBMIT = "/v1/video/kling-v3-omni"
KEY = {"X-API-Key": "canary-7d1f0e"}
TASK = "SH0010_t1.a1.3f9c"
PNG = b"\x89PNG\r\n\x1a\n and some pixels"


class FakeClock:
    """Time that passes only when somebody sleeps, or is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_800_000_000.0

    def jitter(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await anyio.lowlevel.checkpoint()


class TinyRenderer:
    """Writes a few bytes that say what was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, dict[str, bytes]]] = []
        self._lock = Lock()

    def __call__(self, body: Mapping[str, Any], shot: str, take: int, pictures: Mapping[str, bytes], to: Path) -> None:
        with self._lock:
            self.calls.append((shot, take, dict(pictures)))
        if body["prompt"] == "undrawable":
            raise MediaError("nobody can draw this")
        to.write_bytes(f"{body['prompt']} {shot} {take};".encode() * 100)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def simulated(
    folder: Path, *faults: str, clips: bool = False, render: TinyRenderer | None = None,
    webhooks: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    simulator = Simulator(
        folder=folder, clock=FakeClock(), world=World(), base_url="http://simulator.invalid", faults=Faults(faults),
        clips=clips, render=render or TinyRenderer(), webhooks=webhooks,
    )
    transport = httpx.ASGITransport(simulator.app)
    async with simulator, httpx.AsyncClient(transport=transport, base_url="http://simulator.invalid", headers=KEY) as client:
        yield simulator, client


async def submit(client: httpx.AsyncClient, task: str = TASK, **fields: Any) -> httpx.Response:
    return await client.post(SUBMIT, json={"prompt": "clouds", "external_task_id": task, **fields})


async def settled(simulator: Simulator, client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job's document once it is over; asked for again and again while a thread draws."""
    with anyio.fail_after(5):
        while True:
            if isinstance(simulator._clock, FakeClock):
                simulator._clock.time += 300
            document: dict[str, Any] = (await client.get(f"/v1/jobs/{job_id}")).json()
            if document["status"] in ("succeeded", "failed"):
                return document
            await anyio.sleep(0.002)


def suffixes_in(folder: Path) -> list[list[str]]:
    return [path.suffixes for path in folder.iterdir()]


def totals(simulator: Simulator) -> dict[str, Any]:
    counted: dict[str, Any] = simulator.books()["totals"]
    return counted


# ── in process ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_clip_is_submitted_asked_for_and_downloaded(tmp_path: Path) -> None:
    async with simulated(tmp_path, clips=True) as (simulator, client):
        reply = await submit(client)
        assert (reply.status_code, reply.json()["status"]) == (202, "queued")
        document = await settled(simulator, client, reply.json()["job_id"])
        assert document["credits_charged"] == 145
        url = document["output"]["outputs"][0]["url"]
        whole, head = await client.get(url), await client.head(url)
        part = await client.get(url, headers={"Range": "bytes=0-5"})
        assert whole.content == b"clouds SH0010 1;" * 100
        assert (part.status_code, part.content) == (206, b"clouds")
        assert (head.content, head.headers["content-length"], head.headers["content-type"]) == (b"", "1600", "video/mp4")
        assert (await client.get(url.replace(".mp4", "0.mp4"))).status_code == 404
    assert suffixes_in(tmp_path) == [[".mp4"]], "no half-written file stays"


@pytest.mark.anyio
async def test_the_same_picture_is_encoded_once_and_another_take_again(tmp_path: Path) -> None:
    render = TinyRenderer()
    async with simulated(tmp_path, clips=True, render=render) as (simulator, client):
        tasks = ["SH0010_t1.a1.aa", "SH0010_t1.a2.bb", "SH0010_t2.a1.cc"]
        for job_id in [(await submit(client, task, callback_url="")).json()["job_id"] for task in tasks]:
            assert (await settled(simulator, client, job_id))["status"] == "succeeded"
    assert sorted((shot, take) for shot, take, _ in render.calls) == [("SH0010", 1), ("SH0010", 2)]


@pytest.mark.anyio
async def test_inline_pictures_reach_the_renderer_and_addresses_do_not(tmp_path: Path) -> None:
    render = TinyRenderer()
    inline = "data:image/png;base64," + base64.b64encode(PNG).decode()
    async with simulated(tmp_path, clips=True, render=render) as (simulator, client):
        reply = await submit(client, image_url=inline, last_frame_url="https://example.org/b.png")
        await settled(simulator, client, reply.json()["job_id"])
    assert render.calls == [("SH0010", 1, {"image_url": PNG})]


@pytest.mark.anyio
@pytest.mark.parametrize("url", [
    "data:image/png;base64,%%%", "data:image/png;base64,AAAA", "data:text/html;base64,AAAA", "x.png",
])
async def test_a_malformed_picture_fails_the_job_with_words(tmp_path: Path, url: str) -> None:
    async with simulated(tmp_path, clips=True) as (simulator, client):
        document = await settled(simulator, client, (await submit(client, image_url=url)).json()["job_id"])
    assert document["error"]["message"].startswith("image_url is not a picture")
    assert document["credits_charged"] == 0


@pytest.mark.anyio
async def test_a_clip_that_cannot_be_drawn_fails_its_own_job_only(tmp_path: Path) -> None:
    async with simulated(tmp_path, clips=True) as (simulator, client):
        jobs = [(await submit(client, f"SH_t{n}.a1.aa", prompt=prompt)).json()["job_id"]
                for n, prompt in enumerate(["undrawable", "undrawable", "clouds"], 1)]
        documents = [await settled(simulator, client, job) for job in jobs]
    assert [document["status"] for document in documents] == ["failed", "failed", "succeeded"]
    assert documents[0]["error"]["message"] == "nobody can draw this"


@pytest.mark.parametrize(("text", "expected"), [
    ("SH0010_t1.a1.3f9c", ("SH0010", 1)), ("SH0040-rain_t12.a3.0", ("SH0040-rain", 12)), ("a_t1_t2.a1.ff", ("a_t1", 2)),
    ("", ("", 1)), ("something-else-entirely", ("something-el", 1)), ("SH0010_t0.a1.3f", ("SH0010_t0.a1", 1)),
    ("SH0010_t1.a1.XYZ", ("SH0010_t1.a1", 1)),
])
def test_shot_and_take_are_read_from_the_task_id(text: str, expected: tuple[str, int]) -> None:
    assert parse_task_id(text) == expected


@pytest.mark.anyio
async def test_webhooks_are_delivered_once_and_a_deaf_listener_is_noted(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    def listener(request: httpx.Request) -> httpx.Response:
        assert "x-api-key" not in request.headers
        if request.url.host == "deaf":
            raise httpx.ConnectError("nobody there")
        if request.url.host == "hook":
            heard.append(json.loads(request.content))
        return httpx.Response(204)

    async with simulated(tmp_path, webhooks=httpx.MockTransport(listener)) as (simulator, client):
        jobs = [(await submit(client, f"SH_t{n}.a1.aa", callback_url=url)).json()["job_id"]
                for n, url in enumerate(["http://hook", "http://deaf", "no address", "http://hook:port"], 1)]
        await anyio.wait_all_tasks_blocked()
        assert heard == [(await client.get(f"/v1/jobs/{jobs[0]}")).json()]
        delivered = sorted((jobs.index(entry["job_id"]), entry["status"]) for entry in simulator.books()["webhooks"])
        assert delivered == [(0, 204), (1, 0), (2, 0), (3, 0)]


@pytest.mark.anyio
async def test_an_error_of_the_callers_leaves_the_simulator_as_it_is(tmp_path: Path) -> None:
    async def fail() -> None:
        async with simulated(tmp_path, webhooks=httpx.MockTransport(lambda _: httpx.Response(204))) as (_, client):
            await submit(client, callback_url="http://hook")
            raise UsageError("mine")

    with pytest.raises(UsageError, match=r"^mine$"):
        await fail()


# ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────────

# fault, status of the answer, headers of the answer, jobs made
SUBMIT_FAULTS: list[tuple[str, int, dict[str, str], int]] = [
    ("submit:500", 500, {}, 0),
    ("submit:500-after", 500, {}, 1),
    ("submit:401", 401, {}, 0),
    ("submit:402", 402, {}, 0),
    ("submit:429", 429, {}, 0),
    ("submit:429:retry-after=2", 429, {"retry-after": "2"}, 0),
    ("submit:429:retry-after=date", 429, {"retry-after": "Fri, 15 Jan 2027 08:00:02 GMT"}, 0),
    ("submit:slow=3", 202, {}, 1),
    ("submit:500@2", 202, {}, 1),
    ("submit:500 shot=SH0020", 202, {}, 1),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "status", "headers", "jobs"), SUBMIT_FAULTS, ids=[row[0] for row in SUBMIT_FAULTS])
async def test_a_fault_of_submitting(tmp_path: Path, fault: str, status: int, headers: dict[str, str], jobs: int) -> None:
    async with simulated(tmp_path, fault) as (simulator, client):
        reply = await submit(client)
        assert (reply.status_code, totals(simulator)["jobs"]) == (status, jobs)
        assert {"retry-after": reply.headers.get("retry-after")} == {"retry-after": headers.get("retry-after")}
        entry = simulator.books()["requests"][0]
        assert (entry["external_task_id"], bool(entry["fault"])) == (TASK, "SH0020" not in fault and "@2" not in fault)


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "jobs"), [("submit:drop-before", 0), ("submit:drop-after", 1)])
async def test_a_dropped_connection_in_process_is_the_error_that_a_socket_gives(tmp_path: Path, fault: str, jobs: int) -> None:
    async with simulated(tmp_path, fault) as (simulator, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await submit(client)
        assert totals(simulator)["jobs"] == jobs


@pytest.mark.anyio
async def test_an_answer_may_be_malformed_or_name_another_job_while_the_job_is_made(tmp_path: Path) -> None:
    async with simulated(tmp_path, "submit:malformed-202@1", "submit:other-job@2") as (simulator, client):
        malformed, other, true = [await submit(client) for _ in range(3)]
        assert [reply.status_code for reply in (malformed, other, true)] == [202, 202, 202]
        with pytest.raises(json.JSONDecodeError):
            malformed.json()
        assert other.json()["job_id"] != true.json()["job_id"] == simulator.books()["jobs"][0]["id"]
        assert totals(simulator)["jobs"] == 1


@pytest.mark.anyio
async def test_a_slow_fault_takes_its_seconds(tmp_path: Path) -> None:
    async with simulated(tmp_path, "submit:slow=3", "poll:slow=4@1") as (simulator, client):
        before = simulator.now()
        job_id = (await submit(client)).json()["job_id"]
        assert simulator.now() == before + 3
        await client.get(f"/v1/jobs/{job_id}")
        assert simulator.now() == before + 7


@pytest.mark.anyio
async def test_faults_of_polling_hide_a_job_that_goes_on(tmp_path: Path) -> None:
    faults = ["poll:404@1", "poll:500@2", "poll:unknown-status@3", "poll:stuck@4", "poll:malformed@5", "poll:drop@6"]
    async with simulated(tmp_path, *faults) as (simulator, client):
        url = f"/v1/jobs/{(await submit(client)).json()['job_id']}"
        await simulator._clock.sleep(300)
        replies = [await client.get(url) for _ in range(5)]
        assert [reply.status_code for reply in replies] == [404, 500, 200, 200, 200]
        assert [replies[n].json()["status"] for n in (2, 3)] == ["awaiting_muse", "processing"]
        assert "output" not in replies[2].json()
        with pytest.raises(json.JSONDecodeError):
            replies[4].json()
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url)
        assert (await client.get(url)).json()["status"] == "succeeded"


@pytest.mark.anyio
async def test_faults_of_jobs_and_charges_decide_how_a_job_ends(tmp_path: Path) -> None:
    faults = ["job:fail=blocked by moderation@1", "job:no-outputs shot=SH0020", "charge:+10 shot=SH0020"]
    async with simulated(tmp_path, *faults) as (simulator, client):
        jobs = [(await submit(client, f"SH00{n}0_t1.a1.aa")).json()["job_id"] for n in (1, 2, 3)]
        documents = [await settled(simulator, client, job) for job in jobs]
        assert documents[0]["error"]["message"] == "blocked by moderation"
        assert documents[1]["output"] == {"outputs": []}
        assert [document["credits_charged"] for document in documents] == [0, 155, 145]
        assert totals(simulator)["credits_charged"] == 300


@pytest.mark.anyio
async def test_a_replay_does_not_count_as_the_making_of_a_job(tmp_path: Path) -> None:
    async with simulated(tmp_path, "job:fail=second@2") as (simulator, client):
        for task in ("SH_t1.a1.aa", "SH_t1.a1.aa", "SH_t2.a1.bb"):
            last = (await submit(client, task)).json()["job_id"]
        assert (await settled(simulator, client, last))["status"] == "failed"


@pytest.mark.anyio
async def test_faults_of_downloads(tmp_path: Path) -> None:
    faults = ["download:403@1", "download:garbage@2", "download:slow=2@3", "download:truncated@4", "download:drop@5"]
    async with simulated(tmp_path, *faults, clips=True) as (simulator, client):
        document = await settled(simulator, client, (await submit(client)).json()["job_id"])
        url = document["output"]["outputs"][0]["url"]
        refused, garbage = await client.get(url), await client.get(url)
        assert refused.status_code == 403
        assert (garbage.status_code, garbage.content[:6]) == (200, b"<html>")
        before = simulator.now()
        assert len((await client.get(url)).content) == 1600
        assert simulator.now() - before >= 20
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(url)
        assert len((await client.get(url)).content) == 1600
        assert [entry["fault"] for entry in simulator.books()["requests"] if "/out/" in entry["path"]] == [*faults, ""]


@pytest.mark.anyio
async def test_a_key_shown_to_the_download_address_is_seen_in_the_books(tmp_path: Path) -> None:
    async with simulated(tmp_path, clips=True) as (simulator, client):
        url = (await settled(simulator, client, (await submit(client)).json()["job_id"]))["output"]["outputs"][0]["url"]
        await client.get(url)
        del client.headers["X-API-Key"]
        await client.get(url)
        assert [bool(entry["key"]) for entry in simulator.books()["requests"] if "/out/" in entry["path"]] == [True, False]


@pytest.mark.anyio
async def test_faults_can_be_replaced_over_http_and_wrong_ones_leave_the_old(tmp_path: Path) -> None:
    async with simulated(tmp_path, "submit:500") as (_, client):
        assert (await client.post("/_sim/faults", json=["submit:bogus"])).status_code == 400
        assert (await client.post("/_sim/faults", json={"a": 1})).status_code == 400
        assert (await client.post("/_sim/faults", content=b"{")).status_code == 400
        assert (await submit(client)).status_code == 500
        assert (await client.post("/_sim/faults", json=["submit:503@2"])).json() == ["submit:503@2"]
        assert [(await submit(client)).status_code for _ in range(2)] == [202, 503]


@pytest.mark.anyio
async def test_the_books_and_the_health_need_no_key(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (simulator, client):
        await submit(client)
        del client.headers["X-API-Key"]
        assert (await client.get("/_sim/books")).json() == json.loads(json.dumps(simulator.books()))
        assert (await client.get("/_sim/health")).json() == {"status": "ok", "models": ["kling-v3-omni"]}
        assert (await submit(client)).status_code == 401


# ── on a socket ───────────────────────────────────────────────────────────────────────────────────────────────────


class RealClock:
    """The machine's own time."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(anyio.sleep)

    def jitter(self) -> float:
        return 0.0


@asynccontextmanager
async def on_a_socket(folder: Path, *faults: str, clips: bool = False) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    simulator = Simulator(folder=folder, clock=RealClock(), world=World(Settings(shortest=0.01, longest=0.02)),
                          faults=Faults(faults), clips=clips, render=TinyRenderer())
    addresses, receive = anyio.create_memory_object_stream[str](1)
    async with AsyncExitStack() as stack:
        stack.enter_context(addresses)
        stack.enter_context(receive)
        tasks = await stack.enter_async_context(anyio.create_task_group())

        async def run(ready: Callable[[str], None]) -> None:
            await serve("127.0.0.1", 0, simulator, ready=ready)

        tasks.start_soon(run, addresses.send_nowait)
        address = await receive.receive()
        async with httpx.AsyncClient(base_url=address, headers=KEY, trust_env=False) as client:
            yield simulator, client
        tasks.cancel_scope.cancel()
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(address)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_on_a_socket_a_clip_comes_from_submission_to_download_and_the_port_is_closed_after(tmp_path: Path) -> None:
    async with on_a_socket(tmp_path, clips=True) as (simulator, client):
        job_id = (await submit(client)).json()["job_id"]
        url = (await settled(simulator, client, job_id))["output"]["outputs"][0]["url"]
        assert url.startswith(str(client.base_url))
        assert (await client.get(url)).content == b"clouds SH0010 1;" * 100
        assert (await client.get("/_sim/books")).json()["totals"]["credits_charged"] == 145
        assert simulator.running
    assert not simulator.running


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_on_a_socket_dropped_connections_are_protocol_errors_and_the_next_request_works(tmp_path: Path) -> None:
    faults = ["submit:drop-before@1", "submit:drop-after@2", "poll:drop@1", "download:truncated@1", "download:drop@2"]
    async with on_a_socket(tmp_path, *faults, clips=True) as (simulator, client):
        for jobs in (0, 1):
            with pytest.raises(httpx.RemoteProtocolError):
                await submit(client)
            assert totals(simulator)["jobs"] == jobs
        job_id = (await submit(client)).json()["job_id"]
        assert (totals(simulator)["jobs"], totals(simulator)["replays"]) == (1, 1)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"/v1/jobs/{job_id}")
        url = (await settled(simulator, client, job_id))["output"]["outputs"][0]["url"]
        for words in ("peer closed connection without sending complete message body", "disconnected"):
            with pytest.raises(httpx.RemoteProtocolError, match=words):
                await client.get(url)
        assert len((await client.get(url)).content) == 1600


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_an_address_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    async with on_a_socket(tmp_path) as (_, client):
        another = Simulator(folder=tmp_path, clock=RealClock(), world=World(), clips=False)
        with pytest.raises(UsageError, match="cannot listen on 127"):
            await serve("127.0.0.1", client.base_url.port or 0, another, ready=lambda _: None)


def test_the_socket_says_tcp_itself_or_every_answer_would_wait_for_nagle() -> None:
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
