"""`render --detach`: what a plan would render goes into the queue, and others carry it out.

Laws: nothing is queued that was not approved; with the orders goes everything that the manifest is made from, as the plan has
read it; who carries them out needs nothing of this machine.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manifest_runner.adapters.files import LARGEST_INPUT, read_regular
from manifest_runner.adapters.ground import SETTINGS
from manifest_runner.adapters.lockwriter import LARGEST
from manifest_runner.adapters.settings import VARIABLES
from manifest_runner.cli.ledgers import check_ledger, repository_name
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.stores import need_shared
from manifest_runner.core.model import Plan
from manifest_runner.core.orders import Order, approval, binding, groups
from manifest_runner.errors import StalePlan, UsageError

if TYPE_CHECKING:
    from manifest_runner.adapters.team_address import TeamAddress
    from manifest_runner.ports import SharedStore


def check_detaching(project: Project) -> TeamAddress:
    """The database with the queue. Raises `UsageError` where orders could not be carried out elsewhere."""
    address = check_ledger(project)
    if address is None:
        raise UsageError("--detach needs a team's ledger: the queue is in its database", code="no-queue",
                         hint=f"name it with {VARIABLES['ledger']}; see docs/team.md")
    if project.settings.text("store") is None:
        raise UsageError("--detach needs an artifact store that all machines reach: clips come back through it",
                         code="no-store", hint=f"name it: --store s3://BUCKET/PREFIX, or {VARIABLES['store']}")
    from manifest_runner.adapters import team_queue  # the extra [team]

    del team_queue
    return address


async def hand_over(project: Project, show: Show, plan: Plan, *, account: str, run: str,
                    max_credits: str) -> tuple[list[Order], list[Order]]:
    """Queue what the plan renders; all orders, and those that were not in the queue yet."""
    from manifest_runner.adapters.bundle import pack  # as above
    from manifest_runner.adapters.team_queue import TeamQueue

    shared, name, address = need_shared(project.settings), repository_name(project), check_detaching(project)
    packed = pack(_files(project, show, plan))
    bundle = hashlib.sha256(packed).hexdigest()
    await _store(shared, name, bundle, packed)
    orders = [Order(repository=name, manifest=project.name, bundle=bundle, bytes=len(packed), shots=shots, run=run,
                    max_credits=max_credits, basis=binding(plan.basis), approved=approval(plan, shots))
              for shots in groups(plan, show.manifest)]
    with TeamQueue(address) as queue:
        queue.make()
        return orders, queue.add(orders, account)


def _files(project: Project, show: Show, plan: Plan) -> dict[str, bytes]:
    """Everything that the plan was made from, by its path from the repository's root. Raises `StalePlan` where something is
    another than the plan has read."""
    root = project.files.root
    # What the repository says of settings and models is not of the plan's basis; what follows from it, such as prices, is.
    files = {name: read_regular(root / name, LARGEST_INPUT) for name in SETTINGS if (root / name).is_file()}
    wanted = [(project.from_root(path), digest) for path, digest in show.inputs.items()]
    wanted += [(project.from_root(project.path.parent / path), digest) for path, digest in show.pictures.items()]
    if plan.basis["lockfile"] != "none":
        wanted.append((project.from_root(project.lock_path), plan.basis["lockfile"].removeprefix("sha256:")))
    for path, digest in wanted:
        try:
            content = read_regular((root / path).resolve(), LARGEST if path.endswith(".lock.json") else LARGEST_INPUT)
        except OSError as error:
            raise StalePlan(f"{path} cannot be read: {error.strerror}", hint="nothing was queued; plan again") from None
        text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if digest not in (hashlib.sha256(content).hexdigest(), hashlib.sha256(text).hexdigest()):
            raise StalePlan(f"{path} changed after the plan was made", hint="nothing was queued; plan again")
        files[path] = content
    return files


async def _store(shared: SharedStore, name: str, bundle: str, packed: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="manifest-runner-order-") as folder:
        file = Path(folder) / bundle
        file.write_bytes(packed)
        await shared.users(name)
        await shared.put(bundle, file)


def missing_words(orders: Sequence[Order], new: Sequence[Order]) -> str:
    """What to say of orders that wait or are in hand already."""
    known = len(orders) - len(new)
    return f"; {known} {'was' if known == 1 else 'were'} in the queue already" if known else ""

