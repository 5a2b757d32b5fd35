"""What a file system says of files, for whoever must be quick."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifest_runner.adapters.signs import Doubt, content_of, digest_at, digest_of, sizes_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, and what may stand in the place of one: a link that is as long as its file, a folder, a pipe."""
    (tmp_path / "a.mp4").write_bytes(b"." * 5)
    (tmp_path / "b.mp4").write_bytes(b"")
    (tmp_path / "link").symlink_to("a.mp4")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def test_only_regular_files_have_a_size(folder: Path) -> None:
    assert sizes_in(str(folder)) == {"a.mp4": 5, "b.mp4": 0}
    assert sizes_in(str(folder / "a.mp4")) == sizes_in(str(folder / "gone")) == {}


def test_a_system_that_lists_no_open_folder_says_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sizes_in(str(folder))
    monkeypatch.setattr(os, "supports_dir_fd", set())
    assert sizes_in(str(folder)) == expected


def test_what_is_no_regular_file_is_never_read(folder: Path) -> None:
    for name in ("pipe", "folder"):
        for read in (lambda path: content_of(path, 10), lambda path: digest_at(path, 10)):
            with pytest.raises((Doubt, OSError)):
                read(str(folder / name))
    for name in ("link", "dangling"):
        with pytest.raises(OSError, match="symbolic links"):
            content_of(str(folder / name), 10)
    assert content_of(str(folder / "link"), 10, links=True)[0] == b"....."


def test_content_is_read_up_to_a_bound(folder: Path) -> None:
    path = str(folder / "a.mp4")
    assert [content_of(path, most)[0] for most in (4, 5, 6)] == [None, b".....", b"....."]
    assert digest_at(path, 5) == digest_of(b".....")
    assert digest_at(path, 5) != digest_of(b"....")
