"""The rules of one manifest for GNU make, and the depfile for rules of somebody's own.

Make compares times and asks nobody, so what has to be done is told it in times: each shot has a stamp, which is newer than its
clips exactly where the plan has something to do about them (`core/stamps.py`). The stamps are set, and these rules made, by one
command that depends on everything that a plan stands on; make runs it before anything else, because it includes its result.

Laws
- No recipe spends more than the user's own words allow: none says --yes, and all recipes of one make are one run to the ledger.
- A clip is never deleted by make (`.PRECIOUS`): it is placed whole or not at all, and it was paid for.
- Including these rules changes nobody's default goal, and defines nothing outside the manifest's own names but what is said in
  their head.
- Every name comes from `makewords`; the same plan gives the same bytes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from manifest_runner.core.model import Action, Manifest, Plan, Shot, ShotId
from manifest_runner.core.planning import output_path, take_of, upstream_frames
from manifest_runner.views.makewords import EQUALS, depfile, prerequisite, recipe, target, variable
from manifest_runner.views.text import safe

PROGRAM = "MANIFEST_RUNNER"
FLAGS = "RENDER_FLAGS"
SHOTS, ALL, CUT = "shots", "all", "cut"
"""Below the folder of the stamps: the folder of those of clips, in it the one of all clips where one process renders them
together, and the file whose text is how they are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things lie, as make is to call them: relative to the folder in which it runs.

    `manifest` is the manifest as it was typed, `folder` the one that it lies in, `name` what variables and goals begin with,
    `stamps` the folder of the stamps and `state` that of the ledger, where somebody has chosen one.
    """

    manifest: str
    folder: str
    name: str
    stamps: str
    state: str | None = None

    def inside(self, path: str) -> str:
        """A path relative to the manifest's folder."""
        return posixpath.normpath(posixpath.join(self.folder, path))

    def stamp(self, shot: str) -> str:
        return f"{self.stamps}/{SHOTS}/{shot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the rules of a manifest say.

    `inputs` are the files that the plan stands on and that are there, the manifest first; `perhaps` those that count where they
    are there, all of them with plain names. `out` is the file that the rules are written to, None where that is not known. With
    `together`, one process renders all that is out of date, whichever clip was asked for. `commands` are those that this
    program has, and `run` is the variable by which the recipes of one make become one run.
    """

    manifest: Manifest
    paths: Paths
    inputs: Sequence[str]
    perhaps: Sequence[str]
    out: str | None
    draft: bool
    together: bool
    commands: Sequence[str]
    run: str


def makefile(rules: Rules) -> str:
    """The text of the rules."""
    return "\n".join([*_head(rules), *_variables(rules), *_clips(rules), *_views(rules), *_itself(rules), *_foot()]) + "\n"


def stale_shots(plan: Plan) -> frozenset[ShotId]:
    """The shots about which the plan has something to do."""
    return frozenset(change.shot for change in plan.changes if change.action not in (Action.KEEP, Action.DROP))


def cut_list(manifest: Manifest) -> str:
    """Everything that the reel takes from the manifest besides the clips, as text: other text means another reel."""
    lines = (f"{output_path(manifest, shot.id, shot.cut_take)} {shot.cut.start!r} {shot.cut.end!r}" for shot in manifest.shots)
    return "".join(f"{line}\n" for line in (repr((manifest.show, manifest.sequence, manifest.title)), *lines))


def clips_of(manifest: Manifest, shot: Shot) -> list[str]:
    """The clips of all takes of a shot, relative to the manifest's folder."""
    return [output_path(manifest, shot.id, take) for take in range(1, shot.takes + 1)]


def all_clips(manifest: Manifest, shots: Collection[ShotId] | None = None) -> Iterator[str]:
    """The clips of these shots, or of all, in the order of the cut."""
    for shot in manifest.shots:
        if shots is None or shot.id in shots:
            yield from clips_of(manifest, shot)


def dependencies(targets: Sequence[str], files: Sequence[str]) -> str:
    """A depfile: these targets depend on these files. Every file is a target of its own as well, without anything to do, so
    that one that is gone does not stop a make that would find out by itself."""
    names = [depfile(name) for name in files]
    rule = f"{' '.join(depfile(name) for name in targets)}:"
    return " \\\n  ".join([rule, *names]) + "\n" + "".join(f"{name}:\n" for name in names)


def _head(rules: Rules) -> Iterator[str]:
    name = variable(rules.paths.name)
    flags = "".join([" --draft" * rules.draft, " --together" * (rules.together and not rules.draft)])
    yield f"# Rules for GNU make, made by: manifest-runner make {safe(rules.paths.manifest)}{flags}"
    yield "# Not to be edited: made again whenever something changes that the plan stands on."
    yield "#"
    yield f"#   make {name}.all     everything below that is not there yet, or no longer what the manifest asks for"
    yield f"#   $({name}.clips), $({name}.cut), $({name}.reel) and so on are for rules of your own"
    yield f"#   {PROGRAM} is the program, {FLAGS} what its renders are told besides, such as --yes"
    yield ""
    yield "ifeq ($(filter grouped-target,$(.FEATURES)),)"
    yield "$(error these rules need GNU make 4.3 or later, and this is $(or $(MAKE_VERSION),another make))"
    yield "endif"
    yield "manifest-runner.goal := $(.DEFAULT_GOAL)"
    yield f"{EQUALS} := ="
    yield f"{PROGRAM} ?= manifest-runner"
    yield f"{FLAGS} ?="
    yield "# One make is one run, however many recipes it has: they share its limit of credits."
    yield f"ifndef {rules.run}"
    yield f"export {rules.run} := make-$(shell od -An -N8 -tx8 /dev/urandom | tr -d ' ')"
    yield "endif"
    yield ""


def _variables(rules: Rules) -> Iterator[str]:
    paths, manifest = rules.paths, rules.manifest
    yield _list(rules, "clips", (paths.inside(clip) for clip in all_clips(manifest)))
    yield _list(rules, "cut", (paths.inside(output_path(manifest, shot.id, shot.cut_take)) for shot in manifest.shots))
    yield _list(rules, "inputs", rules.inputs, (f"$(wildcard {name})" for name in rules.perhaps))
    for view, (_, path) in _made(rules).items():
        yield _list(rules, view, [path])
    yield ""


def _list(rules: Rules, what: str, names: Iterable[str], more: Iterable[str] = ()) -> str:
    return " \\\n  ".join([f"{variable(rules.paths.name)}.{what} :=", *map(prerequisite, names), *more])


def _made(rules: Rules) -> dict[str, tuple[str, str]]:
    """What is made of all clips: by name the command and the file. Only what this program has a command for."""
    output = rules.manifest.output
    known = {"reel": f"{output}.reel.mp4", "timeline": f"{output}.otio", "report": f"{output}.report.html"}
    return {name: (name, rules.paths.inside(path)) for name, path in known.items() if name in rules.commands}


def _clips(rules: Rules) -> Iterator[str]:
    if rules.together:
        yield _target((rules.paths.inside(clip) for clip in all_clips(rules.manifest)), rules.paths.stamp(ALL))
        yield f"\t{_command(rules, 'render')} $({FLAGS})"
        yield ""
        return
    shots = {shot.id: shot for shot in rules.manifest.shots}
    yield "# After the | stands a clip that must be there first; whether its bytes are those that were used, the stamp knows."
    for shot in rules.manifest.shots:
        clips = (rules.paths.inside(clip) for clip in clips_of(rules.manifest, shot))
        first = {output_path(rules.manifest, frame.shot, take_of(frame, shots)) for frame in upstream_frames(shot)}
        yield _target(clips, rules.paths.stamp(shot.id), sorted(map(rules.paths.inside, first)))
        yield f"\t{_command(rules, 'render', '--only', shot.id)} $({FLAGS})"
    yield ""
    # With a recipe, if an empty one, make need not look for an implicit rule for each of them.
    yield " \\\n  ".join(target(rules.paths.stamp(shot.id)) for shot in rules.manifest.shots) + ": ;"
    yield ""


def _target(clips: Iterable[str], stamp: str, first: Sequence[str] = ()) -> str:
    """The line of a rule that makes all these clips at once."""
    targets = [target(clip) for clip in clips]
    after = ["|", *map(prerequisite, first)] if first else []
    return " ".join([" \\\n  ".join(targets) + (" &:" if len(targets) > 1 else ":"), prerequisite(stamp), *after])


def _views(rules: Rules) -> Iterator[str]:
    name = variable(rules.paths.name)
    needs = {"reel": f"{prerequisite(f'{rules.paths.stamps}/{CUT}')} $({name}.cut)"}
    made = _made(rules)
    for view, (command, path) in made.items():
        yield f"{target(path)}: {needs.get(view, f'$({name}.inputs) $({name}.clips)')}"
        yield f"\t{_command(rules, command, '--out', path)}"
        yield ""
    yield f".PHONY: {name}.all"
    yield f"{name}.all: $({name}.clips) {' '.join(f'$({name}.{view})' for view in made)}".rstrip()
    yield ""
    yield "# All of these are whole, if they are there at all, and clips were paid for: none goes because a recipe was stopped."
    yield f".PRECIOUS: $({name}.clips) {' '.join(f'$({name}.{view})' for view in made)}".rstrip()
    yield ""


def _itself(rules: Rules) -> Iterator[str]:
    name, others = variable(rules.paths.name), rules.inputs[1:]
    if rules.out is not None:
        yield "# How these rules are made stands in the Makefile that includes them. A file that is gone is no reason to stop."
        yield f".PRECIOUS: {target(rules.out)}"
        yield f"{target(rules.out)}: $({name}.inputs)"
    # Each on a line of its own: of several, the first might be called `include`, and the next would be obeyed.
    yield from (f"{target(name)}:" for name in others)
    yield ""


def _foot() -> Iterator[str]:
    yield ".DEFAULT_GOAL := $(manifest-runner.goal)"


def _command(rules: Rules, command: str, *words: str) -> str:
    """A line of a recipe, without the flags that are a variable."""
    state = "" if rules.paths.state is None else f"MANIFEST_RUNNER_STATE={recipe(rules.paths.state)} "
    manifest = rules.paths.manifest
    manifest = f"./{manifest}" if manifest.startswith("-") else manifest
    return f"{state}$({PROGRAM}) {command} {recipe(manifest, *words, *(['--draft'] if rules.draft else []))}"
