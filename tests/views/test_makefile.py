"""The rules as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from manifest_runner.core.model import ShotId
from manifest_runner.views.makefile import Paths, Rules, all_clips, cut_list, dependencies, makefile, stale_shots
from tests.builders import manifest_of, plan_of, rendered

SHOTS = """\
shots:
  - {id: A, prompt: One.}
  - {id: B, prompt: Two., takes: 2, circled: 1, first_frame: {shot: A, frame: last}, last_frame: in.png, duration: 5}
  - {id: C, prompt: Three., first_frame: {shot: B, frame: last}, cut: {in: 0.5, out: 1}}
"""
PICTURES = {"in.png": "ab" * 32}


def rules(**changes: object) -> Rules:
    paths = Paths(manifest="m/test.yaml", folder="m", name="m/test", stamps="s")
    made = Rules(manifest=manifest_of(SHOTS), paths=paths, inputs=["m/test.yaml", "m/in.png"], perhaps=["m/test.lock.json"],
                 out="r.mk", draft=False, together=False, commands=["render", "reel", "report"], run="RUN")
    return replace(made, **changes)  # type: ignore[arg-type]


def body(text: str) -> list[str]:
    """The lines that say something, without the head."""
    lines = text.partition("endif\n\n")[2].splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_rules_to_the_letter() -> None:
    assert body(makefile(rules()).partition("endif\n")[2]) == """\
m/test.clips := \\
  m/renders/test/A_t1.mp4 \\
  m/renders/test/B_t1.mp4 \\
  m/renders/test/B_t2.mp4 \\
  m/renders/test/C_t1.mp4
m/test.cut := \\
  m/renders/test/A_t1.mp4 \\
  m/renders/test/B_t1.mp4 \\
  m/renders/test/C_t1.mp4
m/test.inputs := \\
  m/test.yaml \\
  m/in.png \\
  $(wildcard m/test.lock.json)
m/test.reel := \\
  m/renders/test.reel.mp4
m/test.report := \\
  m/renders/test.report.html
m/renders/test/A_t1.mp4: s/shots/A
	$(MANIFEST_RUNNER) render m/test.yaml --only A $(RENDER_FLAGS)
m/renders/test/B_t1.mp4 \\
  m/renders/test/B_t2.mp4 &: s/shots/B | m/renders/test/A_t1.mp4
	$(MANIFEST_RUNNER) render m/test.yaml --only B $(RENDER_FLAGS)
m/renders/test/C_t1.mp4: s/shots/C | m/renders/test/B_t1.mp4
	$(MANIFEST_RUNNER) render m/test.yaml --only C $(RENDER_FLAGS)
s/shots/A \\
  s/shots/B \\
  s/shots/C: ;
m/renders/test.reel.mp4: s/cut $(m/test.cut)
	$(MANIFEST_RUNNER) reel m/test.yaml --out m/renders/test.reel.mp4
m/renders/test.report.html: $(m/test.inputs) $(m/test.clips)
	$(MANIFEST_RUNNER) report m/test.yaml --out m/renders/test.report.html
.PHONY: m/test.all
m/test.all: $(m/test.clips) $(m/test.reel) $(m/test.report)
.PRECIOUS: $(m/test.clips) $(m/test.reel) $(m/test.report)
.PRECIOUS: r.mk
r.mk: $(m/test.inputs)
m/in.png:
.DEFAULT_GOAL := $(manifest-runner.goal)
""".splitlines()


def test_no_recipe_says_yes_and_none_runs_where_make_only_looks() -> None:
    """A recipe that begins with `+`, or names $(MAKE), is run by `make -n` as well."""
    for text in (makefile(rules()), makefile(rules(together=True, draft=True))):
        recipes = [line for line in text.splitlines() if line.startswith("\t")]
        assert recipes
        assert not any("--yes" in line or "+" in line or "$(MAKE)" in line for line in recipes)


def test_together_all_clips_are_one_recipe_that_waits_for_one_stamp() -> None:
    lines = body(makefile(rules(together=True)))
    at = lines.index("  m/renders/test/C_t1.mp4 &: s/shots/all")
    assert lines[at + 1] == "\t$(MANIFEST_RUNNER) render m/test.yaml $(RENDER_FLAGS)"
    assert not any("--only" in line or "s/shots/A" in line for line in lines)


def test_what_this_program_cannot_make_is_no_target() -> None:
    text = makefile(rules(commands=["render", "reel", "timeline", "report"]))
    assert "m/renders/test.otio: $(m/test.inputs) $(m/test.clips)\n\t$(MANIFEST_RUNNER) timeline m/test.yaml --out" in text
    assert "otio" not in makefile(rules())
    assert "reel" not in makefile(rules(commands=["render"])).partition("endif\n\n")[2]


def test_a_state_folder_of_ones_own_and_a_manifest_like_a_flag_are_told_to_each_recipe() -> None:
    paths = Paths(manifest="-x.yaml", folder=".", name="-x", stamps="s", state="a $b")
    text = makefile(rules(paths=paths))
    assert "\tMANIFEST_RUNNER_STATE='a $$b' $(MANIFEST_RUNNER) render ./-x.yaml --only A " in text


def test_shots_with_something_to_do_are_those_that_the_plan_does_not_keep() -> None:
    manifest = manifest_of(SHOTS)
    lock = rendered(manifest, pictures=PICTURES)
    assert stale_shots(plan_of(manifest, lock=lock, pictures=PICTURES)) == set()
    del lock["B", 2]
    missing = {"renders/test/C_t1.mp4": "missing"}
    assert stale_shots(plan_of(manifest, lock=lock, pictures=PICTURES, files=missing)) == {"B", "C"}
    lock["gone", 1] = lock["A", 1]
    assert "gone" not in stale_shots(plan_of(manifest, lock=lock, pictures=PICTURES))


@pytest.mark.parametrize(("old", "new"), [("in: 0.5", "in: 0.6"), ("out: 1", "out: 2"), ("circled: 1", "circled: 2"),
                                          ("- {id: A, prompt: One.}", "- {id: Z, prompt: One.}\n  - {id: A, prompt: One.}")])
def test_whatever_the_reel_takes_from_the_manifest_is_in_the_cut_list(old: str, new: str) -> None:
    assert old in SHOTS
    assert cut_list(manifest_of(SHOTS)) != cut_list(manifest_of(SHOTS.replace(old, new)))
    assert cut_list(replace(manifest_of(SHOTS), title="Another")) != cut_list(manifest_of(SHOTS)), "it is in the film's file"
    assert cut_list(manifest_of(SHOTS)) == cut_list(manifest_of(SHOTS.replace("Three.", "Four.")))


def test_a_depfile_names_targets_and_files_and_each_file_for_itself() -> None:
    assert dependencies(["a b.mp4"], ["m.yaml", "$1.png"]) == "a\\ b.mp4: \\\n  m.yaml \\\n  $$1.png\nm.yaml:\n$$1.png:\n"


def test_clips_of_some_shots_are_in_the_order_of_the_cut() -> None:
    assert list(all_clips(manifest_of(SHOTS), {ShotId("C"), ShotId("B")})) == [
        "renders/test/B_t1.mp4", "renders/test/B_t2.mp4", "renders/test/C_t1.mp4"]
