"""Records a render as an animated picture of a terminal: `python docs/record.py` writes docs/render.svg.

The real program renders manifests/monsoon.yaml in a pseudo-terminal, against the simulator on a port, where one shot is
refused. What is drawn is what a terminal emulator shows of what it wrote, in less than half the time that it took. The manifest
is copied to a temporary folder first: nothing of the checkout changes. Another show is rendered before, so that the ledger
has learned how long jobs take.

Law: no scripts, no fonts and no addresses in the picture, and no more than `LARGEST` bytes. Where motion is not wanted it
stands still on its last frame.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.terminal import Session  # noqa: E402 - found from the checkout only

PICTURE = ROOT / "docs" / "render.svg"
LARGEST = 200_000
COLUMNS, LINES = 100, 30
COMMAND = ("render", "monsoon.yaml", "--yes")
SPEED = "11"
WORDS = "refused by moderation: the prompt shows a trademark"
WEATHER = "version: 1\nshow: weather\nmodel: kling-v3-omni\nshots:\n" + "".join(
    f"  - {{id: W{number:02}, prompt: rain {number}, duration: {2 + number % 4}}}\n" for number in range(16))
FAULT = f"job:fail={WORDS} shot=SH0070"

EVERY = 0.6
"""Seconds between two frames at least."""

QUICKER = 0.4
"""Seconds in the picture for a second of the run."""

LONGEST = 0.9
"""Seconds that a frame stands at most, but for the first and the last one."""

FIRST, LAST = 1.2, 5.0

WIDTH, HEIGHT, BASE, EDGE, TOP = 8.4, 18, 13, 16, 42
"""Pixels: of a cell, from its top to the line of the letters, round the text, and above it."""

INK = {"default": "#d7d9de", "black": "#16181d", "red": "#ff7b72", "green": "#6cc76c", "brown": "#e3b341", "blue": "#79b8ff",
       "magenta": "#d2a8ff", "cyan": "#39a9c9", "white": "#d7d9de", "brightblack": "#6b7280", "brightcyan": "#8be9fd",
       "brightred": "#ff9b94"}

Style = tuple[str, bool]
Row = tuple[tuple[str, Style], ...]
"""Pieces of a line, each with its colour and whether it is bold."""


@dataclass(slots=True)
class Film:
    """The frames of a session, with the moment of each."""

    frames: list[tuple[float, tuple[Row, ...]]] = field(default_factory=list)

    def see(self, session: Session) -> None:
        """Keep what the screen shows now, if it is time for a frame."""
        now = time.monotonic()
        if self.frames and now - self.frames[-1][0] < EVERY:
            return
        self.take(session)

    def take(self, session: Session) -> None:
        """Keep what the screen shows now, if it has changed."""
        rows = tuple(rows_of(session))
        if not self.frames or self.frames[-1][1] != rows:
            self.frames.append((time.monotonic(), rows))

    def timed(self) -> Iterator[tuple[float, tuple[Row, ...]]]:
        """Each frame with the seconds for which it stands in the picture."""
        for number, (at, rows) in enumerate(self.frames):
            if number + 1 == len(self.frames):
                yield LAST, rows
            else:
                seconds = min((self.frames[number + 1][0] - at) * QUICKER, LONGEST)
                yield (max(seconds, FIRST) if number == 0 else seconds), rows


def rows_of(session: Session) -> Iterator[Row]:
    """The screen as lines of pieces, each as long as its style holds."""
    for number in range(session.screen.lines):
        cells = session.screen.buffer[number]
        styled = [(cells[column].data, (cells[column].fg, cells[column].bold)) for column in range(session.screen.columns)]
        while styled and styled[-1][0] == " ":
            styled.pop()
        yield tuple(("".join(data for data, _ in group), style) for style, group in groupby(styled, key=lambda cell: cell[1]))


def record() -> Film:
    """The run itself."""
    film = Film()
    program = str(Path(sys.executable).with_name("manifest-runner"))
    with tempfile.TemporaryDirectory(prefix="manifest-runner-record-") as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "manifests" / "monsoon.yaml", folder)
        for name in ("looks", "plates"):
            shutil.copytree(ROOT / "manifests" / name, folder / name)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = {**kept, "HOME": temporary, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
        simulator = subprocess.Popen([program, "simulate", "--port", "0", "--speed", SPEED, "--fault", FAULT], env=env,
                                     cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            address = next(iter(simulator.stdout or ())).strip().removeprefix("simulator at ")
            env |= {"MANIFEST_RUNNER_BASE_URL": address, "MANIFEST_RUNNER_FRAMES": "inline", "TRINETRA_API_KEY": "any"}
            (folder / "weather.yaml").write_text(WEATHER, encoding="utf-8")
            subprocess.run([program, "render", "weather.yaml", "--yes", "-q"], cwd=folder, env=env, check=True,
                           stdout=subprocess.DEVNULL)
            session = Session([program, *COMMAND], cwd=folder, env=env, columns=COLUMNS, lines=LINES, seen=film.see)
            code = session.end(timeout=300)
            film.take(session)
        finally:
            simulator.terminate()
            simulator.wait(timeout=20)
    if code != 1:
        raise SystemExit(f"the recorded run ended with {code}")
    return film


# ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────────


def picture(film: Film) -> str:
    """The film as SVG. Each line that is ever shown is kept once; a frame names its lines, and only one frame is in sight."""
    frames = list(film.timed())
    total = sum(seconds for seconds, _ in frames)
    known: dict[Row, str] = {}
    for _, rows in frames:
        for row in rows:
            if row:
                known.setdefault(row, f"l{len(known)}")
    width, height = COLUMNS * WIDTH + 2 * EDGE, LINES * HEIGHT + TOP + EDGE
    drawn, steps, at = [], [], 0.0
    for number, (seconds, rows) in enumerate(frames):
        uses = "".join(f'<use href="#{known[row]}" y="{line * HEIGHT}"/>' for line, row in enumerate(rows) if row)
        drawn.append(f'<g transform="translate({number * width:g})">{uses}</g>')
        steps.append(f"{100 * at / total:.3f}%{{transform:translateX(-{number * width:g}px)}}")
        at += seconds
    last = (len(frames) - 1) * width
    lines = "".join(f'<g id="{name}">{"".join(texts(row))}</g>' for row, name in known.items())
    dots = "".join(f'<circle cx="{EDGE + 6 + 20 * place}" cy="20" r="6" fill="#3b3f46"/>' for place in range(3))
    prompt = f"manifest-runner {' '.join(COMMAND)}"
    rim = f'x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="9.5" fill="none" stroke="#3b3f46"'
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img">
<title>{prompt}: fourteen takes are rendered, one of them is refused</title>
<style>
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}}
.b{{font-weight:bold}}
.film{{transform:translateX(-{last:g}px);animation:film {total:.2f}s steps(1,end) infinite}}
@keyframes film{{{"".join(steps)}}}
@media(prefers-reduced-motion:reduce){{.film{{animation:none}}}}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="10" fill="#16181d"/><rect {rim}/>
{dots}<text x="{width / 2:g}" y="25" fill="#8b919c" text-anchor="middle">{prompt}</text>
<svg x="{EDGE}" y="{TOP}" width="{COLUMNS * WIDTH:g}" height="{LINES * HEIGHT}"><g class="film">{"".join(drawn)}</g></svg>
</svg>
"""


def texts(row: Row) -> Iterable[str]:
    """A line's pieces, each held to its cells, whatever the font's widths are."""
    column = 0
    for words, (colour, bold) in row:
        bare = words.strip(" ")
        if bare:
            start = column + len(words) - len(words.lstrip(" "))
            weight = ' class="b"' if bold else ""
            yield (f'<text x="{start * WIDTH:g}" y="{BASE}" fill="{INK.get(colour, INK["default"])}"{weight} '
                   f'textLength="{len(bare) * WIDTH:g}" lengthAdjust="spacingAndGlyphs">{escape(bare, quote=False)}</text>')
        column += len(words)


def main() -> None:
    film = record()
    drawn = picture(film)
    if len(drawn.encode()) > LARGEST:
        raise SystemExit(f"{len(drawn.encode()):,} bytes are too many for a README: fewer frames, or a shorter run")
    PICTURE.write_text(drawn, encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {len(film.frames)} frames, {len(drawn.encode()):,} bytes")


if __name__ == "__main__":
    main()
