"""Every byte of two renders, read on the wire: one host sees the key, in one header, and nobody else is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.attacks.canary import found_in
from tests.attacks.packets import API, CDN, KEY, Log, record, table


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return record(tmp_path_factory.mktemp("wire"))


def test_the_render_that_was_tempted_fails_one_shot_and_the_next_brings_all_home(log: Log) -> None:
    assert log.codes == [1, 0], log.output
    assert "redirected to" in log.output
    assert log.api.answers == log.cdn.answers == [], "every temptation was met"


def test_the_key_is_in_one_header_of_each_question_to_the_api_and_nowhere_else_on_the_wire(log: Log) -> None:
    header = re.compile(rb"\r\nX-API-Key: " + re.escape(KEY.encode()) + rb"\r\n", re.IGNORECASE)
    for head in log.api.requests():
        asks = head.startswith((b"POST /v1/video/", b"GET /v1/jobs/"))
        assert len(header.findall(head)) == (1 if asks else 0), head
    assert found_in(b"".join(header.sub(b"\r\n", heard) for heard in log.api.heard), KEY) == set()
    assert found_in(b"".join([*log.api.said, *log.cdn.said, *log.cdn.heard, *log.proxy.heard]), KEY) == set()


def test_the_host_of_clips_gets_no_credential_of_any_kind(log: Log) -> None:
    heads = log.cdn.requests()
    assert len(heads) >= 4
    for head in heads:
        assert re.search(rb"api-key|cookie|authorization|referer|netrc|stolen", head, re.IGNORECASE) is None, head
        assert head.startswith(b"GET /out/"), "no submission and no question was redirected there"


def test_nobody_gets_a_cookie_or_a_password(log: Log) -> None:
    everything = b"".join([*log.api.heard, *log.cdn.heard, *log.proxy.heard])
    assert b"Set-Cookie" in b"".join(log.api.said)
    assert re.search(rb"cookie|authorization|netrc-secret", everything, re.IGNORECASE) is None


def test_a_redirect_of_a_clip_to_the_api_is_asked_for_without_the_key(log: Log) -> None:
    [head] = [head for head in log.api.requests() if b"by-way-of-the-api" in head]
    assert found_in(head, KEY) == set()
    assert b"api-key" not in head.lower()


def test_the_process_connects_to_these_two_hosts_and_to_nothing_else(log: Log) -> None:
    assert log.proxy.heard == [], "nothing between this machine and itself"
    hosts = {line.split("'")[1] for line in log.connections if line.startswith(("socket.connect", "socket.getaddrinfo"))}
    assert hosts == {API, CDN}
    assert not [line for line in log.connections if line.startswith("socket.sendto")]


def test_the_figures_name_each_host(log: Log) -> None:
    assert [line.split()[0] for line in table(log)] == ["host", "API", "CDN", "proxy"]


def test_without_the_law_the_log_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its teeth: with redirects followed, the other host is asked with the key."""
    from tests.attacks import packets

    monkeypatch.setattr(packets, "_HOOK", packets._HOOK + (
        "from manifest_runner.adapters import gateway\n"
        "import httpx\n"
        "class Following(httpx.AsyncClient):\n"
        "    def __init__(self, **given):\n"
        "        super().__init__(**{**given, 'follow_redirects': True})\n"
        "gateway.httpx.AsyncClient = Following\n"))
    assert found_in(b"".join(packets.record(tmp_path).cdn.heard), KEY)
