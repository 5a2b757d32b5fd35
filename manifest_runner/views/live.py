"""The lines of `screen.py` at the bottom of a terminal, kept up to date while a run goes on.

Laws:

- Between two writes the terminal is as it was found: the cursor shown, at the beginning of the line below. So whatever ends the
  process, a second Ctrl-C or a kill, leaves nothing to be mended.
- The run never waits for the terminal: what is heard is counted, and a thread of its own writes, `FRAMES` times a second at
  most, and only what differs. A terminal that is stopped (Ctrl-S) stops the display and nothing else.
- What others write to standard error meanwhile stands above the lines, whole. It may come from anywhere, out of a finalizer in
  the middle of this very module too: so hearing it takes no lock.
- Nothing that goes wrong in here changes a run: it ends the display, which says so in one line at the end.
- Estimates take at most half a hundredth of the time, however many takes there are.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from os import get_terminal_size
from typing import TextIO

from rich.console import COLOR_SYSTEMS, Console
from rich.segment import Segment
from rich.text import Text

from manifest_runner.core.model import TakeKey
from manifest_runner.core.outcome import Ending, Outcome
from manifest_runner.core.pace import Patience
from manifest_runner.core.pricing import format_credits
from manifest_runner.core.remaining import Remaining
from manifest_runner.core.running import Running
from manifest_runner.views.progress import Aside, What, patience
from manifest_runner.views.screen import PLAIN, SIGNS, frame
from manifest_runner.views.text import safe

FRAMES = 8
"""Updates a second, at most."""

NAMED = 200
"""Takes of a run up to which each finished one is named above the bar. Ten thousand names help nobody."""

ROOMY = 15
"""Lines of a terminal from which one of them may stay empty."""

ESTIMATE_EVERY = 2.0
"""Seconds between two estimates at least; and two hundred times what one cost."""

_ASCII = str.maketrans({"…": ".", "–": "-", "·": "|", "✓": "+", "✗": "x"})


class Live:
    """A `views.progress.Progress` for a terminal. `running` is told everything; `monotonic` is the clock of its times, and
    `folder` goes before the paths of clips. `colour` None means as the terminal and NO_COLOR say."""

    def __init__(self, running: Running, monotonic: Callable[[], float], *, title: str, folder: str, priced: bool,
                 colour: bool | None = None, stream: TextIO | None = None,
                 size: Callable[[], tuple[int, int]] | None = None) -> None:
        self._running = running
        self._monotonic = monotonic
        self._title, self._folder, self._priced = safe(title), folder, priced
        self._stream = stream or sys.stderr
        self._size = size or self._terminal
        self._utf = (self._stream.encoding or "").lower().replace("-", "") == "utf8"
        self._ink = Console(force_terminal=True, no_color=None if colour is None else not colour, legacy_windows=False)
        self._colours = COLOR_SYSTEMS.get(self._ink.color_system or "")
        self._lock = threading.Lock()
        self._above: deque[str] = deque()
        self._broken: Exception | None = None  # what ended the display
        self._shown: list[int] = []  # the cells of each line that stands there now
        self._last = ""
        self._named = False  # whether anything stands above that this display has put there
        self._left: Remaining | None = None
        self._estimated, self._pause = float("-inf"), ESTIMATE_EVERY
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="display", daemon=True)
        self._aside = Aside(self.say, colours=True)

    def __enter__(self) -> Live:
        self._aside.take_over()
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        """Take the lines away; where the run was interrupted, leave how far it came and what failed."""
        self._aside.give_back()
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=2.0)
        if self._thread.is_alive():
            return
        self._draw(last=details[0] is not None, gone=True)
        if self._broken is not None:
            words = safe(f"{type(self._broken).__name__}: {self._broken}".partition("\n")[0])
            self._write(f"the display failed, the run went on without it ({words})\n")

    def __call__(self, key: TakeKey, what: What) -> None:
        if self._broken is not None:
            return
        try:
            with self._lock:
                self._running.hear(key, what, self._monotonic())
                line = self._line(key, what)
                if line is not None:
                    self._named = True
                    self._above.append(self._inked(line))
        except Exception as error:  # whatever it is, the run goes on
            self._broken = error
        if not self._wake.is_set():
            self._wake.set()

    def say(self, text: str) -> None:
        """A line that stands above the display from now on, at its next look: to wake it would take a lock."""
        self._above.append(text)

    def _line(self, key: TakeKey, what: What) -> Text | None:
        """What is told once and stays in the terminal's history. Failures stay in sight instead, until the end lists them."""
        if isinstance(what, Patience):
            words = patience(what)
            return Text(f"… {words}", style="yellow") if words else None
        if not isinstance(what, Outcome) or what.ending is not Ending.DONE or self._running.total > NAMED:
            return None
        name = f"{safe(key.shot)} t{key.take}"
        clip = f"{self._folder}{what.artifact.path}" if what.artifact is not None else what.action.value
        price = f"{format_credits(what.charged):>6} credits  " if self._priced and what.charged else ""
        return Text.assemble(("✓ ", "green"), (f"{name:<20}", "bold"), "  ", price, (safe(clip), "dim"))

    # ── the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _go_on(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._draw()
            self._stop.wait(1 / FRAMES)
            if not self._stop.is_set():
                self._wake.wait(1 / FRAMES)  # the clock on the screen goes on, and terminals change their size

    def _estimate(self) -> None:
        now = self._monotonic()
        if now < self._estimated + self._pause:
            return
        began = time.thread_time()
        with self._lock:
            question = self._running.question(now)
        self._left, self._estimated = question(), now
        self._pause = max(ESTIMATE_EVERY, 200 * (time.thread_time() - began))

    def _draw(self, *, last: bool = False, gone: bool = False) -> None:
        """Write what has changed. `gone`: nothing but what stands above stays, and with `last` the last lines do too."""
        width, lines, body = 80, [], ""
        try:
            width, height = self._size()
            if self._broken is None and (last or not gone):
                lines = self._lines(width, height, gone=gone)
                body = self._inked(Text("\n").join(lines))
        except Exception as error:  # its lines go, what others say is still passed on
            self._broken, lines = error, []
        above = [self._above.popleft() for _ in range(len(self._above))]
        if body == self._last and not above and not gone:
            return
        rows = sum(max(-(-cells // width), 1) for cells in self._shown)  # a terminal that became narrower has broken them
        up = f"\x1b[{rows}A" if rows else ""
        between = [""] if gone and self._named else []  # from what comes next
        text = "".join(f"{line}\n" for line in [*above, *(body.split("\n") if body else ()), *between])
        self._write(f"\x1b[?25l\r{up}\x1b[J{text}\x1b[?25h")
        self._shown, self._last = [line.cell_len for line in lines], body

    def _lines(self, width: int, height: int, *, gone: bool) -> list[Text]:
        """What is to be seen now in a terminal of this size."""
        if not gone:
            self._estimate()
        with self._lock:
            now = self._monotonic()
            state = self._running.now(now, left=self._since(now))
        air = [Text()] if self._named and not gone and height >= ROOMY else []
        return air + frame(state, self._running.bounds, title=self._title, priced=self._priced, width=width - 1,
                           height=height - len(air), signs=SIGNS if self._utf else PLAIN, ended=gone)

    def _since(self, now: float) -> Remaining | None:
        """The latest estimate, less what has passed since."""
        if self._left is None:
            return None
        gone = now - self._estimated
        return Remaining(least=max(self._left.least - gone, 0.0), likely=max(self._left.likely - gone, 0.0),
                         most=max(self._left.most - gone, 0.0))

    def _inked(self, text: Text) -> str:
        """A text with its colours as the terminal takes them."""
        if not self._utf:
            text = Text(text.plain.translate(_ASCII), spans=text.spans)
        return "".join(self._coloured(segment) for segment in text.render(self._ink))  # `print` costs twice as much

    def _coloured(self, segment: Segment) -> str:
        style = segment.style
        if style is None or self._colours is None:
            return segment.text
        return (style.without_color if self._ink.no_color else style).render(segment.text, color_system=self._colours)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError, RuntimeError):  # a terminal that has gone changes nothing
            return

    def _terminal(self) -> tuple[int, int]:
        try:
            found = get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return found.columns or 80, found.lines or 24
