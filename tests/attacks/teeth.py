"""Which escapes come out where Jinja's sandbox has holes: `python -m tests.attacks.teeth [--releases 3.1.4,…]`.

Old releases of Jinja, whose escapes are published, are installed into temporary folders (this needs a package index), and the
corpus (without its bombs) runs in workers that find them first. Each runs twice: with Jinja's own sandbox alone, and with all
our layers on it. "Came out" counts templates that show something from behind the data, "unlike" those that get another code.
The last lines take our layers away one at a time from the release that is installed here.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import jinja2

from manifest_runner.adapters import confined, confined_start
from manifest_runner.adapters.confined import ConfinedEngine
from manifest_runner.core.templating import Templates
from tests.attacks import weakened
from tests.attacks.escapes import BY_THE_PROCESS, ESCAPES, Gives, outcome, read

RELEASES = ("2.10", "3.0.3", "3.1.4", "3.1.5")
TEXTS = [text for rows in ESCAPES.values() for text, _ in rows if text not in BY_THE_PROCESS]
EXPECTED = {text: expected for rows in ESCAPES.values() for text, expected in rows}
WITHOUT_BOMBS = [text for text in TEXTS if text not in dict(ESCAPES["bombs"])]
ESCAPED = re.compile(r"<class|<module|<slot|<frame|<code|__init__|__globals__|mappingproxy|environ")


def run(start: str, texts: Sequence[str] = TEXTS) -> dict[str, tuple[str | Gives, str]]:
    """What comes of the corpus in a worker that is started like this."""
    confined_start._START = start
    with closing(Templates(files=read, make_engine=ConfinedEngine)) as templates:
        return {text: outcome(templates, text) for text in texts}


def install(release: str, folder: Path) -> bool:
    """One release of Jinja in a folder of its own; False where it cannot be had."""
    markup = "markupsafe==2.0.1" if release < "3.0" else "markupsafe"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ran = subprocess.run([*command, "--target", folder, f"jinja2=={release}", markup], stderr=subprocess.DEVNULL, check=False)
    return ran.returncode == 0


def escaped(results: dict[str, tuple[str | Gives, str]]) -> list[str]:
    """The templates that show something from behind the data."""
    return [text for text, (got, _) in results.items()
            if isinstance(got, Gives) and ESCAPED.search(repr(got.value))]


def unlike(results: dict[str, tuple[str | Gives, str]]) -> list[str]:
    """The templates that get another code than in the table."""
    return [text for text, (got, _) in results.items() if got != EXPECTED[text]]


def show(title: str, results: dict[str, tuple[str | Gives, str]], names: bool) -> None:
    """One line, and below it the templates that came out."""
    out = escaped(results)
    print(f"{title:58} {len(results):7} {len(out):8} {len(unlike(results)):7}")
    for text in out if names else ():
        print(f"    {text}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the corpus of escapes shows where a sandbox has holes.")
    parser.add_argument("--releases", default=",".join(RELEASES), help="releases of Jinja to install and try")
    parser.add_argument("--names", action="store_true", help="name the templates that come out")
    options = parser.parse_args(arguments)
    confined.MOST_WORKERS = 1_000_000
    own = confined_start._START
    print(f"{'sandbox':58} {'escapes':>7} {'came out':>8} {'unlike':>7}")
    for release in options.releases.split(","):
        with tempfile.TemporaryDirectory(prefix="manifest-runner-teeth-") as name:
            if not install(release, Path(name)):
                print(f"Jinja {release}: cannot be installed")
                continue
            alone, layered = weakened.start_code(weakened.JINJA_ALONE, [name]), weakened.start_code((), [name])
            show(f"Jinja {release}, its sandbox alone", run(alone, WITHOUT_BOMBS), options.names)
            show(f"Jinja {release}, with our layers", run(layered, WITHOUT_BOMBS), options.names)
    here = jinja2.__version__
    show(f"Jinja {here}, its sandbox alone", run(weakened.start_code(weakened.JINJA_ALONE), WITHOUT_BOMBS), options.names)
    for layer in weakened.LAYERS:
        show(f"Jinja {here}, without the layer of {layer}", run(weakened.start_code((layer,))), options.names)
    show(f"Jinja {here}, with no sandbox at all", run(weakened.start_code(weakened.LAYERS)), options.names)
    show(f"Jinja {here}, with our layers", run(own), options.names)


if __name__ == "__main__":
    main()
