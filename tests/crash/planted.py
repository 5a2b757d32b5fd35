"""Bugs that would cost money, each planted alone into a copy of the program: the suite must catch every one of them.

    python -m tests.crash.planted [NAME…]

For each bug package and tests are copied, one text in one file is replaced, and the tests that are named for it run there.
Each of them must fail, by an assertion or an error of the run and not because the code no longer loads. A bug that survives is
a missing test. `tests/crash/test_planted.py` holds that the table does not rot.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = "tests/test_engine.py::"
ORDER = "tests/crash/test_order_on_disk.py::"
TEAM = "tests/adapters/test_team_ledger.py::"
CONTRACT = "tests/contract/test_ledger_contract.py::TestSqliteLedger::"
_BROKEN = re.compile(r"^E +(?:NameError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One planted bug: in `file` the text `old`, which stands there exactly once, becomes `new`. `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str


def bug(name: str, why: str, file: str, old: str, new: str, *tests: str) -> Bug:
    return Bug(name=name, file=f"manifest_runner/{file}", old=old, new=new, tests=tests, why=why)


BUGS = (
    # ── what is on disk, and when ─────────────────────────────────────────────────────────────────────────────────────
    bug("ledger-not-synced", "a power cut forgets what was bought",
        "adapters/ledger_schema.py", 'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = OFF")',
        "tests/adapters/test_ledger.py::test_commits_are_synced",
        ORDER + "test_intent_and_body_are_synced_before_a_submission_leaves",
        ORDER + "test_after_a_power_cut_nothing_that_has_left_is_sent_again"),
    bug("post-before-intent", "killed after the POST, nobody knows of it",
        "engine/submission.py", "                if place is not None:\n                    admission = ",
        "                if place is not None:\n"
        "                    await self._outside.provider.submit(self._card.path, attempt.intent.body)\n"
        "                    admission = ",
        ORDER + "test_intent_and_body_are_synced_before_a_submission_leaves"),
    bug("job-id-saved-later", "polled and paid for, and forgotten by a kill",
        "engine/submission.py", "            if event is not None:\n",
        "            if isinstance(event, Submitted):\n"
        "                await self._outside.provider.job(event.job_id)\n"
        "            if event is not None:\n",
        ORDER + "test_a_job_id_is_synced_before_anything_more_is_asked_about_the_job"),
    bug("job-id-save-unshielded", "Ctrl-C between the POST and its record forgets a paid job",
        "engine/departure.py", "self.scope.shield = self.gone = True", "self.gone = True",
        ENGINE + "test_an_answer_that_is_on_its_way_is_heard_and_recorded_although_the_run_is_stopped"),
    bug("ledger-folder-not-synced", "a power cut forgets the folder with the ledger in it",
        "adapters/files.py", "        sync_folder(new.parent)\n", "        new.stat()\n",
        ORDER + "test_the_ledger_and_its_log_have_lasting_names_before_the_first_submission",
        ORDER + "test_after_a_power_cut_nothing_that_has_left_is_sent_again"),
    bug("lockfile-in-place", "a kill while it is written leaves half a lockfile",
        "adapters/lockwriter.py", "write_atomically(self._path, wanted)", "self._path.write_bytes(wanted)",
        ORDER + "test_a_lockfile_is_whole_on_disk_before_it_gets_its_name"),
    bug("lockfile-left-behind", "a clone without the ledger buys again what a killed run had finished",
        "cli/planner.py", "    behind = lagging(planned)\n", "    behind = lagging(planned) and {}\n",
        "tests/cli/test_commands.py::"
        "test_a_lockfile_that_a_kill_left_behind_the_ledger_is_noticed_and_caught_up_though_nothing_is_to_do"),
    bug("clip-not-synced", "the ledger says stored, and a power cut leaves an empty clip",
        "adapters/downloads.py", "await anyio.to_thread.run_sync(os.fsync, file.fileno())", "file.flush()",
        "tests/adapters/test_downloads.py::test_the_file_is_synced_before_the_fetch_returns",
        ORDER + "test_a_clip_is_on_disk_under_its_lasting_name_before_the_ledger_says_stored",
        ORDER + "test_after_a_power_cut_at_any_moment_what_the_ledger_calls_stored_is_there"),
    bug("clip-recorded-before-stored", "a download that fails is never tried again, and its clip is paid for",
        "engine/following.py", "    artifact = await bring(job.job_id, document, name, job.intent.external_task_id, outside)\n",
        "    hope = Artifact(path=name, sha256='0' * 64, bytes=0, media=None)\n"
        "    await record(job, Stored(artifacts=(hope,)), outside, tell)\n"
        "    artifact = await bring(job.job_id, document, name, job.intent.external_task_id, outside)\n",
        ENGINE + "test_a_download_that_never_works_is_kept_for_the_next_run"),
    bug("truncated-clip-taken", "half a clip is stored, and its address expires",
        "adapters/downloads.py", "if expected is not None and sink.size != expected:", "if expected is None and sink.size < 0:",
        "tests/adapters/test_downloads.py::test_a_stream_of_another_length_than_announced_is_broken"),
    bug("clip-not-looked-at", "what is no video is stored as one",
        "engine/following.py", "await outside.media.probe(scratch) if outside.media is not None else None\n", "None\n",
        ENGINE + "test_a_clip_that_cannot_be_decoded_is_fetched_again_and_never_stored"),

    # ── whether it may be sent again ──────────────────────────────────────────────────────────────────────────────────
    bug("doubt-taken-for-a-no", "a job whose answer was lost is bought again",
        "engine/submission.py", "        return InDoubt(words=error.words or error.message), None, None\n",
        "        return Refused(words=error.words or error.message), None, None\n",
        ENGINE + "test_where_ids_do_not_replay_a_lost_answer_stays_in_doubt_and_is_never_sent_again"),
    bug("sent-again-without-replay", "a killed submission is repeated where its id only labels it",
        "engine/submission.py", "            elif attempt.certain or replays:\n", "            elif True:\n",
        ENGINE + "test_where_ids_do_not_replay_what_a_killed_run_was_sending_is_in_doubt_and_never_sent"),
    bug("fresh-id-after-a-timeout", "the second submission is a second job",
        "engine/submission.py", "await outside.provider.submit(card.path, job.intent.body, departure)",
        "await outside.provider.submit(card.path, job.intent.body if certain else job.intent.body.replace(b'.a1.', b'.a9.'),\n"
        "                                                             departure)",
        ENGINE + "test_a_lost_answer_is_asked_for_again_under_the_same_id_with_the_same_bytes"),
    bug("random-ids", "without the ledger nothing finds what was bought",
        "core/requests.py", 'seed = "\\n".join((key.manifest, key.shot, str(key.take), fingerprint, str(attempt)))',
        'seed = str(object())',
        "tests/core/test_requests.py::test_an_id_does_not_change_from_release_to_release"),
    bug("fresh-bytes-on-a-retry", "other bytes under a known id are a conflict, or another job",
        "adapters/ledger_account.py", "            return self._admit_again(recorded, limits, now)\n",
        "            again = self._admit_again(recorded, limits, now)\n"
        "            fresh = isinstance(again, Admitted)\n"
        "            return replace(again, job=replace(again.job, intent=intent)) if fresh else again\n",
        CONTRACT + "test_an_intent_of_a_run_that_is_gone_is_taken_up_as_it_was_stored"),
    bug("intent-sent-by-two-runs", "two runs send one take at once",
        "adapters/ledger_account.py", "or self._is_being_sent(row):", "or self._shown is None:",
        CONTRACT + "test_an_intent_of_a_run_that_is_alive_is_its_to_send"),
    bug("given-up-while-being-sent", "what a run is sending is given up by a person and bought again beside it",
        "adapters/ledger_account.py", "isinstance(event, Abandoned) and self._is_being_sent(row)", "before is None",
        "tests/test_faults.py::test_f5_what_a_run_is_sending_cannot_be_given_up_by_a_person"),
    bug("id-kept-only-from-a-broken-ledger", "the id of a job that the states do not allow is nowhere, and it is bought again",
        "engine/submission.py", "    except ManifestRunnerError as error:  # also where the states do not allow it",
        "    except LedgerError as error:  # also where the states do not allow it",
        "tests/test_faults.py::test_f20_an_id_that_the_states_do_not_allow_is_kept_as_well"),
    bug("unrecordable-job-ignored", "a job that is paid for and that the ledger cannot take is bought again",
        "engine/recovery.py", "        except (Conflict, LedgerError, IllegalEvent) as error:\n",
        "        except (Conflict, LedgerError, IllegalEvent) as error:\n            continue\n",
        "tests/test_faults.py::test_f20_a_note_of_a_job_that_is_there_and_that_the_ledger_cannot_take_stops_everything"),
    bug("stored-clip-forgotten", "a plan that is older than the ledger buys the clip again",
        "adapters/ledger_account.py",
        " or self._books.unfinished(intent) or self._books.stored(intent)\n", " or self._books.unfinished(intent)\n",
        CONTRACT + "test_a_stored_clip_of_this_very_request_holds_the_take_and_another_request_does_not"),
    bug("server-error-taken-for-a-no", "a 500 that came after the job was made is bought again",
        "adapters/gateway.py", "if status >= 500 or status < 400 or status == 408:", "if status < 400 or status == 408:",
        "tests/adapters/test_gateway.py::test_each_answer_to_a_submission_has_one_meaning"),
    bug("no-after-a-lost-answer", "the second answer is taken for the fate of the first submission",
        "engine/submission.py", "attempt.certain = attempt.certain and not isinstance(trouble, FateUnknown)", "pass",
        ENGINE + "test_a_no_after_a_lost_answer_releases_nothing_and_is_not_bought_again"),
    bug("lockfile-believed", "a stranger's pull request names a job, and the program follows it",
        "engine/run.py", "        await self.outside.provider.job(job_id)\n", "",
        ENGINE + "test_a_lockfile_with_a_made_up_job_adopts_nothing_and_submits_nothing"),

    # ── what an answer about a job means ──────────────────────────────────────────────────────────────────────────────
    bug("released-on-404", "a job that the gateway forgets for a while is bought again",
        "engine/following.py", "self._land(watched, Missing())", 'self._land(watched, Failed(words="it is gone"))',
        ENGINE + "test_a_job_that_the_gateway_forgets_is_missing_and_never_submitted_again"),
    bug("unknown-status-taken-for-failed", "a new word of the gateway's makes the program buy again",
        "core/modelcard.py", "return card.jobs.states.get(status.strip().lower(), RemoteState.UNKNOWN)",
        "return card.jobs.states.get(status.strip().lower(), RemoteState.FAILED)",
        ENGINE + "test_a_poll_that_goes_wrong_for_a_while_costs_nothing"),
    bug("out-of-patience-taken-for-failed", "a slow job is bought again by the next run",
        "engine/following.py", "self._land(watched, None, document)", 'self._land(watched, Failed(words="too slow"), document)',
        ENGINE + "test_a_job_that_never_ends_is_left_to_a_later_run"),
    bug("estimate-taken-for-the-charge", "the books say less than was paid",
        "engine/following.py", "return Succeeded(charged=document.credits_charged,",
        "return Succeeded(charged=job.intent.reserved,",
        ENGINE + "test_what_was_charged_is_what_the_job_says_not_what_was_estimated"),

    # ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────
    bug("float-money", "sums of credits drift, and limits with them",
        "core/pricing.py", "quantity = Decimal(str(params.get(price.quantity, card.defaults[price.quantity])))",
        "quantity = Decimal(float(str(params.get(price.quantity, card.defaults[price.quantity]))))",
        "tests/core/test_pricing.py::test_a_quote_is_exact_for_every_duration_that_can_be_written"),
    bug("doubt-frees-its-credits", "what may have been bought is spent a second time",
        "core/lifecycle.py", "HOLDING = frozenset({_S.INTENDED, _S.SUBMITTED, _S.RUNNING, _S.IN_DOUBT, _S.MISSING})",
        "HOLDING = frozenset({_S.INTENDED, _S.SUBMITTED, _S.RUNNING})",
        "tests/core/test_lifecycle.py::test_in_doubt_and_missing_stay_reserved"),
    bug("a-budget-for-each-process", "four runs spend four times the limit",
        "adapters/ledger_account.py",
        "        if limits.daily_credits is not None:\n"
        "            spent = from_micro(self._books.day_spending(self._day(now)))\n",
        "        if limits.daily_credits is not None:\n"
        "            spent = from_micro(self._books.run_spending(self._run, ''))\n",
        "tests/adapters/test_ledger.py::test_four_processes_spend_one_budget_to_the_last_credit_and_not_a_credit_more"),
    bug("rate-forgotten", "four runs send as fast as they like, each slot being the first",
        "adapters/ledger_books.py", "        if found is None:\n            return Meter()\n",
        "        if found is None or self._account:\n            return Meter()\n",
        "tests/adapters/test_ledger.py::test_four_processes_share_one_rate"),
    bug("goes-on-after-402", "an account without credits is asked again and again",
        "engine/submission.py",
        "        return Refused(words=error.words or error.message) if certain else None, None, Halt(error)\n",
        "        return None, error, None\n",
        ENGINE + "test_what_ends_all_submissions_ends_them_at_once"),

    # ── a ledger for many machines ────────────────────────────────────────────────────────────────────────────────────────
    bug("team-account-not-locked", "two machines take the same slot, place and credits",
        "adapters/team_books.py", "WHERE account = ? FOR UPDATE", "WHERE account = ?",
        TEAM + "test_two_machines_decide_one_after_the_other",
        TEAM + "test_wherever_a_connection_breaks_what_was_asked_happens_once"),
    bug("team-clocks-of-their-own", "a machine whose clock is wrong sends when it likes",
        "adapters/team_ledger.py", "        return self._link.now\n", "        return self._clocks.wall()\n",
        TEAM + "test_slots_are_the_databases_and_are_told_in_the_time_of_whoever_waits"),
    bug("team-commit-not-awaited", "a database that crashes forgets what was bought",
        "adapters/team_link.py", "IN ('off', 'local') THEN 'on'", "IN ('off', 'local') THEN 'off'",
        TEAM + "test_what_was_returned_is_there_after_the_server_was_killed"),
    bug("team-commit-in-doubt-repeated", "what was recorded is recorded again, in another slot",
        "adapters/team_ledger.py", "if doubtful is not None and self._was_committed(doubtful[0]):",
        "if doubtful is not None and not doubtful[0]:",
        TEAM + "test_wherever_a_connection_breaks_what_was_asked_happens_once"),
    bug("team-doubt-taken-for-done", "what never reached the database is sent, and nobody knows of it",
        "adapters/team_ledger.py", "found[1][0][0] == token", "found[1][0][0] != token",
        TEAM + "test_wherever_a_connection_breaks_what_was_asked_happens_once"),
    bug("team-silent-taken-for-gone", "two machines send one take at once",
        "adapters/team_ledger.py", "left = max(beat + LEASE + SILENCE - self._now(), 0.0)",
        "left = max(beat + LEASE - self._now(), 0.0)",
        TEAM + "test_nobody_takes_up_what_a_silent_machine_may_still_be_sending"),
    bug("team-lease-not-heeded", "a machine that slept sends what another has taken up",
        "engine/departure.py", "if self._outside.clock.wall() > self._slot.expires:", "if self._slot.expires < 0:",
        "tests/test_departure.py::test_after_its_lease_is_over_nothing_leaves_however_often_that_happens"),
    bug("team-ended-by-who-lost-it", "the credits of what another machine is sending become free",
        "adapters/ledger_account.py", "isinstance(event, Refused) and row.sender != self._sender", "before is None",
        TEAM + "test_what_was_taken_up_cannot_be_taken_back_by_whoever_had_it_before"),
    bug("team-released-after-it-was-taken-up", "what another machine may have sent is released once that one has gone",
        "adapters/ledger_account.py", "row.sender != self._sender)  # whoever", "self._is_being_sent(row))  # whoever",
        TEAM + "test_what_was_taken_up_cannot_be_taken_back_by_whoever_had_it_before"),
    bug("team-amnesia-forgotten", "books that lack what they had confirmed are told once, and written in by whoever comes next",
        "adapters/team_ledger.py", "or self._unfit is not None:", "or self._link is None:",
        TEAM + "test_books_that_are_not_what_they_were_stop_every_operation_from_then_on"),
    bug("team-pause-taken-back", "a take that is over its budget erases the pause that the gateway has asked for",
        "adapters/team_ledger.py", "self._team.meter() if self._link.is_open else None", "self._team.meter()",
        TEAM + "test_an_operation_that_fails_takes_back_no_pause_that_another_machine_has_heard_of"),
    bug("team-amnesia-ignored", "a standby that lagged behind took over, and what it forgot is bought again",
        "adapters/team_ledger.py", "if self._team.changes < self._seen:", "if self._team.changes < 0:",
        TEAM + "test_what_was_lost_or_changed_by_hand_stops_everything"),

    # ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────────
    bug("key-sent-to-the-cdn", "whoever serves the clips can spend the account",
        "adapters/downloads.py", '"Accept": "*/*",\n',
        '"Accept": "*/*", "X-API-Key": os.environ.get("TRINETRA_API_KEY", "x"),\n',
        "tests/adapters/test_downloads.py::test_a_request_carries_no_credential_and_asks_for_plain_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What became of a bug: caught, or the words for why not."""

    bug: Bug
    trouble: str = ""


def occurrences(planted: Bug) -> int:
    """How often the text that is replaced stands in its file."""
    return (ROOT / planted.file).read_text(encoding="utf-8").count(planted.old)


def hunt(planted: Bug) -> Hunt:
    """Plant a bug into a copy and run the tests that must catch it."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        copy = Path(name)
        for part in ("manifest_runner", "tests", "schemas"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("manifests", "pyproject.toml"):
            (copy / part).symlink_to(ROOT / part)
        file = copy / planted.file
        file.write_text(file.read_text(encoding="utf-8").replace(planted.old, planted.new), encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-rf", "-p", "no:xdist", *planted.tests], cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, timeout=600, check=False)
    return Hunt(bug=planted, trouble=_trouble(planted, ran.returncode, ran.stdout + ran.stderr))


def _trouble(planted: Bug, code: int, said: str) -> str:
    """Why these tests have not caught the bug, or nothing."""
    if code not in (0, 1) or _BROKEN.search(said):
        return f"the tests did not run: {said[-1500:]}"
    failed = re.findall(r"^FAILED (\S+?)(?:\[| |$)", said, re.MULTILINE)
    quiet = [test for test in planted.tests if test not in failed]
    return f"survived {', '.join(quiet)}" if quiet else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="planted bugs")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    chosen = [planted for planted in BUGS if not asked.names or planted.name in asked.names]
    with ThreadPoolExecutor(asked.workers) as pool:
        hunts = []
        for found in pool.map(hunt, chosen):
            hunts.append(found)
            print(f"{'caught' if not found.trouble else 'NOT CAUGHT':10}  {found.bug.name}: {found.bug.why}", flush=True)
            if found.trouble:
                print(f"            {found.trouble}", flush=True)
    caught = sum(not found.trouble for found in hunts)
    print(f"{caught} of {len(hunts)} planted bugs caught")
    return 0 if hunts and caught == len(hunts) else 1


if __name__ == "__main__":
    sys.exit(main())
