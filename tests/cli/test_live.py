"""Paid renders as a user runs them, against the simulator on a port: limits, decisions, interruptions, what is said."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from tests.cli.support import run, start, write
from tests.crash.test_killed_run import books, live, simulator

ONE = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n  - {id: A, prompt: one}\n"
TWO = ONE + "  - {id: B, prompt: two}\n"
CORRELATES = '[models.kling-v3-omni]\nexternal_task_id = "correlates"\n'


def test_in_doubt_says_what_to_type_and_adopt_brings_the_clip_home(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    write(tmp_path, CORRELATES, "manifest-runner.toml")
    with simulator(tmp_path, "--replay", "correlates", "--fault", "submit:drop-after@1", pictures=False) as address:
        first = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert (first.code, "in doubt" in first.out) == (5, True)
        said = run(tmp_path, "status", "show.yaml").out
        assert "next: manifest-runner adopt show.yaml A:1 JOB_ID" in said
        assert "next: manifest-runner abandon show.yaml A:1" in said
        (job,) = books(address)["jobs"]
        assert run(tmp_path, "adopt", "show.yaml", "A:1", job["id"]).code == 0
        last = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert last.code == 0, last.out + last.err
        assert books(address)["totals"]["jobs"] == 1


def test_abandon_gives_a_take_up_and_the_next_render_submits_it_anew(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    write(tmp_path, CORRELATES, "manifest-runner.toml")
    with simulator(tmp_path, "--replay", "correlates", "--fault", "submit:drop-before@1", pictures=False) as address:
        run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert books(address)["totals"]["jobs"] == 0
        assert run(tmp_path, "abandon", "show.yaml", "A", "--release", "--yes").code == 0
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == 1


def test_there_is_nothing_to_decide_about_a_take_that_is_done_or_unknown(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    for verb in (
        ("adopt", "show.yaml", "A", "job_x"),
        ("abandon", "show.yaml", "Z:3", "--yes"),
        ("abandon", "show.yaml", "A:x", "--yes"),
    ):
        ran = run(tmp_path, *verb)
        assert ran.code == 2
    assert not (tmp_path / ".manifest-runner").exists()


def test_a_limit_that_is_too_small_says_how_far_it_goes_before_it_spends(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, pictures=False) as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", "--max-credits", "30", env=live(address))
        assert ran.code == 4
        assert "the limit of this run is 30 credits (₹30): 1 of 2 takes fit" in ran.err
        assert books(address)["totals"]["credits_charged"] == 29


def test_a_budget_for_7_of_50_shots_submits_exactly_7_and_lists_what_the_others_would_cost(tmp_path: Path) -> None:
    shots = "".join(f"  - {{id: S{number:02}, prompt: shot {number}}}\n" for number in range(1, 51))
    write(tmp_path, f"{ONE.partition('shots:')[0]}shots:\n{shots}")
    with simulator(tmp_path, "--no-clips", "--fault", "job:no-outputs") as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", "--max-credits", "210", env=live(address))
        assert ran.code == 4
        assert "the limit of this run is 210 credits (₹210): 7 of 50 takes fit" in ran.err
        found = books(address)
        sent = {job["external_task_id"].split(".")[0][-6:-3] for job in found["jobs"]}  # all at once: they arrive in any order
        assert sent == {f"S{n:02}" for n in range(1, 8)}
        assert (found["totals"]["jobs"], found["totals"]["credits_charged"]) == (7, 203)
    over = [line for line in ran.out.splitlines() if "over budget" in line]
    assert ran.out.splitlines()[-1] == "43 takes more would cost 1,247 credits (₹1,247)."
    assert over[:-1] == [f"  over budget: S{number:02} t1: needs 29 credits; 203 of 210 of this run are spent or reserved"
                         for number in range(8, 51)]
    assert "43 over budget of 50 takes. 203 credits (₹203) charged." in over[-1]


def test_a_rate_and_a_number_of_jobs_that_only_the_gateway_knows_are_kept(tmp_path: Path) -> None:
    shots = "".join(f"  - {{id: S{number:02}, prompt: shot {number}}}\n" for number in range(1, 9))
    write(tmp_path, f"{ONE.partition('shots:')[0]}shots:\n{shots}")
    with simulator(tmp_path, "--no-clips", "--fault", "job:no-outputs", "--rate", "4/s", "--concurrency", "3") as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        totals = books(address)["totals"]
        assert (totals["jobs"], totals["duplicates"]) == (8, 0)
        assert totals["throttled"] + totals["crowded"] >= 1
        assert "the gateway asks for patience: " in ran.err


def test_the_limit_of_a_run_holds_over_all_its_rounds(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, "--fault", "poll:stuck", pictures=False) as address:
        process = start(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        while books(address)["totals"]["jobs"] < 2:
            time.sleep(0.05)
        time.sleep(0.3)
        process.kill()
        process.wait()
        write(tmp_path, TWO.replace("one", "ONE").replace("two", "TWO"))
        clear(address)
        ran = run(tmp_path, "render", "show.yaml", "--yes", "--max-credits", "58", env=live(address))
        assert ran.code == 4, ran.out + ran.err
        assert books(address)["totals"]["credits_charged"] == 58


def clear(address: str) -> None:
    import urllib.request

    request = urllib.request.Request(f"{address}/_sim/faults", data=b"[]", method="POST")  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def test_a_job_without_a_clip_is_a_persons_and_render_is_offered_only_for_what_it_can_do(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, "--fault", "job:no-outputs shot=A", pictures=False) as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert "succeeded without a clip: paid for, and only the provider can say why" in ran.out
        assert [line for line in ran.err.splitlines() if line.startswith("next:")] == [
            "next: manifest-runner abandon show.yaml A:1   (gives up a job that has no clip, to buy the take again; ask the "
            "provider first)"]
        said = run(tmp_path, "status", "show.yaml")
        assert "paid for, and the gateway has no clip of it: ask the provider, or give it up" in said.out
        assert [line.partition("   (")[0] for line in said.out.splitlines() if "next:" in line] == [
            "next: manifest-runner abandon show.yaml A:1"]
        write(tmp_path, TWO + "  - {id: C, prompt: three}\n")
        assert "next: manifest-runner render show.yaml" in run(tmp_path, "status", "show.yaml").out
        clear(address)
        assert run(tmp_path, "abandon", "show.yaml", "A:1", "--yes").code == 0
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == 4


def test_one_take_that_cannot_be_finished_does_not_keep_the_rest(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    with simulator(tmp_path, "--fault", "job:no-outputs@1", pictures=False) as address:
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 1
        write(tmp_path, TWO.replace("one", "ONE"))
        run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert (tmp_path / "renders" / "show" / "B_t1.mp4").is_file()


def test_a_gateway_that_is_down_is_said_and_nothing_stays_reserved(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    ran = run(tmp_path, "render", "show.yaml", "--yes", "-q", env=live("http://127.0.0.1:9"))
    assert ran.code == 5
    assert "127.0.0.1:9" in ran.out
    assert json.loads(run(tmp_path, "status", "show.yaml", "--json").out)["reserved"] == "0"


def test_a_failed_shot_shows_the_providers_words_and_the_others_finish(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, "--fault", "job:fail=violates the rules shot=A", pictures=False) as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert ran.code == 1
        assert "violates the rules" in ran.out
        assert "1 done, 1 failed of 2 takes. 29 credits (₹29) charged." in ran.out
        assert "failed:" in run(tmp_path, "status", "show.yaml").out


def test_a_stopped_draft_is_drawn_to_its_end_by_the_next_one(tmp_path: Path) -> None:
    write(tmp_path, ONE.replace("duration: 1", "duration: 8") + "".join(f"  - {{id: B{n}, prompt: x}}\n" for n in range(5)))
    process = start(tmp_path, "render", "show.yaml", "--draft", stderr=subprocess.PIPE)
    assert process.stderr is not None
    while "submitted" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert "continue with: manifest-runner render show.yaml --draft" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    again = run(tmp_path, "render", "show.yaml", "--draft")
    assert (again.code, again.out.splitlines()[-1][-23:]) == (0, " A draft costs nothing.")


def test_a_saved_plan_is_carried_out_exactly_or_refused(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    assert run(tmp_path, "plan", "show.yaml", "--out", "plan.json").code == 0
    assert run(tmp_path, "plan", "show.yaml", "--out", "show.yaml").code == 2, "a manifest is not overwritten by its plan"
    with simulator(tmp_path, pictures=False) as address:
        write(tmp_path, ONE.replace("one", "two"))
        stale = run(tmp_path, "render", "show.yaml", "--plan", "plan.json", env=live(address))
        assert (stale.code, "file show.yaml" in stale.err) == (2, True)
        assert books(address)["totals"]["requests"] == 0
        write(tmp_path, ONE)
        assert run(tmp_path, "render", "show.yaml", "--plan", "plan.json", env=live(address)).code == 0
        assert run(tmp_path, "render", "show.yaml", "--plan", "plan.json", env=live(address)).code == 2
        assert books(address)["totals"]["jobs"] == 1


def test_two_manifests_of_one_name_do_not_share_a_lockfile(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    assert run(tmp_path, "render", "show.yaml", "--draft").code == 0
    write(tmp_path, ONE, "show.yml")
    ran = run(tmp_path, "render", "show.yml", "--draft")
    assert (ran.code, "belongs to show.yaml" in ran.err) == (2, True)


def test_a_fault_of_the_program_is_told_apart_from_a_failed_shot(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    hide = write(tmp_path, "raise ValueError('broken on purpose')\n", "hide/fastjsonschema.py")
    ran = run(tmp_path, "plan", "show.yaml", env={"PYTHONPATH": str(hide.parent)})
    assert (ran.code, "a fault of this program: ValueError: broken on purpose" in ran.err) == (3, True)
