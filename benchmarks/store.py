"""What the artifact store costs: `python benchmarks/store.py [--small 2000] [--large 5] [--megabytes 1024]`.

Whole processes, each push and pull of ours followed at once by its peer on the same bytes; ratios hold within one run.

- A folder: the peer is `cp` of the same files, and `cp` with `sync` behind it (what is pushed or pulled is on the disk when we
  say so).
- S3: a server on this machine (moto); the peer is the vendor's own client library, boto3, with as many threads. It checks no
  sha256 and syncs nothing.

A pull writes each clip twice, as an object and in its place, where the file system cannot share blocks; it hashes what it reads
and what it wrote. Peak memory is the process's own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import machine
from manifest_runner.cli.project import Project
from manifest_runner.core import lockfile
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.model import Artifact, ExternalTaskId, JobId, JobState, LockEntry, Lockfile
from manifest_runner.core.requests import request_of
from tests.s3 import s3  # found from the checkout only

HEAD = "version: 1\nshow: store\nmodel: kling-v3-omni\nshots:\n"
VENDOR = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import boto3
client = boto3.client("s3")
way, folder, prefix = sys.argv[1:]
def names():
    if way == "up":
        return [name for name in sorted(os.listdir(folder))]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="studio", Prefix=prefix + "/")
    return [found["Key"].rpartition("/")[2] for page in pages for found in page.get("Contents", ())]
def one(name):
    if way == "up":
        client.upload_file(os.path.join(folder, name), "studio", prefix + "/" + name)
    else:
        client.download_file("studio", prefix + "/" + name, os.path.join(folder, name))
with ThreadPoolExecutor(8) as pool:
    list(pool.map(one, names()))
"""


def show(folder: Path, count: int, size: int) -> Path:
    """A repository with a lockfile of so many clips of so many bytes, which lie in their places; the folder of the clips."""
    (folder / ".git").mkdir(parents=True)
    manifest = folder / "show.yaml"
    manifest.write_text(HEAD + "".join(f"  - {{id: S{number:05}, prompt: 'shot {number}'}}\n" for number in range(count)))
    project = Project(str(manifest), {})
    shots, entries = project.load(), {}
    clips = folder / shots.manifest.output
    clips.mkdir(parents=True)
    for shot in shots.manifest.shots:
        path, hashed = clips / f"{shot.id}_t1.mp4", hashlib.sha256()
        with path.open("wb") as file:
            for begun in range(0, size, 1 << 20):
                chunk = os.urandom(min(1 << 20, size - begun))
                hashed.update(chunk)
                file.write(chunk)
        request = request_of(shot, shots.card, lambda _: "")
        artifact = Artifact(path=path.relative_to(folder).as_posix(), sha256=hashed.hexdigest(), bytes=size)
        entries[shot.id, 1] = LockEntry(state=JobState.STORED, fingerprint=fingerprint(request), request=request,
                                        external_task_id=ExternalTaskId(shot.id), job_id=JobId("job"), outputs=(artifact,))
    project.lock_path.write_text(lockfile.write(Lockfile(entries=entries), manifest=manifest.name))
    return clips


def run(command: list[str], folder: Path, env: Mapping[str, str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in MB of a process."""
    code = ("import json, resource, subprocess, sys, time\nbegun = time.perf_counter()\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "print(json.dumps([time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))")
    ran = subprocess.run([sys.executable, "-c", code, *command], cwd=folder, env={**os.environ, **env}, check=True,
                         stdout=subprocess.PIPE, text=True)
    wall, cpu, peak = json.loads(ran.stdout)
    return wall, cpu, peak


def row(title: str, size: int, ours: tuple[float, float, float], peers: Mapping[str, tuple[float, float, float]]) -> None:
    said = ", ".join(f"{ours[0] / peer[0]:.2f} × {name} ({size / 1e6 / peer[0]:,.0f} MB/s, {peer[2]:.0f} MB)"
                     for name, peer in peers.items())
    print(f"  {title:24} {ours[0]:7.1f} s {size / 1e6 / ours[0]:7,.0f} MB/s  CPU {ours[1]:6.1f} s  peak {ours[2]:4.0f} MB   "
          f"{said}", flush=True)


def measure(title: str, count: int, size: int, store: str, env: Mapping[str, str], peers: Mapping[str, Mapping[str, list[str]]],
            folder: Path) -> None:
    """Push and pull, and what each peer does on the same bytes."""
    tool, clips = [sys.executable, "-m", "manifest_runner"], show(folder / "show", count, size)
    subprocess.run(["sync"], check=True)
    ours = run([*tool, "push", "show.yaml", "--store", store, "-q"], folder / "show", env)
    row(f"{title}, push", count * size, ours, {name: run(ways["up"], folder, env) for name, ways in peers.items()})
    shutil.rmtree(clips)
    subprocess.run(["sync"], check=True)
    ours = run([*tool, "pull", "show.yaml", "--store", store, "-q"], folder / "show", env)
    (folder / "down").mkdir()
    row(f"{title}, pull", count * size, ours, {name: run(ways["down"], folder, env) for name, ways in peers.items()})
    begun = time.perf_counter()
    again = run([*tool, "pull", "show.yaml", "--store", store, "-q"], folder / "show", env)
    print(f"  {'':24} {again[0]:7.1f} s to pull again what is there ({time.perf_counter() - begun:.1f} s with its start)")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the artifact store costs.")
    parser.add_argument("--small", type=int, default=2000, help="small clips, of 100 kB")
    parser.add_argument("--large", type=int, default=5, help="large clips")
    parser.add_argument("--megabytes", type=int, default=1024, help="of a large clip, in a folder")
    parser.add_argument("--s3-megabytes", type=int, default=256, help="of a large clip, on S3")
    options = parser.parse_args()
    print(machine())
    for name, count, size in (("small", options.small, 100_000), ("large", options.large, options.megabytes << 20)):
        with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as folder:
            clips, down = f"{folder}/show/renders/show", f"{folder}/down"
            peers = {way: {"up": ["sh", "-c", f"cp -r {clips} {folder}/{way}-copy {after}"],
                           "down": ["sh", "-c", f"cp -r {folder}/{way}-copy {down}/{way} {after}"]}
                     for way, after in (("cp", ""), ("cp+sync", "&& sync"))}
            measure(f"{count:,} {name}, folder", count, size, f"{folder}/shared", {}, peers, Path(folder))
    for name, count, size in (("small", options.small, 100_000), ("large", options.large, options.s3_megabytes << 20)):
        with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as folder, s3() as bucket:
            vendor = [sys.executable, "-c", VENDOR]
            peers = {"boto3": {"up": [*vendor, "up", f"{folder}/show/renders/show", "peer"],
                               "down": [*vendor, "down", f"{folder}/down", "peer"]}}
            measure(f"{count:,} {name}, S3", count, size, "s3://studio/ours", {**bucket.env, "AWS_DEFAULT_REGION": "us-east-1"},
                    peers, Path(folder))


if __name__ == "__main__":
    main()
