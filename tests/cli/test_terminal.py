"""`render` in a terminal, as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import command, environment, write
from tests.crash.test_killed_run import live, simulator
from tests.terminal import Session

SHOW = """\
version: 1
show: night
sequence: SQ010
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: A, prompt: one}
  - {id: B, prompt: two}
  - {id: C, prompt: three}
  - {id: D, prompt: four, first_frame: {shot: C, frame: last}}
"""


def render(folder: Path, address: str, *, columns: int = 100, **more: str) -> Session:
    env = {name: value for name, value in environment(folder, live(address)).items() if name not in ("NO_COLOR", "COLUMNS")}
    return Session(command("render", "show.yaml", "--yes"), cwd=folder, env={**env, **more}, columns=columns, lines=30)


def test_a_run_is_shown_survives_other_sizes_and_ctrl_c_leaves_a_clean_screen_with_the_way_on(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    faults = ("--fault", "job:fail=blocked by moderation shot=A", "--fault", "poll:stuck shot=C")
    with simulator(tmp_path, *faults, pictures=False) as address:
        session = render(tmp_path, address)
        session.until("✗ A t1: generation_failed: blocked by moderation")
        shown = session.until("✓ B t1")
        session.until("█ 1 done  ▒ 1 rendering  ░ 1 waiting  ✗ 1 failed")
        assert "29 credits charged · 29 reserved" in "\n".join(shown)
        colours = {cell.fg for row in session.screen.buffer.values() for cell in row.values()}
        assert {"green", "red", "cyan"} <= colours

        session.resize(60, 30)
        # pyte does not break lines that have become too long, as most terminals do: so the bar is looked for, not what is above
        assert sum(line.startswith("night SQ010") for line in session.until("✗ A t1: generation_failed")) == 1
        session.resize(90, 30)
        session.until("so far")

        session.type("\x03")
        assert session.end() == 130
        shown = session.shown()
        assert shown[-1] == "stopped; continue with: manifest-runner render show.yaml"
        assert sum(line.startswith("night SQ010") for line in shown) == 1
        assert "29 credits charged · 29 reserved" in shown
        assert (session.screen.cursor.x, session.screen.cursor.hidden) == (0, False)


def test_a_second_ctrl_c_leaves_nothing_to_mend(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, "--fault", "poll:stuck", "--fault", "submit:slow=30 shot=B", pictures=False) as address:
        session = render(tmp_path, address)
        session.until(" rendering")
        session.type("\x03")
        session.until("stopping: ")
        session.type("\x03")
        assert session.end() == 130
        line = session.screen.display[session.screen.cursor.y].strip()
        assert (line in ("", "^C"), session.screen.cursor.hidden) == (True, False)  # the terminal itself echoes the key


@pytest.mark.parametrize(("more", "escapes"), [({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True)])
def test_a_simple_terminal_gets_lines_and_no_colour_is_heeded(tmp_path: Path, more: dict[str, str], escapes: bool) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        session = render(tmp_path, address, **more)
        bars = []
        while session.go_on():
            bars += [line for line in session.shown() if line.startswith("night SQ010")]
        assert session.code == 0
        assert bool(bars) is escapes
        assert any("B t1: rendered, 29 credits" in line for line in session.shown()) is not escapes
        assert {cell.fg for row in session.screen.buffer.values() for cell in row.values()} == {"default"}


def test_one_of_several_commands_of_a_run_writes_lines_because_others_write_to_the_same_terminal(tmp_path: Path) -> None:
    write(tmp_path, SHOW.partition("  - {id: B")[0])
    env = environment(tmp_path, {"MANIFEST_RUNNER_RUN": "make-1"})
    session = Session(command("render", "show.yaml", "--draft"), cwd=tmp_path, env=env, columns=100, lines=30)
    assert session.end() == 0
    shown = session.shown()
    assert [line.rpartition(" as ")[0] or line for line in shown[-4:]] == [
        "A t1: submitted", "A t1: rendered", "A t1: clip stored", "1 done of 1 take. A draft costs nothing."]
