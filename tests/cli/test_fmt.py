"""`fmt` as a user runs it: which files change, which do not, and what is said."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.cli.support import MANIFESTS, run, write

LOOSE = "# one shot\nshots:\n- prompt: one   # first\n  id: A\nversion: 1\nshow: x\nmodel: kling-v3-omni\r\n\n\n"
TIDY = "# one shot\nversion: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n  - id: A\n    prompt: one   # first\n"


def test_fmt_lays_a_manifest_out_and_has_nothing_to_do_a_second_time(tmp_path: Path) -> None:
    path = write(tmp_path, LOOSE)
    path.write_bytes(LOOSE.encode())
    path.chmod(0o640)
    first = run(tmp_path, "fmt", "show.yaml")
    assert (first.code, first.out) == (0, "show.yaml: laid out\n")
    assert path.read_bytes() == TIDY.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = path.stat().st_mtime_ns
    assert run(tmp_path, "fmt", "show.yaml").out == ""
    assert path.stat().st_mtime_ns == before, "what is laid out is not written again"


def test_check_names_the_files_and_diff_shows_the_lines_and_neither_writes(tmp_path: Path) -> None:
    write(tmp_path, LOOSE, "loose.yaml")
    write(tmp_path, TIDY, "tidy.yaml")
    checked = run(tmp_path, "fmt", "--check", "loose.yaml", "tidy.yaml")
    assert (checked.code, checked.out) == (1, "loose.yaml: not laid out\n")
    shown = run(tmp_path, "fmt", "--diff", "loose.yaml", "tidy.yaml")
    assert shown.code == 0
    assert "-- prompt: one   # first" in shown.out
    assert "+    prompt: one   # first" in shown.out
    assert run(tmp_path, "fmt", "--check", "--diff", "loose.yaml").code == 1
    assert (tmp_path / "loose.yaml").read_text() == LOOSE.replace("\r\n", "\n")


def test_a_file_with_mistakes_is_told_and_not_touched_and_the_others_get_their_turn(tmp_path: Path) -> None:
    wrong = "version: 1\nversion: 2\nshots: []\n"
    write(tmp_path, wrong, "wrong.yaml")
    write(tmp_path, LOOSE, "loose.yaml")
    ran = run(tmp_path, "fmt", "wrong.yaml", "loose.yaml")
    assert ran.code == 2
    assert "wrong.yaml:2:1: error[duplicate-key]" in ran.err
    assert (tmp_path / "wrong.yaml").read_text() == wrong
    assert (tmp_path / "loose.yaml").read_text() == TIDY


def test_a_template_for_a_whole_file_is_not_laid_out(tmp_path: Path) -> None:
    text = "version: 1\n{% for n in [1] %}\n{% endfor %}\n"
    write(tmp_path, text, "gen.yaml.j2")
    ran = run(tmp_path, "fmt", "gen.yaml.j2")
    assert (ran.code, "template for a whole file" in ran.err) == (2, True)
    assert (tmp_path / "gen.yaml.j2").read_text() == text


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path, LOOSE, "real.yaml")
    (tmp_path / "show.yaml").symlink_to("real.yaml")
    assert run(tmp_path, "fmt", "show.yaml").code == 0
    assert str((tmp_path / "show.yaml").readlink()) == "real.yaml"
    assert (tmp_path / "real.yaml").read_text() == TIDY


def test_the_manifests_that_come_with_the_program_are_laid_out() -> None:
    names = [str(path.relative_to(MANIFESTS.parent)) for path in sorted(MANIFESTS.rglob("*.yaml"))]
    assert run(MANIFESTS.parent, "fmt", "--check", *names).code == 0
