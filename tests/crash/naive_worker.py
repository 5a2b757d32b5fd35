"""A worker as one writes it in an afternoon, for the storm to catch: a queue that loses no order, and nothing beside it.

It takes an order, posts each of its takes, waits for it and keeps the clip; a take whose clip is there is not posted again. The
queue gives the orders of a worker that is gone to another one, which knows nothing of what was posted, and pays again.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx

from manifest_runner.adapters.secrets import Secret, account_of
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_worker import Answer, TeamWorker
from tests.crash.naive import _replace


class Naive:
    """Posts what is ordered."""

    def __init__(self, address: str, key: str, clips: Path) -> None:
        self._client = httpx.AsyncClient(base_url=address, headers={"X-API-Key": key}, timeout=30)
        self._clips = clips

    async def carry_out(self, order: Mapping[str, Any], _: bool) -> Answer:
        try:
            for shot in order["shots"]:
                for take in (1, 2) if shot == "A" else (1,):
                    await self._render(f"{shot}_t{take}")
        except httpx.HTTPError:
            return Answer.LATER
        return Answer.OVER

    async def _render(self, name: str) -> None:
        clip = self._clips / f"{name}.mp4"
        if clip.exists():
            return
        body = {"prompt": name, "duration": 1, "external_task_id": f"{name}.a1.{uuid.uuid4().hex[:24]}"}
        answer = await self._client.post("/v1/video/kling-v3-omni", json=body)
        place = f"/v1/jobs/{answer.raise_for_status().json()['job_id']}"
        while (job := (await self._client.get(place)).raise_for_status().json())["status"] != "succeeded":  # noqa: ASYNC110
            await anyio.sleep(0.2)
        url = job["output"]["outputs"][0]["url"]
        _replace(clip, (await self._client.get(url, headers={"X-API-Key": ""})).raise_for_status().content)


async def main() -> None:
    env = os.environ
    address, key, store = (env[name] for name in ("MANIFEST_RUNNER_BASE_URL", "TRINETRA_API_KEY", "MANIFEST_RUNNER_STORE"))
    naive = Naive(address, key, Path(store))
    worker = TeamWorker(TeamAddress.of(env["MANIFEST_RUNNER_LEDGER"]), account=account_of(address, Secret(key)), at_once=2,
                        carry_out=naive.carry_out, say=lambda words: print(words, file=sys.stderr))
    with anyio.open_signal_receiver(signal.SIGTERM) as told:
        async with anyio.create_task_group() as group:
            group.start_soon(_stop, told, worker)
            await worker.work(until_idle=True, patience=60)
            group.cancel_scope.cancel()


async def _stop(told: Any, worker: TeamWorker) -> None:
    async for _ in told:
        worker.stop()


if __name__ == "__main__":
    anyio.run(main)
