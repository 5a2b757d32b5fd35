"""The same show for each peer: N clips from N shots, each shot a file of its own, and all clips up to date.

A file a shot is what one must have there: with one manifest for all, each edit would make every clip again. Their files are a
few bytes, which only dvc reads, and only once. Peers run in a home of their own and tell nobody that they run.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CLIP = b"clip\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that can tell that nothing is to be done.

    `describe` gives the names and texts of the files that it reads, `ready` brings it to know that all is made, `ask` is the
    question, and `answer` the words by which one sees that it found nothing to do. `most` shots are the most that it is asked.
    """

    name: str
    ask: tuple[str, ...]
    answer: str
    describe: Callable[[int], Mapping[str, str]]
    ready: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    most: int | None = None
    note: str = ""


def names(shots: int) -> list[str]:
    return [f"SH{number * 10:06d}" for number in range(1, shots + 1)]


def source(name: str) -> str:
    """The file of a shot."""
    return f"shots/{name}.yaml"


def clip(name: str) -> str:
    """Its clip."""
    return f"out/{name}.mp4"


def text_of(name: str) -> str:
    """What stands in the file of a shot."""
    return f"prompt: {name}\n"


def ninja(shots: int) -> dict[str, str]:
    rules = "".join(f"build {clip(name)}: render {source(name)}\n" for name in names(shots))
    return {"build.ninja": f"rule render\n  command = touch $out\n{rules}"}


def make(shots: int) -> dict[str, str]:
    rules = "".join(f"{clip(name)}: {source(name)}\n\ttouch $@\n" for name in names(shots))
    return {"Makefile": f".PHONY: all\nall: {' '.join(map(clip, names(shots)))}\n{rules}"}


def doit(shots: int) -> dict[str, str]:
    pairs = [(source(name), clip(name)) for name in names(shots)]
    return {"dodo.py": "from pathlib import Path\n"
                       f"SHOTS = {pairs!r}\n"
                       "def render(targets):\n    Path(targets[0]).touch()\n"
                       "def task_render():\n    for shot, clip in SHOTS:\n"
                       "        yield {'name': clip, 'actions': [render], 'file_dep': [shot], 'targets': [clip]}\n"}


def snakemake(shots: int) -> dict[str, str]:
    return {"Snakefile": f"CLIPS = {[clip(name) for name in names(shots)]!r}\n"
                         "rule all:\n    input: CLIPS\n"
                         f"rule render:\n    input: '{source('{name}')}'\n    output: '{clip('{name}')}'\n"
                         "    shell: 'touch {output}'\n"}


def dvc(shots: int) -> dict[str, str]:
    """A stage a clip, and the lockfile as `dvc repro` leaves it. The clips are not in its cache: then it looks at less."""
    def hashed(path: str, content: bytes) -> dict[str, object]:
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return {"path": path, "hash": "md5", "md5": digest, "size": len(content)}

    stages, locked = {}, {}
    for name in names(shots):
        command = f"touch {clip(name)}"
        stages[name] = {"cmd": command, "deps": [source(name)], "outs": [{clip(name): {"cache": False}}]}
        locked[name] = {"cmd": command, "deps": [hashed(source(name), text_of(name).encode())],
                        "outs": [hashed(clip(name), CLIP)]}
    # JSON is YAML, and it is written a hundred times faster
    return {"dvc.yaml": json.dumps({"stages": stages}, indent=1),
            "dvc.lock": json.dumps({"schema": "2.0", "stages": locked}, indent=1)}


def openjd(shots: int) -> dict[str, str]:
    steps = [{"name": name, "script": {"actions": {"onRun": {"command": "touch", "args": [clip(name)]}}}}
             for name in names(shots)]
    template = {"specificationVersion": "jobtemplate-2023-09", "name": "show", "steps": steps}
    return {"template.json": json.dumps(template, indent=1)}


PEERS = (
    Peer(name="ninja", describe=ninja, ready=("ninja", "--quiet"), ask=("ninja",), answer="no work to do",
         version=("ninja", "--version")),
    Peer(name="make -q", describe=make, ask=("make", "-q"), answer="", version=("make", "--version")),
    Peer(name="doit", describe=doit, ready=("doit",), ask=("doit",), answer="-- render:", version=("doit", "--version")),
    Peer(name="snakemake", describe=snakemake, ask=("snakemake", "--dry-run", "--cores", "1"), answer="Nothing to be done",
         version=("snakemake", "--version")),
    Peer(name="dvc", describe=dvc, ready=("dvc", "init", "--no-scm", "--quiet"), ask=("dvc", "status"), answer="up to date",
         version=("dvc", "--version"), most=1000, note="beyond 1,000 shots it takes minutes: it is not asked"),
    Peer(name="openjd", describe=openjd, ask=("openjd", "check", "template.json"), answer="passes validation",
         version=("openjd", "--version"), note="it checks the template and looks at no clip"),
)


def home(folder: Path, programs: Path | None) -> dict[str, str]:
    """The environment of peers: programs from `programs` first, and nothing of the person who measures."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path if programs is None else f"{programs}{os.pathsep}{path}", "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "true", "NO_COLOR": "1"}


def lay_out(peer: Peer, folder: Path, shots: int) -> None:
    """The show of a peer in a folder of its own, not yet known to be made."""
    for part in ("shots", "out"):
        (folder / part).mkdir(parents=True)
    for name, text in peer.describe(shots).items():
        (folder / name).write_text(text)
    for name in names(shots):
        (folder / source(name)).write_text(text_of(name))
    for name in names(shots):  # after all of these: a clip is younger than its shot
        (folder / clip(name)).write_bytes(CLIP)


def ready(peer: Peer, folder: Path, env: Mapping[str, str]) -> str:
    """Bring a peer to know that all is made. Why it cannot be asked, or nothing."""
    whole = {**os.environ, **env}
    try:
        if peer.ready:
            subprocess.run(peer.ready, cwd=folder, env=whole, check=True, capture_output=True)
        asked = subprocess.run(peer.ask, cwd=folder, env=whole, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return "missing"
    except subprocess.CalledProcessError as error:
        return f"`{' '.join(peer.ready)}` failed: exit code {error.returncode}"
    if asked.returncode or peer.answer not in asked.stdout + asked.stderr:
        return f"it did not say that nothing is to be done (exit code {asked.returncode})"
    return ""


def version(peer: Peer, env: Mapping[str, str]) -> str:
    """What a peer says of its version, or that it is missing."""
    try:
        said = subprocess.run(peer.version, env={**os.environ, **env}, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "missing"
    return next((word for word in said.stdout.split() if word[:1].isdigit()), "unknown")
