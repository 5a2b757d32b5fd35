"""A runner as one writes it in an afternoon, for the sweep to catch: it pays twice, however well it writes its file.

It posts, and saves the job's id as soon as it has the answer (temporary file, fsync, rename, fsync of the folder); what is
saved is never posted again. Between the moment in which the gateway accepts a job and the moment in which its id is on disk
there is no trace of it here, so a kill in between buys the take again.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from pathlib import Path
from typing import Any

import httpx

SHOTS = {"A_t1": "one", "A_t2": "one", "B_t1": "two", "C_t1": "three", "D_t1": "four"}


async def main(address: str, key: str, folder: Path) -> None:
    """Render every shot into `folder`, going on from what is saved there."""
    path = folder / "jobs.json"
    saved: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    async with httpx.AsyncClient(base_url=address, headers={"X-API-Key": key}, timeout=30) as client:
        await asyncio.gather(*[_render(client, name, prompt, saved, path) for name, prompt in SHOTS.items()])


async def _render(client: httpx.AsyncClient, name: str, prompt: str, saved: dict[str, str], path: Path) -> None:
    if name not in saved:
        # Its own id for each submission: it labels the job, and answers no question after a crash.
        body = {"prompt": prompt, "duration": 1, "external_task_id": f"{name}.a1.{uuid.uuid4().hex[:24]}"}
        answer = await client.post("/v1/video/kling-v3-omni", json=body)
        saved[name] = answer.raise_for_status().json()["job_id"]
        _save(saved, path)
    clip = path.parent / f"{name}.mp4"
    if clip.exists():
        return
    job: dict[str, Any] = {"status": "queued"}
    while job["status"] != "succeeded":
        await asyncio.sleep(0.2)
        job = (await client.get(f"/v1/jobs/{saved[name]}")).raise_for_status().json()
    content = (await client.get(job["output"]["outputs"][0]["url"], headers={"X-API-Key": ""})).raise_for_status().content
    _replace(clip, content)


def _save(saved: dict[str, str], path: Path) -> None:
    _replace(path, json.dumps(saved).encode())


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
