"""Every command, run as a user runs it: in a process of its own, with an empty home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import MANIFESTS, run, write

SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - id: SH0010
    prompt: A tram stops in the rain.
  - id: SH0020
    prompt: The doors open; nobody gets off.
    first_frame: {shot: SH0010, frame: last}
"""


def test_init_writes_a_manifest_that_is_valid_and_never_overwrites(tmp_path: Path) -> None:
    made = run(tmp_path, "init")
    assert made.code == 0
    assert "next: manifest-runner render shots.yaml --draft" in made.out
    assert run(tmp_path, "validate", "shots.yaml").code == 0
    assert (tmp_path / "schemas" / "manifest.schema.json").is_file()
    before = (tmp_path / "shots.yaml").read_bytes()
    again = run(tmp_path, "init")
    assert (again.code, (tmp_path / "shots.yaml").read_bytes()) == (2, before)


def test_init_adds_to_what_git_ignores_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc")
    run(tmp_path, "init")
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.manifest-runner/\nrenders/\n*.draft.lock.json\n"


@pytest.mark.parametrize("manifest", ["first", "monsoon", "signalman"])
def test_the_manifests_that_come_with_the_program_have_no_mistakes(manifest: str) -> None:
    ran = run(MANIFESTS.parent, "validate", f"manifests/{manifest}.yaml")
    assert (ran.code, ran.err) == (0, "")


def test_validate_for_programs_is_one_object(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    good = json.loads(run(tmp_path, "validate", "show.yaml", "--format", "json").out)
    assert good == {"shots": 2, "takes": 2, "diagnostics": []}
    write(tmp_path, SHOW.replace("prompt: A tram", "promt: A tram"))
    wrong = run(tmp_path, "validate", "show.yaml", "--json")
    body = json.loads(wrong.out)
    assert wrong.code == 2
    assert body["code"] == "invalid-input"
    assert [(item["code"], item["source"]) for item in body["diagnostics"]] == [
        ("unknown-key", {"path": "show.yaml", "line": 7, "column": 5}),
    ]


def test_a_manifest_that_is_not_there_is_said_with_a_way_on(tmp_path: Path) -> None:
    ran = run(tmp_path, "validate", "nowhere.yaml")
    assert ran.code == 2
    assert "nowhere.yaml does not exist" in ran.err
    assert "next: manifest-runner init" in ran.err


@pytest.mark.parametrize(
    "arguments", [("plan",), ("render", "show.yaml", "--colour"), ("paint",), ("plan", "show.yaml", "--format", "xml")]
)
def test_usage_errors_exit_with_2_and_name_the_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write(tmp_path, SHOW)
    ran = run(tmp_path, *arguments)
    assert ran.code == 2
    assert "--help" in ran.err


def test_a_usage_error_with_json_is_one_object(tmp_path: Path) -> None:
    ran = run(tmp_path, "plan", "--json")
    assert (ran.code, json.loads(ran.out)["code"]) == (2, "usage")


def test_plan_prices_without_a_key_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = run(tmp_path, "plan", "show.yaml")
    assert ran.out.splitlines()[-1] == "Plan: 2 to render, 0 kept. 58 credits (₹58)."
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert run(tmp_path, "plan", "show.yaml", "--exit-code").code == 2


def test_plan_for_programs_fits_its_schema(tmp_path: Path) -> None:
    import jsonschema

    write(tmp_path, SHOW)
    plan = json.loads(run(tmp_path, "plan", "show.yaml", "--format", "json").out)
    schema = json.loads((MANIFESTS.parent / "schemas" / "plan.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(plan)
    assert plan["total"] == "58"


def test_render_without_a_key_stops_before_anything_else_and_says_both_ways_on(tmp_path: Path) -> None:
    write(tmp_path, "this is: not even a manifest")
    ran = run(tmp_path, "render", "show.yaml")
    assert ran.code == 2
    assert "TRINETRA_API_KEY" in ran.err
    assert "--draft" in ran.err
    assert not (tmp_path / ".manifest-runner").exists()


def test_render_without_a_terminal_needs_yes_or_a_plan(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    ran = run(tmp_path, "render", "show.yaml", env={"TRINETRA_API_KEY": "canary", "MANIFEST_RUNNER_FRAMES": "inline"})
    assert ran.code == 2
    assert "--yes" in ran.err
    assert "canary" not in ran.err + ran.out


def test_pictures_that_cannot_reach_the_gateway_stop_a_run_before_it_spends(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    ran = run(tmp_path, "render", "show.yaml", "--yes", env={"TRINETRA_API_KEY": "canary"})
    assert ran.code == 2
    assert "MANIFEST_RUNNER_FRAMES=inline" in ran.err


def test_draft_then_again_then_status_lock_and_reel(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    first = run(tmp_path, "render", "show.yaml", "--draft")
    assert first.code == 0, first.err
    assert first.out.splitlines()[-1] == "2 done of 2 takes. A draft costs nothing."
    clips = sorted(path.name for path in (tmp_path / "renders" / "show.draft").iterdir())
    assert clips == ["SH0010_t1.mp4", "SH0020_t1.mp4"]
    assert not (tmp_path / "show.lock.json").exists(), "a draft can never be taken for a paid take"
    lock = (tmp_path / "show.draft.lock.json").read_bytes()
    again = run(tmp_path, "render", "show.yaml", "--draft")
    assert again.out == "Nothing to do: 2 kept. A draft costs nothing.\n"
    assert (tmp_path / "show.draft.lock.json").read_bytes() == lock
    assert run(tmp_path, "lock", "show.yaml", "--check", "--draft").code == 0
    assert "2 of 2 takes done" in run(tmp_path, "status", "show.yaml", "--draft").out
    film = run(tmp_path, "reel", "show.yaml", "--draft")
    assert film.out == ("renders/show.draft.reel.mp4: 2 shots, 2 s (48 frames), 1280x720, 24 fps; "
                        "copied, nothing was encoded\n")
    assert run(tmp_path, "plan", "show.yaml").out.splitlines()[-1].startswith("Plan: 2 to render"), "nothing is paid for yet"


def test_lock_check_sees_a_missing_clip_and_lock_rebuilds_from_the_ledger(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    run(tmp_path, "render", "show.yaml", "--draft")
    lock = tmp_path / "show.draft.lock.json"
    text = lock.read_bytes()
    lock.unlink()
    assert "rebuilt from 2 takes" in run(tmp_path, "lock", "show.yaml", "--draft").out
    assert lock.read_bytes() == text
    (tmp_path / "renders" / "show.draft" / "SH0010_t1.mp4").unlink()
    assert run(tmp_path, "lock", "show.yaml", "--check", "--draft").code == 1
    assert run(tmp_path, "render", "show.yaml", "--draft").code == 0
    assert run(tmp_path, "lock", "show.yaml", "--check", "--draft").code == 0


def test_a_lockfile_that_a_kill_left_behind_the_ledger_is_noticed_and_caught_up_though_nothing_is_to_do(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    run(tmp_path, "render", "show.yaml", "--draft")
    lock = tmp_path / "show.draft.lock.json"
    text = lock.read_bytes()
    lacking = json.loads(text)
    del lacking["shots"]["SH0020"]
    lock.write_text(json.dumps(lacking))
    checked = run(tmp_path, "lock", "show.yaml", "--check", "--draft")
    assert checked.code == 1
    assert "is behind the manifest or the ledger for 1 take; next: manifest-runner lock" in checked.err
    assert run(tmp_path, "render", "show.yaml", "--draft").out.startswith("Nothing to do: 2 kept.")
    assert lock.read_bytes() == text
    assert run(tmp_path, "lock", "show.yaml", "--check", "--draft").code == 0


def test_a_clip_s_hash_or_path_edited_in_the_lockfile_is_overruled_by_the_ledger_and_said(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    run(tmp_path, "render", "show.yaml", "--draft")
    lock = tmp_path / "show.draft.lock.json"
    text = lock.read_bytes()
    (true,) = {take["outputs"][0]["sha256"] for take in json.loads(text)["shots"]["SH0020"]["takes"].values()}
    lock.write_bytes(text.replace(true.encode(), b"0" * 64))
    said = "the lockfile names another clip than this machine's ledger for SH0020 t1: the ledger's counts"
    assert said in run(tmp_path, "plan", "show.yaml", "--draft").err
    assert said in run(tmp_path, "status", "show.yaml", "--draft").err
    checked = run(tmp_path, "lock", "show.yaml", "--check", "--draft")
    assert (checked.code, said in checked.err) == (1, True)
    assert run(tmp_path, "render", "show.yaml", "--draft").code == 0
    assert lock.read_bytes() == text
    lock.write_bytes(text.replace(b"SH0020_t1.mp4", b"SH0010_t1.mp4"))
    assert run(tmp_path, "lock", "show.yaml", "--check", "--draft").code == 1
    assert run(tmp_path, "render", "show.yaml", "--draft").code == 0
    assert lock.read_bytes() == text


def test_reel_of_what_is_not_rendered_says_what_to_type(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    ran = run(tmp_path, "reel", "show.yaml")
    assert ran.code == 1
    assert "next: manifest-runner render show.yaml" in ran.err


def test_models_and_schema_for_programs(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "models", "--json").out)[0]["name"] == "kling-v3-omni"
    assert "720p 29, 1080p 46" in run(tmp_path, "models").out
    for name in ("manifest", "lockfile", "plan", "model-card"):
        assert json.loads(run(tmp_path, "schema", name).out)["$schema"].startswith("http://json-schema.org/draft-07")


def test_settings_show_where_each_value_comes_from_and_never_the_key(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, 'rate = "10/min"\n', "manifest-runner.toml")
    ran = run(
        tmp_path,
        "status",
        "--settings",
        "--max-credits",
        "7",
        env={"TRINETRA_API_KEY": "canary-9f", "MANIFEST_RUNNER_CONCURRENCY": "3"},
    )
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()}
    assert rows["max-credits"] == ["7", "--max-credits"]
    assert rows["concurrency"] == ["3", "MANIFEST_RUNNER_CONCURRENCY"]
    assert rows["rate"][0] == "10/min"
    assert rows["rate"][1].endswith("manifest-runner.toml")
    assert "canary" not in ran.out


def test_an_unknown_setting_is_a_mistake_not_a_silence(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, "max_credits = 5\n", "manifest-runner.toml")
    write(tmp_path, SHOW)
    ran = run(tmp_path, "plan", "show.yaml")
    assert ran.code == 2
    assert "did you mean max-credits?" in ran.err


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    import subprocess

    from tests.cli.support import command, environment

    write(
        tmp_path,
        "version: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n"
        + "".join(f"  - {{id: S{n}, prompt: a shot}}\n" for n in range(5000)),
    )
    ran = subprocess.run(
        f"{' '.join(command('plan', 'show.yaml'))} | head -1",
        shell=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "+ S0" in ran.stdout
    assert ran.stderr == ""


def test_escapes_in_a_strangers_prompt_are_shown_not_obeyed(tmp_path: Path) -> None:
    write(tmp_path, SHOW.replace("SH0020\n", 'SH0020\n    note: "\\e[2J"\n').replace("{shot: SH0010", '{shot: "\\e]0;x\\a"'))
    ran = run(tmp_path, "validate", "show.yaml", "--color", "always")
    assert ran.code == 2
    assert "\x1b]0" not in ran.err
    assert "\\e]0;x\\a" in ran.err


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_file_of_another_encoding_is_one_mistake_without_its_garbage(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "show.yaml").write_bytes(SHOW.encode(encoding))
    ran = run(tmp_path, "validate", "show.yaml")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 4
    assert "the file is UTF-16" in ran.err


def test_a_shot_named_as_if_it_were_a_picture_is_told_how_to_name_it(tmp_path: Path) -> None:
    write(tmp_path, SHOW.replace("{shot: SH0010, frame: last}", "SH0010"))
    assert "{shot: SH0010, frame: last}" in run(tmp_path, "validate", "show.yaml").err


def test_without_arguments_the_help_is_laid_out(tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert ran.code == 2
    assert "  validate  " in ran.err


@pytest.mark.parametrize("arguments", [("schema",), ("models", "--json"), ("plan", "show.yaml")])
def test_a_reader_that_is_gone_is_no_failure(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    import subprocess

    from tests.cli.support import command, environment

    write(tmp_path, SHOW)
    ran = subprocess.run(
        f"{{ {' '.join(command(*arguments))}; echo $? > code; }} | true",
        shell=True,
        cwd=tmp_path,
        env=environment(tmp_path),
        timeout=60,
        check=False,
        stderr=subprocess.PIPE,
    )
    assert (tmp_path / "code").read_text().strip() == "0"
    assert not any(word in ran.stderr for word in (b"error", b"Error", b"Traceback", b"ignored"))


def test_a_bomb_in_one_template_is_a_diagnostic_there_and_the_other_mistakes_are_still_found(tmp_path: Path) -> None:
    write(tmp_path, SHOW + """\
  - id: SH0030
    prompt: "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
  - id: SH0040
    prompt: "{{ nobody | upper }}"
    duration: 99
""")
    ran = run(tmp_path, "validate", "show.yaml")
    assert ran.code == 2
    assert "show.yaml:12:13: error[template-limit]: the template takes too much time or memory" in ran.err
    assert "show.yaml:14:17: error[undefined-name]: nobody is not defined" in ran.err
    assert "show.yaml:15:" in ran.err


def test_several_manifests_are_checked_in_one_call_and_the_worst_of_them_is_the_exit_code(tmp_path: Path) -> None:
    write(tmp_path, SHOW, "good.yaml")
    write(tmp_path, SHOW.replace("prompt: A tram", "promt: A tram"), "bad.yaml")
    write(tmp_path, SHOW.replace("SH0020", "SH 20"), "worse.yaml")
    ran = run(tmp_path, "validate", "bad.yaml", "good.yaml", "worse.yaml")
    assert (ran.code, ran.out) == (2, "good.yaml: 2 shots, 2 takes, no mistakes\n")
    assert "bad.yaml:7:5" in ran.err
    assert "worse.yaml:8:9" in ran.err
    found = json.loads(run(tmp_path, "validate", "bad.yaml", "good.yaml", "worse.yaml", "--json").out)
    assert [item["source"]["path"] for item in found["diagnostics"]] == ["bad.yaml", "worse.yaml"]
    locks = run(tmp_path, "lock", "--check", "bad.yaml", "good.yaml")
    assert (locks.code, "good.lock.json does not agree" in locks.err, "bad.yaml:7:5" in locks.err) == (2, True, True)
    one = json.loads(run(tmp_path, "lock", "--check", "--json", "good.yaml", "./good.yaml").out)
    assert [change["manifest"] for change in one["changes"]] == ["good.yaml"] * 2 + ["./good.yaml"] * 2


def test_init_tells_git_how_lockfiles_merge_and_how_a_clone_learns_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    made = run(tmp_path, "init")
    assert "manifest-runner merge --install" in made.out
    lines = (tmp_path / ".gitattributes").read_text().splitlines()
    assert "*.lock.json text eol=lf merge=manifest-runner linguist-generated=true" in lines
    assert "*.yaml text eol=lf" in lines
