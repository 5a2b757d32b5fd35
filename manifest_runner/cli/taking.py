"""What `circle` and `retake` share: from what a person decided to the manifest's text, and to what follows.

Laws: all or nothing; the manifest is written only where the whole of it is valid afterwards and nothing else has changed in it;
nothing but the manifest is written, and nothing is spent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from typing import TypeAlias

import click

from manifest_runner.adapters.files import rewrite
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project, Show, texts_of
from manifest_runner.core.consequences import pinned
from manifest_runner.core.editing import edited
from manifest_runner.core.model import Diagnostic, JobState, Plan, ShotId, Source
from manifest_runner.core.planning import Where
from manifest_runner.core.positions import locate
from manifest_runner.core.takes import Decisions, Unseen, Wish, fulfilled
from manifest_runner.errors import InvalidInput, UsageError
from manifest_runner.views.decided import Decided, Decision, decision_json, decision_text
from manifest_runner.views.status import Standing, Step, standings

Wishing: TypeAlias = Callable[[Decisions, Unseen], tuple[list[Wish], list[Diagnostic]]]
"""The wishes of a command, and what is against them."""

Onward: TypeAlias = Callable[[Sequence[Decided], Plan], list[Step]]
"""What to type next, by what was decided and what is to do now."""


class Desk:
    """One such command: looks first, and writes at the end."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.show = project.load()
        self.planned = plan_project(project, self.show)
        self.document = self.show.origins.value(()).document

    def decide(self, wishing: Wishing, onward: Onward, *, dry: bool) -> Decision:
        """Carry wishes out. Raises `InvalidInput` with every reason against them, and `UsageError`."""
        decisions = Decisions(self.show.manifest, self.show.origins)
        wishes, wrong = wishing(decisions, self._unseen)
        if self.document.rendered and not wrong:
            raise self._by_hand(wishes)
        edits, more = decisions.edits(wishes)
        if wrong := [*wrong, *more]:
            raise InvalidInput(wrong, texts=texts_of(self.show.origins, wrong))
        text = edited(self.document, edits) if edits else self.document.text
        show = self.project.load(text) if edits else self.show
        if not fulfilled(self.show.manifest, show.manifest, wishes):
            raise UsageError(f"{self.project.shown}: with this edit it would say something else, too", code="edit-by-hand",
                             hint="the file stays as it is; write it in an editor")
        plan = plan_project(self.project, show).plan if edits else self.planned.plan
        if edits and not dry:
            self._write(text)
        decided = self._decided(wishes, show)
        turned = {one.after.id for one in decided if one.before.cut_take != one.after.cut_take}
        return Decision(decided=decided, before=self.planned.plan, after=plan, written=bool(edits) and not dry,
                        pinned=pinned(show.manifest, turned), steps=onward(decided, plan))

    def _unseen(self, shot: ShotId, take: int) -> str | None:
        row = self._standing[shot, take]
        entry = row.change.entry
        return None if entry is not None and entry.state is JobState.STORED and entry.outputs else row.words

    @cached_property
    def _standing(self) -> dict[Where, Standing]:
        rows = standings(self.planned.plan, self.planned.jobs, self.show.manifest)
        return {(row.change.shot, row.change.take): row for row in rows}

    def _by_hand(self, wishes: Sequence[Wish]) -> UsageError:
        todo = "; ".join(f"{wish.shot}: {wish.key}: {wish.value}" if wish.value is not None else f"{wish.shot}: no {wish.key}"
                         for wish in wishes)
        return UsageError(f"{self.project.shown} is a template for a whole file, which is not edited", code="template-file",
                          hint=f"let it make this ({todo})")

    def _write(self, text: str) -> None:
        """Replace the manifest, unless somebody has saved another one since it was read. Of two who write in the same instant
        the last rename wins."""
        if sha256(self.project.files.read(self.project.path.name)).hexdigest() != self.show.inputs[self.project.shown]:
            raise UsageError(f"{self.project.shown} was changed while this command ran: it stays as it is",
                             code="changed-meanwhile", hint="the same command may be run again")
        rewrite(self.project.path, text.encode())

    def _decided(self, wishes: Sequence[Wish], show: Show) -> list[Decided]:
        before, after = ({shot.id: shot for shot in one.manifest.shots} for one in (self.show, show))
        places = {shot.id: index for index, shot in enumerate(show.manifest.shots)}
        return [Decided(wish=wish, before=before[wish.shot], after=after[wish.shot],
                        place=self._place(show, wish, places[wish.shot])) for wish in wishes]

    def _place(self, show: Show, wish: Wish, index: int) -> Source | None:
        written = show.origins.value(("shots", index, wish.key))
        return locate(written.document, written.pointer) if wish.value is not None else None


def tell(decision: Decision, desk: Desk, *, as_json: bool, quiet: bool) -> None:
    """Say what was decided and what follows."""
    project = desk.project
    click.echo(decision_json(decision) if as_json else
               decision_text(decision, desk.show.card, project.shown, priced=not project.draft, quiet=quiet))
