"""Stamps and rules as files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifest_runner.adapters.stamps import Stamp, set_stamps, write_if_changed, write_rules
from manifest_runner.errors import UsageError

SECOND = 10**9
NOW = 1_800_000_000 * SECOND


def file(path: Path, time: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, ns=(time, time))
    return path


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_stamps_tell_what_is_to_do_and_are_set_only_where_they_tell_otherwise(tmp_path: Path) -> None:
    stamps, clips = tmp_path / "state" / "shots", tmp_path / "clips"
    for name in ("A_t1.mp4", "B_t1.mp4", "B_t2.mp4"):
        file(clips / name, NOW - SECOND)
    wanted = {"A": Stamp(stale=False, clips=("A_t1.mp4",)), "B": Stamp(stale=True, clips=("B_t1.mp4", "B_t2.mp4")),
              "C": Stamp(stale=True, clips=("C_t1.mp4",))}
    set_stamps(stamps, clips, wanted, NOW)
    first = times(stamps)
    assert first["A"] < NOW - SECOND < first["B"] == first["C"] == NOW
    set_stamps(stamps, clips, wanted, NOW + SECOND)
    assert times(stamps) == first
    file(clips / "B_t2.mp4", NOW + 2 * SECOND)
    set_stamps(stamps, clips, wanted, NOW + 3 * SECOND)
    assert times(stamps) == {**first, "B": NOW + 3 * SECOND}


def test_a_stamp_of_a_shot_that_is_gone_goes_too(tmp_path: Path) -> None:
    file(tmp_path / "shots" / "gone", NOW)
    set_stamps(tmp_path / "shots", tmp_path / "clips", {"A": Stamp(stale=True, clips=())}, NOW)
    assert list(times(tmp_path / "shots")) == ["A"]


def test_a_clip_that_is_a_link_has_the_time_of_what_it_leads_to_as_make_sees_it(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "A_t1.mp4").symlink_to(file(tmp_path / "elsewhere.mp4", NOW + SECOND))
    (tmp_path / "clips" / "broken").symlink_to("nowhere")
    set_stamps(tmp_path / "shots", tmp_path / "clips", {"A": Stamp(stale=True, clips=("A_t1.mp4",))}, NOW)
    assert times(tmp_path / "shots")["A"] > NOW + SECOND


def test_a_file_that_says_this_already_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    write_if_changed(path, "one\n")
    file(path, NOW)
    write_if_changed(path, "one\n")
    assert times(tmp_path) == {"cut": NOW}
    write_if_changed(path, "two\n")
    assert path.read_text() == "two\n"
    assert times(tmp_path) != {"cut": NOW}


def test_rules_get_the_time_at_which_their_making_began_even_where_they_say_the_same(tmp_path: Path) -> None:
    manifest = file(tmp_path / "show.yaml", NOW - SECOND)
    for began in (NOW, NOW + SECOND):
        write_rules(tmp_path / "show.mk", "all:\n", [manifest, tmp_path / "gone"], began, began + SECOND)
        assert (tmp_path / "show.mk").stat().st_mtime_ns == began
    file(manifest, NOW + 60 * SECOND)
    write_rules(tmp_path / "show.mk", "all:\n", [manifest], NOW, NOW + SECOND)
    assert (tmp_path / "show.mk").stat().st_mtime_ns == NOW + 60 * SECOND


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        set_stamps(tmp_path / "file" / "shots", tmp_path, {"A": Stamp(stale=True, clips=())}, NOW)
