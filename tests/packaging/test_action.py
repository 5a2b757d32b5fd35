"""The Action and the workflows to copy: what is written in them, and its scripts run as a runner runs them.

`gh` is a stand-in; git, the program and the provider (the simulator on a port) are real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifest_runner.cli.project import Project
from manifest_runner.views.markdown import marker
from tests.cli.support import environment, write
from tests.crash.test_killed_run import SHOW, TAKES, books, live, simulator

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted([*(ROOT / "examples" / "github").glob("*.yml"), *(ROOT / ".github" / "workflows").glob("*.yml")])
LOCKFILE = '{"version": 1, "manifest": "show.yaml", "shots": {}}'
BOT = "github-actions[bot]"
GH = """\
#!{python}
import json, os, sys
place = os.environ["FAKE_GH"]
state = json.load(open(place))
words = sys.argv[1:]
state["asked"].append(words)
assert words[0] == "api" and os.environ["GH_TOKEN"] == "token"
method = words[words.index("--method") + 1] if "--method" in words else "GET"
path = next(word for word in words if word.startswith("repos/"))
failed = method in state["refuses"]
if not failed and method == "GET":
    asked = words[words.index("--jq") + 1]
    ours = [c for c in state["comments"] if ".user.login == env.AUTHOR" not in asked or c["user"] == os.environ["AUTHOR"]]
    mine = [c for c in ours if "startswith(env.MARKER)" not in asked or c["body"].startswith(os.environ["MARKER"])]
    print("".join(f"{{c['id']}}\\n" for c in mine), end="")
elif not failed:
    body = open(next(word for word in words if word.startswith("body=@"))[6:]).read()
    if method == "POST":
        state["comments"].append({{"id": 100 + len(state["comments"]), "user": "github-actions[bot]", "body": body}})
    else:
        next(c for c in state["comments"] if str(c["id"]) == path.rpartition("/")[2])["body"] = body
json.dump(state, open(place, "w"))
if failed:
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
"""


@cache
def document(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def script(name: str) -> str:
    return str(next(step["run"] for step in document(ROOT / "action.yml")["runs"]["steps"] if step["name"] == name))


@cache
def lockfile_of(manifest: str) -> str:
    """Where the Action looks for the lockfile of a manifest."""
    with tempfile.NamedTemporaryFile("r") as output:
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script("Name the lockfile")]
        variables = {"PATH": os.environ["PATH"], "MANIFEST": manifest, "GITHUB_OUTPUT": output.name}
        subprocess.run(command, env=variables, check=True, timeout=10)
        return output.read().removeprefix("path=").removesuffix("\n")


@dataclass(frozen=True, kw_only=True)
class Ran:
    code: int
    out: str


@dataclass(kw_only=True)
class Runner:
    """A machine of GitHub's: a checkout, a temporary folder, the files of a step."""

    folder: Path
    checkout: Path
    comments: list[dict[str, Any]] = field(default_factory=list)
    refuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        self.program("bin/gh", GH.format(python=sys.executable))
        for name in ("plan", "render"):
            self.program(f"temp/manifest-runner-{name}/bin/manifest-runner",
                          f'#!/bin/sh\nexec "{sys.executable}" -m manifest_runner "$@"\n')

    def program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        base = environment(self.folder)
        return {**base, "PATH": f"{self.folder / 'bin'}{os.pathsep}{base['PATH']}", "RUNNER_TEMP": str(self.folder / "temp"),
                "PYTHONPATH": str(ROOT), "GITHUB_OUTPUT": str(self.folder / "output"), "FAKE_GH": str(self.folder / "gh.json"),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"), "GITHUB_REPOSITORY": "studio/monsoon", "GH_TOKEN": "token",
                "GIT_CONFIG_NOSYSTEM": "1", "TMPDIR": str(self.folder), "FOLDER": "", "ONLY": "", "MAX_CREDITS": "",
                "AUTHOR": BOT, "NUMBER": "7", "COMMIT": "", "BRANCH": "main", "RENDERED": "failure",
                "LOCKFILE": lockfile_of(variables.get("MANIFEST", "show.yaml")), **variables}

    def start(self, name: str, **variables: str) -> subprocess.Popen[str]:
        self._state({"comments": self.comments, "refuses": self.refuses, "asked": []})
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(name)]
        return subprocess.Popen(command, cwd=self.checkout, env=self.environment(variables), text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, start_new_session=True)

    def run(self, name: str, **variables: str) -> Ran:
        process = self.start(name, **variables)
        out = process.communicate(timeout=120)[0]
        state = json.loads((self.folder / "gh.json").read_text())
        self.comments, self.asked = state["comments"], state["asked"]
        return Ran(code=process.returncode, out=out)

    def _state(self, state: dict[str, Any]) -> None:
        (self.folder / "gh.json").write_text(json.dumps(state))

    @property
    def summary(self) -> str:
        path = self.folder / "summary"
        return path.read_text() if path.exists() else ""

    @property
    def comment(self) -> str:
        return (self.folder / "temp" / "manifest-runner" / "comment.md").read_text()


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Asha", "-c", "user.email=asha@example.com", "-c", "init.defaultBranch=main"]
    ran = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True, env=environment(folder))
    return ran.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """The repository at GitHub."""
    first, bare = tmp_path / "first", tmp_path / "origin.git"
    write(first, SHOW, "shows/show.yaml")
    write(first, ".manifest-runner/\nrenders/\n", ".gitignore")
    git(first, "init", "--quiet")
    git(first, "add", ".")
    git(first, "commit", "--quiet", "-m", "A show")
    git(tmp_path, "clone", "--quiet", "--bare", str(first), str(bare))
    return bare


def machine(tmp_path: Path, origin: Path, name: str = "machine") -> Runner:
    """A fresh runner with a fresh clone."""
    git(tmp_path, "clone", "--quiet", str(origin), str(tmp_path / name / "checkout"))
    return Runner(folder=tmp_path / name, checkout=tmp_path / name / "checkout")


# ── what is written in them ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [ROOT / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_no_script_is_put_together_from_values_and_every_action_is_pinned(path: Path) -> None:
    data = document(path)
    steps = data["runs"]["steps"] if "runs" in data else [step for job in data["jobs"].values() for step in job["steps"]]
    for step in steps:
        assert "${{" not in step.get("run", ""), "values reach a script as variables"
    for used, comment in re.findall(r"uses: (\S+)( # \S.*)?", path.read_text(encoding="utf-8")):
        assert used == "./" or (re.search(r"@[0-9a-f]{40}$", used) and comment), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_no_right_that_its_jobs_do_not_name(path: Path) -> None:
    data = document(path)
    assert data["permissions"] == {}
    triggers = data[True]  # what YAML 1.1 makes of `on`
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers)
    secret = [job for job in data["jobs"].values() if "secrets." in json.dumps(job)]
    assert all(job["environment"] == "paid" for job in secret)
    assert not secret or "pull_request" not in triggers, "no pull request comes near a secret"
    writers = [job for job in data["jobs"].values() if "write" in job["permissions"].values()]
    if "pull_request" in triggers:
        assert not any("checkout" in json.dumps(job) for job in writers), "who may write runs nothing of the pull request's"


def test_every_input_and_output_is_told_about_and_used() -> None:
    action = document(ROOT / "action.yml")
    text = json.dumps(action["runs"])
    for name, value in action["inputs"].items():
        assert value["description"]
        assert f"inputs.{name}" in text, name
    assert all(value["description"] for value in action["outputs"].values())


def linter(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_zizmor_finds_nothing() -> None:
    ran = subprocess.run([linter("zizmor"), "--offline", "--no-progress", "--no-config", "--color", "never", "action.yml",
                          *map(str, WORKFLOWS)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_actionlint_finds_nothing() -> None:
    ran = subprocess.run([linter("actionlint"), "-no-color", *map(str, WORKFLOWS)], cwd=ROOT, capture_output=True, text=True,
                         timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", [step["name"] for step in document(ROOT / "action.yml")["runs"]["steps"]])
def test_shellcheck_finds_nothing(name: str) -> None:
    ran = subprocess.run([linter("shellcheck"), "--shell=bash", "-"], input=script(name), capture_output=True, text=True,
                         timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout


# ── install ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_of_the_checkout_is_not_run_in_the_place_of_pythons_own(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    shutil.rmtree(runner.folder / "temp" / "manifest-runner-plan")
    runner.program("bin/python3", f"""#!/bin/sh
echo "$@" >> {runner.folder / 'asked'}
exec {sys.executable} "$1" -c 'import venv'
""")
    write(runner.checkout, f"open({str(tmp_path / 'pwned')!r}, 'w')\n", "venv.py")
    runner.run("Install", DO="plan", ACTION=str(ROOT))
    asked = (runner.folder / "asked").read_text().splitlines()
    assert [line.split()[:3] for line in asked] == [["-I", "-c", "import"], ["-I", "-m", "venv"]]
    assert not (tmp_path / "pwned").exists()


def test_there_is_nothing_else_to_do(tmp_path: Path, origin: Path) -> None:
    assert machine(tmp_path, origin).run("Install", DO="play", ACTION=str(ROOT)).code == 2


# ── plan ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_leaves_its_outputs_its_summary_and_both_files(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    ran = runner.run("Plan", MANIFEST="shows/show.yaml")
    assert ran.code == 0, ran.out
    found = (runner.folder / "output").read_text()
    assert "credits<<---\n145\n---\n" in found
    assert f"folder={runner.folder / 'temp' / 'manifest-runner'}\n" in found
    assert json.loads((runner.folder / "temp" / "manifest-runner" / "plan.json").read_text())["total"] == "145"
    assert runner.comment.startswith(marker("shows/show.yaml"))
    assert "5 to render, 0 kept" in runner.summary
    assert git(runner.checkout, "status", "--porcelain") == ""


def test_a_broken_manifest_fails_with_annotations_and_a_comment_that_says_so(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    write(runner.checkout, SHOW.replace("prompt: one", "promt: one"), "shows/show.yaml")
    ran = runner.run("Plan", MANIFEST="shows/show.yaml")
    assert ran.code == 2
    assert len(re.findall("^::error file=shows/show.yaml,line=6,", ran.out, re.MULTILINE)) == 1
    assert "no plan: 1 mistake." in runner.comment
    assert runner.summary.count("no plan") == 1


@pytest.mark.parametrize("name", ["$(touch pwned).yaml", "`touch pwned`.yaml", "a; touch pwned", "-v", '"; touch pwned #'])
def test_no_name_is_carried_out(tmp_path: Path, origin: Path, name: str) -> None:
    runner = machine(tmp_path, origin)
    for step in ("Plan", "Commit the lockfile"):
        runner.run(step, MANIFEST=name, ONLY=name, FOLDER=str(tmp_path / "review"))
    assert not list(tmp_path.rglob("pwned"))
    assert not (tmp_path / "review" / "plan.json").exists()


# ── comment ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def planned(tmp_path: Path, origin: Path) -> Runner:
    runner = machine(tmp_path, origin)
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    (runner.folder / "summary").unlink()
    return runner


def test_the_first_comment_is_written_and_then_updated_in_place(planned: Runner) -> None:
    planned.comments = [{"id": 1, "user": "asha", "body": "Lovely."}]
    assert planned.run("Comment", COMMIT="a" * 40).code == 0
    assert planned.comments[1]["body"] == f"{planned.comment}\n<sub>As of {'a' * 40}.</sub>\n"
    write(planned.checkout, SHOW.replace("four", "five"), "shows/show.yaml")
    planned.run("Plan", MANIFEST="shows/show.yaml", ONLY="D")
    assert planned.run("Comment", COMMIT="main; touch pwned").code == 0
    assert [comment["id"] for comment in planned.comments] == [1, 101]
    assert "1 to render" in planned.comments[1]["body"]
    assert "As of" not in planned.comments[1]["body"]
    assert planned.comments[0]["body"] == "Lovely."


def test_another_manifests_comment_and_a_strangers_with_our_marker_are_left_alone(planned: Runner) -> None:
    mine, other = marker("shows/show.yaml"), marker("shows/other.yaml")
    before = [{"id": 1, "user": "mallory", "body": f"{mine}\nPaid for already."}, {"id": 2, "user": BOT, "body": f"{other}\nx"},
              {"id": 3, "user": BOT, "body": f"Look: {mine}"}]
    planned.comments = [dict(comment) for comment in before]
    assert planned.run("Comment").code == 0
    assert planned.comments[:3] == before
    assert planned.comments[3]["body"].startswith(mine)


@pytest.mark.parametrize("refuses", [("POST",), ("GET",), ("POST", "PATCH")])
def test_a_comment_that_a_fork_may_not_write_ends_in_the_summary(planned: Runner, refuses: tuple[str, ...]) -> None:
    planned.refuses = refuses
    ran = planned.run("Comment")
    assert ran.code == 0
    assert "::notice title=manifest-runner::" in ran.out
    assert planned.summary == planned.comment
    assert planned.comments == []


def test_a_comment_that_is_none_of_ours_is_not_written(planned: Runner) -> None:
    file = planned.folder / "temp" / "manifest-runner" / "comment.md"
    text = file.read_text()
    assert planned.run("Comment", NUMBER="7/../8").code == 2
    file.write_text("<!-- manifest-runner x -->\nhello")
    assert planned.run("Comment").code == 2
    file.write_text("")
    assert planned.run("Comment").code == 0
    assert planned.asked == []
    file.write_text(text)
    assert planned.run("Comment").code == 0


def test_a_summary_that_was_written_in_another_job_needs_noprogram(planned: Runner) -> None:
    shutil.rmtree(planned.folder / "temp" / "manifest-runner-plan")
    assert planned.run("Comment").code == 0


# ── render ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "provider").mkdir()
    with simulator(tmp_path / "provider", pictures=False) as address:
        yield address


def paid(address: str) -> dict[str, str]:
    return {"MANIFEST": "shows/show.yaml", **live(address)}


def locked(origin: Path) -> dict[str, Any]:
    """The takes in the lockfile on the branch, by state."""
    text = git(origin, "show", "main:shows/show.lock.json")
    shots = json.loads(text)["shots"]
    return {f"{shot}:{number}": take["state"] for shot, block in shots.items() for number, take in block["takes"].items()}


@pytest.mark.parametrize("name", [
    "show.yaml", "show.yml", "show.yaml.j2", "show.yml.j2", "show.json", "show.txt", "show", "a.yml.yaml", "a.yaml.yml", "a.j2",
    "a.yaml.txt", "a.json.j2", ".show", ".yaml", "a.b.", "x.y/show", "x.y/.show",
])
def test_the_action_looks_for_the_lockfile_where_the_program_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SHOW, name)
    assert lockfile_of(name) == str(Project(name, {}).lock_path)


def test_what_was_planned_is_rendered_and_its_lockfile_is_on_the_branch(tmp_path: Path, origin: Path, gateway: str) -> None:
    runner = machine(tmp_path, origin)
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    ran = runner.run("Render", **paid(gateway))
    assert ran.code == 0, ran.out
    done = runner.run("Commit the lockfile", MANIFEST="shows/show.yaml")
    assert (done.code, "is on main" in done.out) == (0, True), done.out
    assert set(locked(origin).values()) == {"stored"}
    assert books(gateway)["totals"]["credits_charged"] == TAKES * 29
    assert "canary-4711" not in ran.out + done.out + git(origin, "log", "-p", "main")
    again = machine(tmp_path, origin, "again")
    assert again.run("Plan", MANIFEST="shows/show.yaml").code == 0
    assert "changes<<---\nfalse\n---" in (again.folder / "output").read_text(), "clips that lie elsewhere are no change"


def pushed(runner: Runner, text: str, name: str) -> None:
    write(runner.checkout, text, name)
    git(runner.checkout, "add", ".")
    git(runner.checkout, "commit", "--quiet", "-m", f"Change {name}")
    git(runner.checkout, "push", "--quiet", "origin", "main")


def test_a_plan_of_another_commit_is_refused_before_anything_is_asked(tmp_path: Path, origin: Path, gateway: str) -> None:
    runner = machine(tmp_path, origin)
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    pushed(machine(tmp_path, origin, "other"), SHOW.replace("four", "five"), "shows/show.yaml")
    git(runner.checkout, "pull", "--quiet")
    ran = runner.run("Render", **paid(gateway))
    assert (ran.code, "file shows/show.yaml: sha256:" in ran.out) == (2, True)
    assert books(gateway)["totals"]["requests"] == 0
    assert runner.run("Commit the lockfile", MANIFEST="shows/show.yaml").code == 0
    assert git(origin, "log", "--format=%s", "main").splitlines() == ["Change shows/show.yaml", "A show"]


def test_a_job_that_is_run_again_does_not_miss_the_lockfile_that_came_after_it(
    tmp_path: Path, origin: Path, gateway: str
) -> None:
    runner = machine(tmp_path, origin)
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    pushed(machine(tmp_path, origin, "other"), LOCKFILE, "shows/show.lock.json")
    ran = runner.run("Render", **paid(gateway))
    assert (ran.code, "another lockfile by now" in ran.out) == (2, True)
    assert books(gateway)["totals"]["requests"] == 0


def killed(runner: Runner, address: str) -> None:
    """Render until a job is asked about, whose id is recorded by then, and everything on this machine is gone at once."""
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    process = runner.start("Render", **paid(address))
    while not any(request["path"].startswith("/v1/jobs/") for request in books(address)["requests"]):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, 9)
    process.wait()


def finished(runner: Runner, origin: Path, address: str) -> None:
    """A fresh machine plans and renders to the end; the books say that each take was paid once."""
    assert not (runner.checkout / ".manifest-runner").exists()
    assert runner.run("Plan", MANIFEST="shows/show.yaml").code == 0
    ran = runner.run("Render", **paid(address))
    assert ran.code == 0, ran.out
    assert runner.run("Commit the lockfile", MANIFEST="shows/show.yaml").code == 0
    totals = books(address)["totals"]
    assert (totals["jobs"], totals["duplicates"], totals["credits_charged"]) == (TAKES, 0, TAKES * 29)
    assert set(locked(origin).values()) == {"stored"}


def test_a_render_that_was_killed_goes_on_on_a_machine_without_its_ledger(tmp_path: Path, origin: Path, gateway: str) -> None:
    first = machine(tmp_path, origin, "first-machine")
    killed(first, gateway)
    assert first.run("Commit the lockfile", MANIFEST="shows/show.yaml").code == 0
    assert locked(origin), "jobs that were under way are on the branch"
    finished(machine(tmp_path, origin, "second-machine"), origin, gateway)


def test_when_the_whole_machine_is_gone_the_same_ids_find_the_same_jobs(tmp_path: Path, origin: Path, gateway: str) -> None:
    first = machine(tmp_path, origin, "first-machine")
    killed(first, gateway)
    shutil.rmtree(first.folder)
    finished(machine(tmp_path, origin, "second-machine"), origin, gateway)


def test_a_lockfile_is_put_on_top_of_what_came_in_the_meantime(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    write(runner.checkout, LOCKFILE, "shows/show.lock.json")
    pushed(machine(tmp_path, origin, "other"), "notes\n", "notes.md")
    assert runner.run("Commit the lockfile", MANIFEST="shows/show.yaml").code == 0
    subjects = git(origin, "log", "--format=%s", "main").splitlines()
    assert subjects == ["Lock what was rendered: shows/show.yaml", "Change notes.md", "A show"]


def test_a_render_that_leaves_no_lockfile_behind_is_no_success(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    ran = runner.run("Commit the lockfile", MANIFEST="shows/show.yaml", RENDERED="success")
    assert (ran.code, "has left no shows/show.lock.json" in ran.out) == (1, True)
    assert runner.run("Commit the lockfile", MANIFEST="shows/show.yaml").code == 0, "it was refused before anything was asked"
    write(runner.checkout, "*.lock.json\n", ".git/info/exclude")
    write(runner.checkout, LOCKFILE, "shows/show.lock.json")
    assert runner.run("Commit the lockfile", MANIFEST="shows/show.yaml", RENDERED="success").code != 0


def test_a_ledger_that_cannot_be_asked_is_no_success(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    write(runner.checkout, LOCKFILE, "shows/show.lock.json")
    runner.program("temp/manifest-runner-render/bin/manifest-runner", "#!/bin/sh\nexit 3\n")
    ran = runner.run("Commit the lockfile", MANIFEST="shows/show.yaml")
    assert (ran.code, "may be missing" in ran.out) == (3, True)
    assert locked(origin) == {}, "what there is, is on the branch all the same"


def test_a_lockfile_that_cannot_be_pushed_is_kept_and_said(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    write(runner.checkout, LOCKFILE, "shows/show.lock.json")
    hook = origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    ran = runner.run("Commit the lockfile", MANIFEST="shows/show.yaml")
    assert (ran.code, "could not be pushed" in ran.out) == (1, True)
    assert (runner.folder / "temp" / "manifest-runner" / "show.lock.json").read_text() == LOCKFILE


def test_a_lockfile_that_conflicts_with_what_came_in_the_meantime_is_not_guessed(tmp_path: Path, origin: Path) -> None:
    runner = machine(tmp_path, origin)
    write(runner.checkout, LOCKFILE, "shows/show.lock.json")
    pushed(machine(tmp_path, origin, "other"), LOCKFILE.replace("{}", '{"A": {"takes": {}}}'), "shows/show.lock.json")
    ran = runner.run("Commit the lockfile", MANIFEST="shows/show.yaml")
    assert (ran.code, "could not be pushed" in ran.out) == (1, True)
    assert (runner.folder / "temp" / "manifest-runner" / "show.lock.json").read_text() == LOCKFILE
