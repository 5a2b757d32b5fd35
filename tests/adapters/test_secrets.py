from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

from manifest_runner.adapters.secrets import Secret, account_of, is_loopback, normal_address, read_key
from manifest_runner.errors import UsageError

CANARY = "tk_canary-7f3a/9+b="


@dataclass(frozen=True)
class Holder:
    key: Secret


def everything_that_shows(secret: Secret) -> list[str]:
    return [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", f"{secret!s}",
            repr([secret]), repr({"key": secret}), repr(Holder(key=secret))]


def test_a_secret_shows_itself_only_when_it_is_revealed() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert not [text for text in everything_that_shows(secret) if CANARY in text or "canary" in text]
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("take", [pickle.dumps, lambda secret: pickle.dumps(secret, 0),
                                  lambda secret: pickle.dumps(secret, 2),
                                  copy.copy, copy.deepcopy, json.dumps, lambda secret: secret.__getstate__()])
def test_a_secret_cannot_be_pickled_copied_or_dumped(take) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(CANARY))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_secret_keeps_out_of_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("any").debug("key %s %r", Secret(CANARY), Secret(CANARY))
    assert caplog.records
    assert CANARY not in caplog.text


@pytest.mark.parametrize(("environ", "expected"), [
    ({}, None),
    ({"TRINETRA_API_KEY": ""}, None),
    ({"TRINETRA_API_KEY": CANARY}, CANARY),
    ({"TRINETRA_API_KEY": CANARY + "\n"}, CANARY),
    ({"TRINETRA_API_KEY": CANARY + "\r\n"}, CANARY),
])
def test_the_key_is_read_from_the_environment(environ: dict[str, str], expected: str | None) -> None:
    key = read_key(environ, None)
    assert (key.reveal() if key else None) == expected


BAD = ["\n", " " + CANARY, CANARY + " ", CANARY + "\n\n", "a\tb" + CANARY, "a\0" + CANARY, CANARY + "\x1b[31m", CANARY + "é",
       CANARY + "\r\nX-Other: 1", "x" * 4097]


@pytest.mark.parametrize("value", BAD)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(value: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(value.encode())
    for read in (lambda: read_key({"TRINETRA_API_KEY": value}, None), lambda: read_key({}, file)):
        with pytest.raises(UsageError) as caught:
            read()
        assert "canary" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_a_key_file_goes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(CANARY + "\n")
    key = read_key({"TRINETRA_API_KEY": "other"}, file)
    assert key is not None
    assert key.reveal() == CANARY


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda path: path.write_bytes(b""),
                                  lambda path: path.write_bytes(b"x" * 10_000)])
def test_a_key_file_that_is_missing_empty_huge_or_a_folder_is_a_usage_error(make, tmp_path: Path) -> None:
    make(tmp_path / "key")
    with pytest.raises(UsageError):
        read_key({}, tmp_path / "key")


def test_a_key_file_may_be_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(CANARY + "\n"))
    writer.start()
    key = read_key({}, pipe)
    writer.join()
    assert key is not None
    assert key.reveal() == CANARY


def test_an_account_is_named_by_address_and_key_and_gives_neither_away() -> None:
    name = account_of("https://gateway.example", Secret(CANARY))
    assert len(name) == 16
    assert int(name, 16) >= 0
    assert name == account_of("HTTPS://Gateway.Example:443/", Secret(CANARY))
    assert name != account_of("https://gateway.example", Secret(CANARY + "x"))
    assert name != account_of("https://gateway.example/v2", Secret(CANARY))
    assert name != account_of("http://gateway.example", Secret(CANARY))


@pytest.mark.parametrize(("given", "normal"), [
    ("https://Brahmand-API.bulletshorts.co/", "https://brahmand-api.bulletshorts.co"),
    ("http://LOCALHOST:80", "http://localhost"),
    ("https://a.example:8443/api//", "https://a.example:8443/api"),
    ("http://[::1]:8000/", "http://[::1]:8000"),
])
def test_an_address_has_one_spelling(given: str, normal: str) -> None:
    assert normal_address(given) == normal


@pytest.mark.parametrize("address", ["", "gateway.example", "ftp://a.example", "https://", "file:///etc/passwd", "https://a:b@c.example",
                                     "https://key@c.example", "https://a.example?x=1", "https://a.example#x", "https://a.example:99999",
                                     "https://[::1", "https://a b.example", "https://exämple.org", "//a.example"])
def test_an_address_that_cannot_be_a_gateway_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError):
        normal_address(address)


@pytest.mark.parametrize(("address", "loopback"), [
    ("http://localhost", True), ("http://sim.localhost", True), ("http://127.0.0.1:80", True), ("http://127.9.9.9", True),
    ("http://[::1]", True), ("http://10.0.0.1", False), ("http://localhost.example", False), ("http://0.0.0.0", False),
])
def test_only_addresses_of_this_machine_are_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
