"""Shows to look at: a manifest with a lockfile and clips that fit it, made without a provider."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path

from manifest_runner.adapters.media import probe
from manifest_runner.cli.project import Project
from manifest_runner.core import lockfile
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.model import (
    Artifact,
    ExternalTaskId,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    MediaFacts,
    Request,
    ShotId,
)
from manifest_runner.core.requests import request_of
from tests.adapters.test_media import make_clip

HEAD = "version: 1\nshow: rain\nsequence: SQ010\ntitle: Rain\nmodel: kling-v3-omni\ndefaults: {duration: 2}\nshots:\n"
Take = tuple[str, int]


def lay_out(folder: Path, shots: str, *, made_from: Mapping[str, str] | None = None, without: tuple[str, ...] = (),
            job: str = "job_1", more: Mapping[Take, Request] | None = None, head: str = HEAD, first: int = 0) -> Path:
    """A manifest of these shots, every take of which is done and has a clip of its own, but for those of shots in `without`.

    `made_from` maps shots to the prompts that their clips were made from; `more` are takes that the manifest does not have;
    `first` is the number of the first clip (see `a_clip`).
    """
    manifest = folder / "rain.yaml"
    manifest.write_text(head + shots, encoding="utf-8")
    project = Project(str(manifest), {})
    show = project.load()
    wanted: dict[Take, Request] = {}
    for shot in show.manifest.shots:
        request = request_of(shot, show.card, lambda frame: f"url:{getattr(frame, 'url', 'x')}")
        if (prompt := (made_from or {}).get(shot.id)) is not None:
            request = Request(model=request.model, params={**request.params, "prompt": prompt})
        wanted |= {(shot.id, take): request for take in range(1, shot.takes + 1) if shot.id not in without}
    clips = folder / show.manifest.output
    clips.mkdir(parents=True, exist_ok=True)
    entries = {}
    for number, ((name, take), request) in enumerate((wanted | dict(more or {})).items(), first):
        clip = clips / f"{name}_t{take}.mp4"
        a_clip(clip, number)
        entries[ShotId(name), take] = entry_of(clip, folder, request, f"{name}{take}", job)
    project.lock_path.write_text(lockfile.write(Lockfile(entries=entries), manifest=manifest.name), encoding="utf-8")
    return manifest


def entry_of(clip: Path, folder: Path, request: Request, task: str, job: str) -> LockEntry:
    """The block of a take whose clip this is."""
    content = clip.read_bytes()
    artifact = Artifact(path=clip.relative_to(folder).as_posix(), sha256=hashlib.sha256(content).hexdigest(),
                        bytes=len(content), media=_facts(content))
    return LockEntry(state=JobState.STORED, fingerprint=fingerprint(request), request=request, estimated=Decimal(58),
                     charged=Decimal(58), external_task_id=ExternalTaskId(task), job_id=JobId(job), outputs=(artifact,))


def a_clip(path: Path, number: int = 0) -> Path:
    """Two seconds of video. Clips of different numbers are different bytes; there are seven."""
    path.write_bytes(_clip(number % 7))
    return path


@cache
def _clip(number: int) -> bytes:
    """Encoded once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        return make_clip(Path(folder) / "a.mp4", 48, size=(1280, 720), preset="ultrafast", crf=str(30 + number)).read_bytes()


@cache
def _facts(content: bytes) -> MediaFacts:
    """What `probe` says of a clip, which it decodes for that."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "a.mp4"
        clip.write_bytes(content)
        return probe(clip)


def git(folder: Path, *arguments: str) -> str:
    """Git in a folder, with nothing of the developer's configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@example.org"}
    return subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, words: str = "as it is") -> None:
    """Everything in the folder, committed; the folder becomes a repository where it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", words)
