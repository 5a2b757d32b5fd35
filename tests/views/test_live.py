"""The display at the bottom of a terminal: what a terminal shows of what is written to it."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from decimal import Decimal

import pyte
import pytest

from manifest_runner.core.lifecycle import Intended, Submitted
from manifest_runner.core.model import Action, JobId, JobState, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Outcome
from manifest_runner.core.pace import Patience
from manifest_runner.core.requests import request_of
from manifest_runner.core.running import Bounds, Running
from manifest_runner.views.live import Live
from tests.builders import CARD, clip, job, manifest_of, plan_of


def key(shot: str) -> TakeKey:
    return TakeKey(manifest="test.yaml", shot=ShotId(shot), take=1)


def ended(shot: str, ending: Ending = Ending.DONE, words: str = "") -> Outcome:
    return Outcome(key=key(shot), action=Action.CREATE, ending=ending, words=words, charged=Decimal(145),
                   artifact=clip(f"renders/{shot}_t1.mp4") if ending is Ending.DONE else None)


class Terminal(io.TextIOBase):
    """A terminal in memory. `written` is set by each write."""

    def __init__(self, columns: int = 80, lines: int = 24, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding
        self.screen = pyte.Screen(columns, lines)
        self.screen.set_mode(pyte.modes.LNM)  # what a terminal's driver does with line ends
        self.stream = pyte.Stream(self.screen)
        self.raw = ""
        self.written = threading.Event()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def write(self, text: str, /) -> int:
        self.raw += text
        self.stream.feed(text)
        self.written.set()
        return len(text)

    def size(self) -> tuple[int, int]:
        return self.screen.columns, self.screen.lines

    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def until(self, words: str) -> list[str]:
        """What it shows once these words are among it."""
        while words not in "\n".join(self.shown()):
            self.written.clear()
            assert words in "\n".join(self.shown()) or self.written.wait(5), self.shown()
        return self.shown()


class Stage:
    """Three shots, a clock that is moved by hand, and a terminal."""

    def __init__(self, terminal: Terminal | None = None, *, shots: int = 3, colour: bool | None = None) -> None:
        self.manifest = manifest_of("shots:\n" + "".join(f"  - {{id: S{n}, prompt: x{n}}}\n" for n in range(1, shots + 1)))
        self.terminal = terminal or Terminal()
        self.time = 0.0
        running = Running(plan_of(self.manifest), self.manifest, CARD, {}, Bounds(credits=Decimal(500)), poll=5, now=0.0)
        self.live = Live(running, lambda: self.time, title="show", folder="shots/", priced=True, colour=colour,
                         stream=self.terminal, size=self.terminal.size)

    def leave(self, shot: str) -> None:
        request = request_of(self.manifest.shots[0], CARD, lambda _: "x")
        self.live(key(shot), Intended(intent=job(request, shot=shot, state=JobState.INTENDED).intent))
        self.live(key(shot), Submitted(job_id=JobId("j")))


def test_it_stands_below_what_was_there_and_what_is_done_stands_above_it() -> None:
    stage = Stage()
    stage.terminal.write("before\n")
    with stage.live:
        stage.leave("S1")
        assert "0 credits charged · 145 reserved · limit 500 · 0:00 so far" in stage.terminal.until("145 reserved")
        stage.live(key("S1"), ended("S1"))
        shown = stage.terminal.until("1 done")
        assert shown[:2] == ["before", "✓ S1 t1                    145 credits  shots/renders/S1_t1.mp4"]
        assert shown[-2] == "█ 1 done  ░ 2 waiting"


def test_at_the_end_its_lines_are_gone_and_the_cursor_is_where_the_next_line_begins() -> None:
    stage = Stage()
    with stage.live:
        stage.live(key("S1"), ended("S1"))
        stage.live(key("S2"), ended("S2", Ending.FAILED, "no"))
    assert stage.terminal.shown() == ["✓ S1 t1                    145 credits  shots/renders/S1_t1.mp4"]
    assert (stage.terminal.screen.cursor.x, stage.terminal.screen.cursor.y) == (0, 2)


def test_where_it_is_interrupted_how_far_it_came_and_what_failed_stay() -> None:
    stage = Stage()
    try:
        with stage.live:
            stage.leave("S1")
            stage.live(key("S2"), ended("S2", Ending.FAILED, "no such place"))
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert stage.terminal.shown()[1:] == [
        "▒ 1 rendering  ░ 1 waiting  ✗ 1 failed", "0 credits charged · 145 reserved · limit 500", "✗ S2 t1: no such place"]


def test_between_two_writes_the_terminal_is_as_it_was_found() -> None:
    stage = Stage()
    with stage.live:
        for number, shot in enumerate(("S1", "S2", "S3"), 1):
            stage.leave(shot)
            stage.terminal.until(f"{number} rendering")
            assert stage.terminal.screen.cursor.x == 0
            assert not stage.terminal.screen.cursor.hidden
            assert stage.terminal.screen.mode == {*pyte.Screen(80, 24).mode, pyte.modes.LNM}
            assert not stage.terminal.screen.buffer[stage.terminal.screen.cursor.y][0].data.strip()


def test_what_others_write_meanwhile_stands_above_it_whole() -> None:
    stage, before = Stage(), sys.stderr
    with stage.live:
        sys.stderr.write("stopping: ")
        sys.stderr.write("no new submissions\nhalf a line")
        shown = stage.terminal.until("stopping")
        assert shown[0] == "stopping: no new submissions"
        assert shown[1].startswith("show ")
    assert sys.stderr is before
    assert stage.terminal.shown() == ["stopping: no new submissions", "half a line"]


def test_a_terminal_that_changes_its_size_gets_lines_of_that_size() -> None:
    stage = Stage(Terminal(100, 24))
    with stage.live:
        stage.leave("S1")
        stage.terminal.until("1 rendering")
        stage.terminal.screen.resize(24, 50)
        stage.time = 5.0
        shown = stage.terminal.until("0:05 so far")
        assert [line for line in shown if line.startswith("show ")] == [shown[0]]
        assert max(map(len, shown)) <= 49
        stage.terminal.screen.resize(24, 120)
        stage.time = 6.0
        assert len(stage.terminal.until("0:06 so far")[0]) > 90


def test_nothing_is_written_where_nothing_has_changed() -> None:
    stage = Stage()
    with stage.live:
        stage.leave("S1")
        stage.terminal.until("1 rendering")
        stage.terminal.written.clear()
        assert not stage.terminal.written.wait(0.4)


def test_ten_thousand_events_are_a_handful_of_writes_and_no_list_of_names() -> None:
    stage = Stage(shots=300)
    with stage.live:
        for number in range(10_000):
            stage.live(key(f"S{number % 300 + 1}"), ended(f"S{number % 300 + 1}"))
    assert stage.terminal.raw.count("\x1b[?25l") < 20
    assert "mp4" not in stage.terminal.raw


def test_colours_are_left_out_where_nobody_wants_them() -> None:
    for colour, found in ((False, False), (True, True)):
        stage = Stage(colour=colour)
        with stage.live:
            stage.leave("S1")
            stage.terminal.until("1 rendering")
        assert ("\x1b[36m" in stage.terminal.raw) is found


def test_an_output_that_knows_ascii_only_gets_nothing_else() -> None:
    stage = Stage(Terminal(encoding="ascii"))
    with stage.live:
        stage.leave("S1")
        stage.live(key("S2"), ended("S2"))
        stage.live(key("S3"), ended("S3", Ending.FAILED, "a long story " * 20))
        stage.live(key("S3"), Patience(seconds=30, pace=0.2, places=None))
        shown = stage.terminal.until("1 failed")
    assert stage.terminal.raw.isascii()
    assert "# 1 done  > 1 rendering  x 1 failed" in shown


def test_a_terminal_that_has_gone_changes_nothing() -> None:
    class Gone(Terminal):
        def write(self, text: str, /) -> int:
            raise OSError("gone")

    stage = Stage(Gone())
    with stage.live:
        stage.leave("S1")


def test_a_terminal_that_is_stopped_keeps_nobody_waiting() -> None:
    go_on = threading.Event()

    class Stopped(Terminal):
        def write(self, text: str, /) -> int:
            go_on.wait(5)
            return super().write(text)

    stage = Stage(Stopped())
    with stage.live:
        for number in range(1000):
            stage.live(key(f"S{number % 3 + 1}"), ended("S1"))
        go_on.set()


def test_patience_is_told_above() -> None:
    stage = Stage()
    with stage.live:
        stage.live(key("S1"), Patience(seconds=30, pace=0.2, places=None))
        assert stage.terminal.until("patience")[0] == "… the gateway asks for patience: 12 a minute for now, going on in 30 s"


class Odd(Stage):
    """A clock that does something else besides."""

    what: Callable[[], object] = staticmethod(lambda: None)

    @property
    def time(self) -> float:
        self.what()
        return 0.0

    @time.setter
    def time(self, value: float) -> None:
        return


def test_what_is_written_from_within_the_display_itself_holds_nobody_up() -> None:
    stage = Odd()
    stage.what = lambda: sys.stderr.write("never retrieved\n")
    with stage.live:
        told = threading.Thread(target=stage.leave, args=("S1",), daemon=True)
        told.start()
        told.join(5)
        assert not told.is_alive()
        stage.terminal.until("1 rendering")
    assert stage.terminal.shown()[0] == "never retrieved"


def fails() -> object:
    raise LookupError("no such style\nat all")


@pytest.mark.parametrize("where", ["in the run", "on its own thread"])
def test_a_display_that_fails_ends_and_says_so_and_the_run_does_not(where: str) -> None:
    stage = Odd()
    with stage.live:
        stage.leave("S1")
        stage.terminal.until("1 rendering")
        mine = threading.current_thread()
        stage.what = lambda: (threading.current_thread() is mine) == (where == "in the run") and fails()
        stage.live(key("S1"), ended("S1"))
        sys.stderr.write("stopping\n")
        assert not [line for line in stage.terminal.until("stopping") if "rendering" in line], "what others say is passed on"
        stage.live(key("S2"), ended("S2"))
    *_, last = stage.terminal.shown()
    assert last == "the display failed, the run went on without it (LookupError: no such style)"
