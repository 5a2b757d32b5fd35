"""`plan` and `render` where nothing has changed since one that found nothing to do: known before anything heavy is imported.

Laws
- They say what they would say in full, or nothing at all. Any doubt, any error, any other way of asking: in full.
- A footing is left by a plan with nothing to do that has said a line of counting and lines without colours, and by a run that
  has done no more than to look.
"""

from __future__ import annotations

import os
import sys

from manifest_runner.adapters import footing as files
from manifest_runner.adapters.ground import Ground, survey
from manifest_runner.adapters.signs import Doubt, Machine, content_of, digest_of_sizes
from manifest_runner.core.footing import Footing, Listed, Read
from manifest_runner.views.nothing import nothing_to_do

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` takes as long as half of all this
    from collections.abc import Iterator, Mapping, Sequence

    from manifest_runner.cli.planner import Planned
    from manifest_runner.cli.project import Project, Show

_begun: list[tuple[Sequence[str], Ground]] = []
"""What this process was asked, and what was so when it was: a process is asked once."""


def say_at_once(arguments: Sequence[str]) -> int | None:
    """Say what a plan says that need not be made, and return the process's exit code; None where it has to be made."""
    found = at_once(arguments, os.environ)
    return None if found is None else say(found, arguments)


def say(found: Footing, arguments: Sequence[str]) -> int | None:
    """Say what the plan said that left a footing; None where only a full one can."""
    said = "".join([f"{line}\n" for line in found.said])
    if not said.isascii() and sys.stderr.encoding.lower() != "utf-8":  # click knows what to do
        return None
    try:
        sys.stdout.write(f"{nothing_to_do(found.kept, priced='--draft' not in arguments)}\n")
        sys.stdout.flush()
        sys.stderr.write(said)
    except Exception as error:  # an output that takes nothing: that is told as it always is
        from manifest_runner.cli.error_exit import leave as end

        def fail(error: Exception = error) -> None:
            raise error

        return end(fail, arguments)
    return 0


def at_once(arguments: Sequence[str], environ: Mapping[str, str], machine: Machine | None = None) -> Footing | None:
    """The footing of a plan that is known to have nothing to do; None where it has to be made. Then what was looked at is kept
    for `leave`."""
    _begun.clear()
    try:
        ground = survey(arguments, environ, machine or Machine())
        if ground is None:
            return None
        _begun.append((arguments, ground))
        return files.standing(ground)
    except Exception:  # whatever it is: the full plan will say
        return None


def leave(project: Project, show: Show, planned: Planned, said: Sequence[str]) -> None:
    """Leave a footing for a plan that has nothing to do, and has told people this besides."""
    if not _begun:
        return
    from manifest_runner.errors import ManifestRunnerError  # a full plan has it

    arguments, ground = _begun.pop()
    try:
        if _is_of(ground, project) and (again := survey(arguments, os.environ, ground.machine)) is not None:
            files.leave(ground, again, _footing(ground, project, show, planned, said))
    except (Doubt, ManifestRunnerError, OSError, ValueError):
        return  # the next plan is a full one, too


def _is_of(ground: Ground, project: Project) -> bool:
    """Whether what was looked at before anything was parsed is what the plan was made of."""
    from pathlib import Path  # a full plan has it

    if project.settings.values["ledger"].value is not None:
        return False  # a team's ledger has no signs: somebody else may have changed it in the next moment
    found = (ground.manifest, ground.draft, Path(ground.folder), Path(ground.root), Path(ground.state), Path(ground.ledger))
    return found == (project.shown, project.draft, project.files.folder, project.files.root, project.state.root,
                     project.state.ledger) and (not (project.files.root / ".git").exists() or _has_git())


def _has_git() -> bool:
    """Where there is none, nobody has said whether the state folder came with the repository; and one may be installed."""
    import shutil  # as above

    return shutil.which("git") is not None


def _footing(ground: Ground, project: Project, show: Show, planned: Planned, said: Sequence[str]) -> Footing:
    """What the plan stood on. Raises `Doubt` where something is not as the plan has read it."""
    missing = [asked for asked, place in project.files.reads.items() if place is None]
    for asked in planned.listed:  # it may be a link since it was listed: into the repository, and nowhere else
        project.files.check_folder(asked)
    folders = [Listed(asked=asked, place=os.path.realpath(project.files.folder / asked), digest=digest_of_sizes(sizes))
               for asked, sizes in planned.listed.items()]
    lines = [line for words in said for line in words.split("\n")]
    return Footing(ground=ground.standing, made=ground.began, kept=len(planned.plan.changes), said=tuple(lines),
                   lockfile=_lockfile(ground, project, planned), reads=tuple(_reads(ground, project, show)),
                   missing=tuple(missing), folders=tuple(folders))


def _reads(ground: Ground, project: Project, show: Show) -> Iterator[Read]:
    from hashlib import sha256  # as above

    from manifest_runner.adapters.files import LARGEST_INPUT

    for asked, place in project.files.reads.items():
        if place is None:
            continue
        content, facts = content_of(str(place), LARGEST_INPUT)
        digest = show.pictures.get(asked) or show.inputs.get(_shown(project.shown, asked))
        if content is None or digest != sha256(content).hexdigest():
            raise Doubt(f"{asked} is not as it was read")
        yield files.read_of(asked, str(place), content, facts, ground, picture=asked in show.pictures)


def _shown(manifest: str, asked: str) -> str:
    """How `core.includes` calls a file that is asked for from the manifest's folder; the manifest is called as it was typed."""
    folder, name = os.path.split(manifest)
    return manifest if asked == name else os.path.normpath(os.path.join(folder, asked))


def _lockfile(ground: Ground, project: Project, planned: Planned) -> Read:
    from hashlib import sha256  # as above

    from manifest_runner.adapters.lockwriter import LARGEST

    name = project.lock_path.name
    place = os.path.join(ground.folder, name)
    if planned.lockfile.manifest not in ("", project.path.name):
        raise Doubt("the lockfile names another manifest, which was looked for")
    content, facts = content_of(place, LARGEST)
    text = (content or b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if planned.plan.basis["lockfile"] != f"sha256:{sha256(text).hexdigest()}":
        raise Doubt("the lockfile is not as it was read")
    return files.read_of(name, place, content or b"", facts, ground)
