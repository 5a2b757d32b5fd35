"""The provider's page, and the money that follows from it, as a pure world."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from manifest_runner.core.model import JobId, Rate
from manifest_runner.simulator.world import Reply, Settings, World

PATH = "/v1/video/kling-v3-omni"
KEY = "canary-7d1f0e"
FAR = 1e6


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "clouds over a city", **fields}).encode()


def submit(world: World, now: float = 0.0, *, key: str = KEY, path: str = PATH, **fields: Any) -> Reply:
    return world.submit(key, path, body(**fields), now)


def made(world: World, now: float = 0.0, **fields: Any) -> JobId:
    reply = submit(world, now, **fields)
    assert reply.made is not None, reply
    return reply.made.id


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pages_own_example_is_accepted_and_named_as_the_page_names_it() -> None:
    reply = World().submit(KEY, PATH, b'{"prompt":"A timelapse of clouds over a city skyline","duration":10}', 0)
    assert reply.status == 202
    assert reply.document["job_id"].startswith("job_klingv3omni_")
    assert reply.document == {"job_id": reply.document["job_id"], "status": "queued"}


FRAME = {"image_url": "https://example.org/a.png"}

ALLOWED: list[dict[str, Any]] = [
    {"duration": 1}, {"duration": 15}, {"duration": 2.5}, {"cfg_scale": 0}, {"cfg_scale": 1}, {"cfg_scale": 0.25},
    {"resolution": "720p"}, {"resolution": "1080p"}, {"aspect_ratio": "9:16"}, {"negative_prompt": ""}, FRAME,
    {**FRAME, "last_frame_url": "https://example.org/b.png"}, {**FRAME, "last_frame_url": "x", "duration": 5.0},
    {"camera_control": {"type": "simple", "config": {"pan": -10, "zoom": 10}}}, {"camera_control": {"type": "forward_up"}},
    {"external_task_id": "a", "callback_url": "https://example.org/hook"}, {"seed": 7},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "prompt is required"),
    ({"prompt": 7}, "prompt must be a string"),
    ({"duration": 0.99}, "duration must be a number from 1 to 15"),
    ({"duration": 15.01}, "duration must be"),
    ({"duration": "5"}, "duration must be"),
    ({"duration": True}, "duration must be"),
    ({"duration": None}, "duration must be"),
    ({"cfg_scale": -0.1}, "cfg_scale must be a number from 0 to 1"),
    ({"cfg_scale": 1.1}, "cfg_scale must be"),
    ({"resolution": "4k"}, "resolution must be one of 720p, 1080p"),
    ({"resolution": 720}, "resolution must be a string"),
    ({"aspect_ratio": 969}, "aspect_ratio must be a string"),
    ({"negative_prompt": []}, "negative_prompt must be a string"),
    ({"external_task_id": 5}, "external_task_id must be a string"),
    ({"external_task_id": "\ud800"}, "external_task_id is not valid text"),
    ({"last_frame_url": "https://example.org/b.png"}, "last_frame_url requires image_url"),
    ({**FRAME, "last_frame_url": "https://example.org/b.png", "duration": 6}, "last_frame_url is for 5s clips only"),
    ({"camera_control": "pan"}, "camera_control must be an object"),
    ({"camera_control": {"type": 1}}, "camera_control.type must be a string"),
    ({"camera_control": {"type": "simple", "config": [1]}}, "camera_control.config must be an object"),
    ({"camera_control": {"type": "simple", "config": {"pan": 10.5}}}, "config.pan must be a number from -10 to 10"),
    ({"camera_control": {"type": "simple", "config": {"roll": "1"}}}, "config.roll must be"),
]


@pytest.mark.parametrize("fields", ALLOWED, ids=str)
def test_what_the_page_allows_becomes_a_job(fields: dict[str, Any]) -> None:
    assert submit(World(), **fields).status == 202


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=str)
def test_what_the_page_does_not_allow_is_refused_without_a_job(fields: dict[str, Any], words: str) -> None:
    world = World()
    reply = submit(world, **fields)
    assert (reply.status, reply.document["error"]["code"]) == (400, "invalid_request")
    assert words in reply.document["error"]["message"]
    assert world.books()["totals"]["jobs"] == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"prompt":"x","duration":NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    assert World().submit(KEY, PATH, raw, 0).status == 400


NAMES = st.sampled_from(["prompt", "duration", "cfg_scale", "camera_control", "resolution", "external_task_id", "other"])
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text("a\0\ud800é", max_size=5)
CAMERAS = st.fixed_dictionaries({"type": LEAVES, "config": LEAVES | st.just({"pan": 1e999})})
VALUES = LEAVES | CAMERAS | st.lists(LEAVES, max_size=2)


@given(st.binary(max_size=60) | st.dictionaries(NAMES, VALUES, max_size=5).map(lambda fields: json.dumps(fields).encode()))
def test_any_bytes_at_all_get_an_answer(raw: bytes) -> None:
    assert World().submit(KEY, PATH, raw, 0).status in (202, 400)


def test_fields_that_the_page_does_not_name_are_tolerated_and_noted() -> None:
    world = World()
    submit(world, seed=7, mood="wet")
    assert world.books()["requests"][0]["unknown_fields"] == ("mood", "seed")


@pytest.mark.parametrize(("key", "path", "status"), [
    ("", PATH, 401), ("wrong", PATH, 401), ("right", "/v1/video/other", 404), ("right", PATH, 202),
])
def test_key_and_model_are_checked(key: str, path: str, status: int) -> None:
    assert submit(World(Settings(keys=frozenset({"right"}))), key=key, path=path).status == status


def test_a_job_is_known_to_its_own_account_only() -> None:
    world = World()
    job = made(world)
    assert [world.job(key, job, 1).status for key in (KEY, "another", "")] == [200, 404, 401]
    assert world.job(KEY, "job_klingv3omni_0", 1).status == 404


# ── a job's life ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_queued_then_processed_then_succeeded_as_the_page_shows_it() -> None:
    world = World(Settings(shortest=100, longest=100), base_url="http://host")
    job = made(world, duration=10)
    seen = [world.job(KEY, job, now).document for now in (0, 9.9, 10.1, 99.9, 100)]
    assert [document["status"] for document in seen] == ["queued", "queued", "processing", "processing", "succeeded"]
    assert seen[2] == {"id": job, "model": "kling-v3-omni", "status": "processing"}
    assert seen[-1] == {
        "id": job, "model": "kling-v3-omni", "status": "succeeded",
        "output": {"outputs": [{"url": f"http://host/out/{world.output_name(job)}.mp4", "type": "video"}]},
        "credits_charged": 290,
    }


@pytest.mark.parametrize(("fields", "credits_charged"), [
    ({}, 145), ({"duration": 10}, 290), ({"duration": 1, "resolution": "1080p"}, 46),
    ({"resolution": "1080p", "duration": 15}, 690), ({"duration": 2.5}, 72.5),
    ({"duration": 2.5, "resolution": "1080p"}, 115), ({"duration": 1.1}, 31.9),
])
def test_the_price_is_seconds_times_resolution_and_an_integer_if_whole(fields: dict[str, Any], credits_charged: float) -> None:
    world = World()
    charged = world.job(KEY, made(world, **fields), FAR).document["credits_charged"]
    assert (charged, type(charged)) == (credits_charged, type(credits_charged))


def test_an_account_may_have_its_own_prices() -> None:
    world = World(Settings(prices={"720p": Decimal("20.5")}))
    assert world.job(KEY, made(world, duration=2), FAR).document["credits_charged"] == 41


def test_durations_lie_in_their_range_divided_by_speed_and_repeat_with_the_seed() -> None:
    def spans(seed: str) -> list[float]:
        world = World(Settings(speed=10, seed=seed))
        for n in range(200):
            submit(world, duration=1 + n % 15, resolution=("720p", "1080p")[n % 2])
        return [job["due"] for job in world.books()["jobs"]]

    assert all(7 <= span <= 26 for span in spans("a"))
    assert max(spans("a")) - min(spans("a")) > 5
    assert spans("a") == spans("a") != spans("b")


def test_job_ids_repeat_with_the_seed_and_differ_otherwise() -> None:
    def ids(seed: str) -> list[str]:
        world = World(Settings(seed=seed))
        return [made(world) for _ in range(3)]

    assert ids("a") == ids("a")
    assert len({*ids("a"), *ids("b")}) == 6


def test_a_gated_job_waits_for_its_clip_and_then_succeeds_at_once() -> None:
    world = World(gated=True)
    early, late = made(world), made(world)
    world.clip_ready(early)
    assert world.job(KEY, early, 10).document["status"] != "succeeded"
    assert [world.job(KEY, job, FAR).document["status"] for job in (early, late)] == ["succeeded", "processing"]
    assert world.books()["totals"]["credits_charged"] == 145
    world.clip_ready(late)
    assert world.job(KEY, late, FAR).document["status"] == "succeeded"
    assert world.books()["totals"]["credits_charged"] == 290


def test_a_job_whose_clip_fails_fails_with_the_words_and_costs_nothing() -> None:
    world = World(gated=True)
    job = made(world)
    world.clip_failed(job, "no such picture")
    document = world.job(KEY, job, FAR).document
    assert document == {
        "id": job, "model": "kling-v3-omni", "status": "failed", "credits_charged": 0,
        "error": {"code": "generation_failed", "message": "no such picture"},
    }
    assert world.books()["totals"]["credits_charged"] == 0


def test_a_job_may_be_ordained_to_fail_to_lack_outputs_or_to_cost_more() -> None:
    world = World()
    failing, empty, dear = made(world), made(world), made(world)
    world.ordain(failing, fails="blocked")
    world.ordain(empty, no_outputs=True)
    world.ordain(dear, surcharge=Decimal(10))
    documents = [world.job(KEY, job, FAR).document for job in (failing, empty, dear)]
    assert [document["credits_charged"] for document in documents] == [0, 145, 155]
    assert documents[1]["output"] == {"outputs": []}


def test_an_output_is_found_by_its_whole_name_only_and_only_once_it_exists() -> None:
    world = World()
    job = made(world)
    name = world.output_name(job)
    assert world.job_of_output(name) is None
    world.advance(FAR)
    found = world.job_of_output(name)
    assert found is not None
    assert found.id == job
    assert world.job_of_output(job) is world.job_of_output(f"{job}-0") is world.job_of_output("") is None


# ── idempotency ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_id_with_the_same_bytes_is_the_same_job() -> None:
    world = World()
    first, second = submit(world, external_task_id="a"), submit(world, 30, external_task_id="a")
    assert first.document["job_id"] == second.document["job_id"]
    assert (second.status, second.document["status"], second.made) == (202, "processing", None)
    world.advance(FAR)
    totals = world.books()["totals"]
    assert (totals["jobs"], totals["replays"], totals["duplicates"], totals["credits_charged"]) == (1, 1, 0, 145)
    assert world.books()["jobs"][0]["replays"] == 1


def test_a_replay_is_answered_even_after_the_end() -> None:
    world = World()
    submit(world, external_task_id="a")
    assert submit(world, FAR, external_task_id="a").document["status"] == "succeeded"


def test_the_same_id_with_other_bytes_is_a_conflict() -> None:
    world = World()
    submit(world, external_task_id="a")
    reply = submit(world, external_task_id="a", duration=6)
    assert (reply.status, reply.document["error"]["code"]) == (409, "idempotency_conflict")
    # Even bytes that mean the same are other bytes.
    assert world.submit(KEY, PATH, body(external_task_id="a") + b"\n", 0).status == 409
    assert world.books()["totals"]["conflicts"] == 2


def test_ids_are_per_account() -> None:
    world = World()
    jobs = {submit(world, key=key, external_task_id="a").document["job_id"] for key in ("one", "two")}
    assert len(jobs) == 2
    assert world.books()["totals"]["duplicates"] == 0


def test_where_ids_only_correlate_every_post_makes_a_job_and_the_books_show_the_duplicate() -> None:
    world = World(Settings(replay="correlates"))
    assert made(world, external_task_id="a") != made(world, external_task_id="a")
    assert world.books()["totals"]["duplicates"] == 1


def test_the_books_show_one_request_paid_twice_under_two_ids() -> None:
    world = World()
    for external_task_id in ("a", "b"):
        submit(world, external_task_id=external_task_id)
    submit(world, external_task_id="c", duration=6)
    totals = world.books()["totals"]
    assert (totals["duplicates"], totals["repeated"]) == (0, 1)


def test_a_job_without_an_id_is_never_a_replay() -> None:
    world = World()
    assert made(world) != made(world)
    assert made(world, external_task_id="") != made(world, external_task_id="")


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_window_of_one_second_holds_more_posts_than_the_limit() -> None:
    world = World(Settings(posts=Rate(count=3, per=1)))
    statuses = [submit(world, now).status for now in (0, 0.5, 0.6, 0.7, 0.99, 1.0, 1.4, 1.5)]
    assert statuses == [202, 202, 202, 429, 429, 202, 429, 202]
    refused = submit(world, 1.5)
    assert (refused.document["error"]["code"], refused.headers) == ("rate_limited", {"Retry-After": "1"})


def test_a_limit_by_the_minute_says_when_there_is_room_and_the_books_count_whom_it_refused() -> None:
    world = World(Settings(posts=Rate(count=2, per=60), concurrency=1))
    answers = [submit(world, now) for now in (0, 10, 20)]
    assert [answer.status for answer in answers] == [202, 429, 429]
    assert answers[2].headers == {"Retry-After": "40"}
    totals = world.books()["totals"]
    assert (totals["crowded"], totals["throttled"]) == (1, 1)


def test_gets_have_a_limit_of_their_own_and_accounts_too() -> None:
    world = World(Settings(gets=Rate(count=1, per=1), posts=Rate(count=1, per=1)))
    job = made(world)
    assert [world.job(KEY, job, 0).status for _ in range(2)] == [200, 429]
    assert submit(world, key="another").status == 202


def test_jobs_in_flight_are_limited_and_room_is_made_when_one_ends() -> None:
    world = World(Settings(concurrency=2))
    assert [submit(world, external_task_id=name).status for name in "abc"] == [202, 202, 429]
    assert submit(world, external_task_id="a").status == 202, "a replay needs no room"
    assert submit(world, FAR, external_task_id="c").status == 202
    assert [account["most_in_flight"] for account in world.books()["accounts"].values()] == [2]


def test_an_account_that_does_not_cover_its_jobs_in_flight_and_this_one_is_empty() -> None:
    world = World(Settings(credits=Decimal(300)))
    first = made(world)
    assert [submit(world).status, submit(world).status] == [202, 402]
    world.ordain(first, fails="blocked")
    assert submit(world, FAR).status == 202, "a failed job gives its credits back"
    world.advance(2 * FAR)
    assert [account["balance"] for account in world.books()["accounts"].values()] == [10]


# ── webhooks and books ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_terminal_document_is_due_once_at_the_requests_own_address_or_the_accounts() -> None:
    world = World(Settings(webhook_url="http://account"))
    own, default = made(world, callback_url="http://own"), made(world)
    assert world.due_webhooks(1) == []
    due = world.due_webhooks(FAR)
    assert {(delivery.job_id, delivery.url) for delivery in due} == {(own, "http://own"), (default, "http://account")}
    assert all(delivery.document == world.job(KEY, delivery.job_id, FAR).document for delivery in due)
    assert world.due_webhooks(FAR) == []


def test_the_books_hold_every_request_and_neither_keys_nor_prompts() -> None:
    world = World()
    job = made(world, external_task_id="SH0010_t1.a1.3f", prompt="a secret twist", callback_url="http://hook/token")
    world.job(KEY, job, 1)
    world.submit("", PATH, b"{", 2)
    world.delivered(world.due_webhooks(FAR)[0], 200, FAR)
    books = world.books()
    text = json.dumps(books)
    assert not [word for word in (KEY, "secret", "token") if word in text]
    assert [(entry["method"], entry["status"], entry["at"]) for entry in books["requests"]] == [
        ("POST", 202, 0), ("GET", 200, 1), ("POST", 401, 2),
    ]
    assert books["requests"][0]["external_task_id"] == "SH0010_t1.a1.3f"
    assert len(books["requests"][0]["body_sha256"]) == 64
    assert books["webhooks"][0]["status"] == 200


class BooksBalance(RuleBasedStateMachine):
    """Whatever anybody does, the sums are right."""

    replay: Literal["replays", "correlates"] = "replays"

    def __init__(self) -> None:
        super().__init__()
        kind = Settings(credits=Decimal(1500), concurrency=6, posts=Rate(count=20, per=1), replay=self.replay)
        self.world = World(kind, gated=True)
        self.now = 0.0
        self.expected: dict[JobId, tuple[Decimal, Decimal]] = {}
        self.waiting: list[JobId] = []

    @rule(key=st.sampled_from("ab"), name=st.sampled_from(["", "1", "2", "3"]), duration=st.integers(1, 15),
          fails=st.booleans(), surcharge=st.integers(0, 3))
    def post(self, key: str, name: str, duration: int, fails: bool, surcharge: int) -> None:
        reply = submit(self.world, self.now, key=key, external_task_id=name, duration=duration)
        if reply.made:
            self.world.ordain(reply.made.id, fails="no" if fails else "", surcharge=Decimal(surcharge))
            self.expected[reply.made.id] = (Decimal(29 * duration), Decimal(surcharge))
            self.waiting.append(reply.made.id)

    @rule(seconds=st.floats(0, 300))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.world.advance(self.now)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), ready=st.booleans())
    def clip(self, data: st.DataObject, ready: bool) -> None:
        job = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if ready:
            self.world.clip_ready(job)
        else:
            self.world.clip_failed(job, "no clip")

    @invariant()
    def charged_is_the_price_of_what_succeeded(self) -> None:
        books = self.world.books()
        jobs = books["jobs"]
        due = {job["id"]: sum(self.expected[job["id"]]) for job in jobs if job["state"] == "succeeded"}
        assert {job["id"]: job["credits_charged"] for job in jobs if job["state"] == "succeeded"} == due
        assert books["totals"]["credits_charged"] == sum(due.values())
        for name, account in books["accounts"].items():
            own = [job for job in jobs if job["account"] == name]
            assert account["balance"] == 1500 - sum(job["credits_charged"] for job in own)
            assert account["in_flight"] == sum(job["state"] in ("queued", "processing") for job in own)
            assert account["most_in_flight"] <= 6
        totals = books["totals"]
        assert totals["jobs"] == totals["open"] + totals["succeeded"] + totals["failed"] == len(self.expected)

    @invariant()
    def an_account_and_an_id_have_one_job(self) -> None:
        named = [(job["account"], job["external_task_id"]) for job in self.world.books()["jobs"] if job["external_task_id"]]
        assert self.world.books()["totals"]["duplicates"] == len(named) - len(set(named))
        assert self.replay == "correlates" or len(named) == len(set(named))


class BooksBalanceWithoutReplay(BooksBalance):
    """The same, where every POST makes a job."""

    replay = "correlates"


BooksBalance.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
BooksBalanceWithoutReplay.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestBooksBalance = BooksBalance.TestCase
TestBooksBalanceWithoutReplay = BooksBalanceWithoutReplay.TestCase
