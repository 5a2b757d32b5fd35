"""A memo says of a lockfile what its text says, to those alone for whom it was made, or it says nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters import lockmemo, lockwriter
from manifest_runner.adapters.lockmemo import LockMemo
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.lockrows import from_rows, rows_of
from manifest_runner.core.model import JobState, LockEntry, Lockfile
from tests.builders import FACTS, HEAD, manifest_of, rendered, verdict
from tests.cli.support import run, write
from tests.core.test_lockfile import lockfile

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and times mean something else there")

DIGEST = "ab" * 32
SHOTS = "shots:\n" + "".join(f"  - {{id: SH{number:04}, prompt: {'x' * 900}}}\n" for number in range(400))

amounts = st.decimals(min_value=0, max_value=10**6, places=3) | st.just(Decimal(145)) | st.just(Decimal("1.450E+2"))
words = st.text(max_size=8)
params = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6)


@st.composite
def lockfiles_of_all_kinds(draw: st.DrawFn) -> Lockfile:
    there = lockfile()

    def changed(entry: LockEntry) -> LockEntry:
        outputs = entry.outputs
        if outputs and draw(st.booleans()):
            media = draw(st.none() | st.just(replace(FACTS, duration=draw(st.floats(0, 60)))))
            outputs = (*[replace(clip, path=draw(words), media=media) for clip in outputs], *outputs[:draw(st.integers(0, 1))])
        request = replace(entry.request, params=draw(st.dictionaries(words, params, max_size=3)))
        return replace(entry, state=draw(st.sampled_from(JobState)), request=request, outputs=outputs, error=draw(words),
                       attempt=draw(st.integers(1, 9)), job_id=draw(st.none() | words), estimated=draw(amounts),
                       charged=draw(st.none() | amounts), verdict=draw(st.none() | st.just(verdict("black"))))

    return replace(there, manifest=draw(words), entries={where: changed(entry) for where, entry in there.entries.items()})


@given(lockfiles_of_all_kinds())
def test_a_lockfile_comes_back_from_its_rows_as_it_was(there: Lockfile) -> None:
    rows = rows_of(there)
    assert rows is not None
    back = from_rows(rows)
    assert back == there
    assert (back.manifest, list(back.entries)) == (there.manifest, list(there.entries))
    assert lockfiles.write(back, manifest="x") == lockfiles.write(there, manifest="x")  # 1.0 and 1 are equal, and other bytes


@pytest.mark.parametrize("more", [{"extra": {(): {"cloud": 1}}}, {"superseded": {("SH0010", 1): ()}}])
def test_what_rows_cannot_hold_has_none(more: Mapping[str, Any]) -> None:
    assert rows_of(replace(lockfile(), **more)) is None


@pytest.fixture
def memo(tmp_path: Path) -> LockMemo:
    tag = tmp_path / "CACHEDIR.TAG"
    tag.write_text("a tag")
    made = LockMemo(tmp_path / "memo", tag)
    made.remember(lockfile(), DIGEST)
    return made


def test_it_knows_the_text_that_it_was_made_of_and_no_other(memo: LockMemo) -> None:
    assert memo.recall(DIGEST) == lockfile()
    assert memo.recall("cd" * 32) is None


def test_it_is_its_owners_alone(memo: LockMemo, tmp_path: Path) -> None:
    assert (tmp_path / "memo").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CACHEDIR.TAG", "memo"]
    (tmp_path / "memo").chmod(0o620)
    assert memo.recall(DIGEST) is None


def test_one_of_another_user_is_not_read(memo: LockMemo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert memo.recall(DIGEST) is None


def test_one_that_came_with_a_copy_of_the_state_folder_is_not_read(memo: LockMemo, tmp_path: Path) -> None:
    del memo
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("CACHEDIR.TAG", "memo"):
        shutil.copy2(tmp_path / name, copy / name)
    assert LockMemo(copy / "memo", copy / "CACHEDIR.TAG").recall(DIGEST) is None


def test_one_of_another_version_is_not_read(memo: LockMemo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockmemo, "__version__", "9.9.9")
    assert memo.recall(DIGEST) is None


def test_none_that_was_torn_or_changed_is_read(memo: LockMemo, tmp_path: Path) -> None:
    file = tmp_path / "memo"
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        assert memo.recall(DIGEST) is None
    for at in range(0, len(whole), 13):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert memo.recall(DIGEST) is None


def test_without_a_state_folder_nothing_is_written(tmp_path: Path) -> None:
    made = LockMemo(tmp_path / "memo", tmp_path / "CACHEDIR.TAG")
    made.remember(lockfile(), DIGEST)
    assert made.recall(DIGEST) is None
    assert not list(tmp_path.iterdir())


def long(folder: Path) -> Path:
    """A lockfile that is worth a memo."""
    entries = rendered(manifest_of(SHOTS))
    path = folder / "long.lock.json"
    path.write_text(lockfiles.write(Lockfile(entries=entries), manifest="long.yaml"), encoding="utf-8")  # type: ignore[arg-type]
    assert path.stat().st_size > lockmemo.WORTH
    return path


def test_a_long_lockfile_is_read_once_and_again_as_soon_as_a_byte_of_it_is_another(memo: LockMemo, tmp_path: Path,
                                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    path, read, reads = long(tmp_path), lockfiles.read, list[str]()

    def counted(text: str, *, path: str) -> Lockfile:
        reads.append(path)
        return read(text, path=path)

    monkeypatch.setattr(lockwriter.lockfiles, "read", counted)
    first, again = (read_lockfile(path, "x", memo) for _ in range(2))
    assert first == again
    assert reads == ["x"]
    data = json.loads(path.read_text(encoding="utf-8"))
    data["shots"]["SH0007"]["takes"]["1"]["attempt"] = 7
    path.write_text(json.dumps(data), encoding="utf-8")
    other, _ = read_lockfile(path, "x", memo)
    assert reads == ["x", "x"]
    assert other.entries["SH0007", 1].attempt == 7  # type: ignore[index]


def test_a_short_lockfile_has_no_memo(memo: LockMemo, tmp_path: Path) -> None:
    path = tmp_path / "x.lock.json"
    path.write_text(lockfiles.write(lockfile(), manifest="x.yaml"), encoding="utf-8")
    before = (tmp_path / "memo").read_bytes()
    read_lockfile(path, "x", memo)
    assert (tmp_path / "memo").read_bytes() == before


def test_the_next_plan_of_a_long_show_says_the_same_out_of_its_memo(tmp_path: Path) -> None:
    write(tmp_path, HEAD + SHOTS, "long.yaml")
    long(tmp_path)
    (tmp_path / ".manifest-runner").mkdir(mode=0o700)
    (tmp_path / ".manifest-runner" / "CACHEDIR.TAG").write_text("a tag")
    first, again = (run(tmp_path, "plan", "long.yaml", "--json") for _ in range(2))
    assert len(list((tmp_path / ".manifest-runner").glob("memo-*"))) == 1
    assert (first.code, first.out) == (again.code, again.out)
    assert json.loads(first.out)["changes"]
