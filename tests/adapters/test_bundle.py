"""A bundle holds what a manifest is made from, and nothing that could lead anywhere else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from manifest_runner.adapters import bundle
from manifest_runner.adapters.files import repository_of
from manifest_runner.errors import UsageError

FILES = {"manifests/show.yaml": b"version: 1\n", "manifests/looks/words.j2": "größer".encode(),
         "plates/a.png": bytes(range(256)) * 40}


def written(folder: Path, data: bytes) -> Path:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return path


def of(name: str, content: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def test_the_same_files_are_the_same_bytes_in_whatever_order_they_came() -> None:
    assert bundle.pack(FILES) == bundle.pack(dict(reversed(FILES.items())))


def test_what_was_packed_is_unpacked_and_is_the_root_of_a_repository_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    bundle.unpack(written(tmp_path, bundle.pack(FILES)), tmp_path / "there")
    assert {name: (tmp_path / "there" / name).read_bytes() for name in FILES} == FILES
    assert repository_of(tmp_path / "there" / "manifests") == (tmp_path / "there").resolve()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ".git/config", "a/.GIT/hooks/x", "a\\b", "C:x",
                                  "a//b", "./a", "a\nb", "folder/"])
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        bundle.unpack(written(tmp_path, of(name)), tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.zip"]


@pytest.mark.parametrize("data", [b"", b"nothing", bundle.pack(FILES)[:-40], bundle.pack(FILES)[:50] + b"\0" * 400])
def test_one_that_is_damaged_is_a_message(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        bundle.unpack(written(tmp_path, data), tmp_path / "there")


def test_more_than_a_manifest_may_name_is_refused_before_it_is_unpacked(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "LARGEST_INPUT", 99)
    with pytest.raises(UsageError, match="no manifest"):
        bundle.unpack(written(tmp_path, of("a", bytes(100))), tmp_path / "there")
    monkeypatch.setattr(bundle, "LARGEST_IN_ALL", 100)
    with pytest.raises(UsageError, match="no manifest"):
        bundle.unpack(written(tmp_path, bundle.pack({"a": bytes(60), "b": bytes(60)})), tmp_path / "there")
