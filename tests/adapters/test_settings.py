"""The operator's settings: which place wins, and what is refused."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters.settings import DEFAULT_BASE_URL, RUN_VARIABLE, read_settings, run_name
from manifest_runner.adapters.settings_files import toml_line
from manifest_runner.cli.trust import check_gateway
from manifest_runner.core.model import Rate
from manifest_runner.errors import UsageError


def user_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "home" / ".config" / "manifest-runner" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return {"HOME": str(folder / "home")}


def test_flag_then_environment_then_project_then_user_then_default(tmp_path: Path) -> None:
    env = user_file(tmp_path, 'rate = "1/s"\nconcurrency = 1\nmax-credits = 2\nframes = "store"\ndaily-credits = 7\n')
    (tmp_path / "manifest-runner.toml").write_text('rate = "2/s"\nconcurrency = 2\nmax-credits = 1\nframes = "inline"\n')
    env |= {"MANIFEST_RUNNER_RATE": "3/s", "MANIFEST_RUNNER_CONCURRENCY": "3"}
    settings = read_settings(tmp_path, {"rate": "4/s"}, env)
    assert settings.rate() == Rate(count=4, per=1)
    assert settings.concurrency() == 3
    assert settings.credits("max-credits") == Decimal(1)
    assert settings.credits("daily-credits") == Decimal(7)
    assert settings.text("frames") == "inline"
    assert settings.text("base-url") == DEFAULT_BASE_URL
    assert [
        settings.values[name].origin.rpartition("/")[2]
        for name in ("rate", "concurrency", "frames", "daily-credits", "base-url")
    ] == ["--rate", "MANIFEST_RUNNER_CONCURRENCY", "manifest-runner.toml", "config.toml", "default"]


def test_the_table_in_pyproject_counts_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.manifest-runner]\nmax-credits = 9\n")
    assert read_settings(tmp_path, {}, {}).credits("max-credits") == Decimal(9)


def test_an_operator_can_correct_a_model_card(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text('[models.kling-v3-omni]\nexternal_task_id = "correlates"\n')
    assert read_settings(tmp_path, {}, {}).models["kling-v3-omni"] == {"jobs": {"external_task_id": "correlates"}}


@pytest.mark.parametrize("value", ["-1", "many", "NaN", "1e999999999", "Infinity"])
def test_credits_that_are_no_amount_are_refused_with_their_origin(tmp_path: Path, value: str) -> None:
    settings = read_settings(tmp_path, {}, {"MANIFEST_RUNNER_MAX_CREDITS": value})
    with pytest.raises(UsageError, match="MANIFEST_RUNNER_MAX_CREDITS"):
        settings.credits("max-credits")


@pytest.mark.parametrize("value", ["0", "1001", "-3", "2.5", "eight", "٣"])
def test_concurrency_that_is_no_count_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="concurrency"):
        read_settings(tmp_path, {"concurrency": value}, {}).concurrency()


@pytest.mark.parametrize("value", ["30", "30/day", "0/min", "-1/s", "1/s\n"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError):
        read_settings(tmp_path, {"rate": value}, {}).rate()


def test_a_configuration_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text("rate = = 3")
    with pytest.raises(UsageError, match=r"manifest-runner\.toml"):
        read_settings(tmp_path, {}, {})


# ── what a repository only claims ─────────────────────────────────────────────────────────────────────────────────────

EVIL = "https://evil.example"
WORDS = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.mark.parametrize(("name", "value"), [
    ("base-url", EVIL), ("callback-url", EVIL), ("listen", "0.0.0.0:80"), ("key-file", "/etc/hostname"),
    ("state-dir", "/var/tmp/x"),
    ("state-dir", "../x"), ("state-dir", "."), ("state-dir", ".git"), ("state-dir", ".git/objects"), ("state-dir", "link/x"),
    ("state-dir", "x\0"),
])
@pytest.mark.parametrize("file", ["manifest-runner.toml", "pyproject.toml"])
def test_what_only_the_operator_decides_is_a_claim_with_its_place_and_not_in_force(
        tmp_path: Path, file: str, name: str, value: str) -> None:
    (tmp_path / "link").symlink_to("/var/tmp")
    table = "[tool.manifest-runner]" if file == "pyproject.toml" else ""
    (tmp_path / file).write_text(f"# {name}\n{table}\nrate = '1/s'\n{name} = {json.dumps(value)}\n")
    settings = read_settings(tmp_path, {}, {})
    [claim] = settings.claims
    assert (claim.name, claim.value, claim.source.line) == (name, value, 4)
    assert claim.source.path == str(tmp_path / file)
    assert settings.text(name) == (DEFAULT_BASE_URL if name == "base-url" else None)
    assert settings.rate() == Rate(count=1, per=1)


@pytest.mark.parametrize("how", ["flag", "environment", "user"])
def test_an_operator_who_says_the_same_or_something_else_has_decided(tmp_path: Path, how: str) -> None:
    (tmp_path / "manifest-runner.toml").write_text(f'base-url = "{EVIL}"\n')
    env = user_file(tmp_path, f'base-url = "{EVIL}"\n') if how == "user" else {}
    env |= {"MANIFEST_RUNNER_BASE_URL": "https://own.example"} if how == "environment" else {}
    settings = read_settings(tmp_path, {"base-url": EVIL} if how == "flag" else {}, env)
    assert settings.claims == ()
    assert settings.text("base-url") == ("https://own.example" if how == "environment" else EVIL)


def test_another_value_in_the_users_own_file_leaves_a_claim_to_be_decided(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text(f'base-url = "{EVIL}"\n')
    settings = read_settings(tmp_path, {}, user_file(tmp_path, 'base-url = "https://own.example"\n'))
    assert [claim.value for claim in settings.claims] == [EVIL]
    assert settings.text("base-url") == "https://own.example"


def test_a_state_folder_inside_the_repository_is_meant_from_its_root(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text('state-dir = "work/state"\n')
    settings = read_settings(tmp_path, {}, {})
    assert (settings.text("state-dir"), settings.claims) == (str(tmp_path / "work/state"), ())


def test_the_repository_raises_prices_and_only_its_operator_lowers_them(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text('[models.kling-v3-omni.price.table]\n"720p" = 25\n"1080p" = 50\n')
    settings = read_settings(tmp_path, {}, {})
    assert settings.models["kling-v3-omni"] == {"price": {"table": {"1080p": 50}}}
    [claim] = settings.claims
    assert (claim.name, claim.value, claim.source.line) == ("models.kling-v3-omni.price.table.720p", "25", 2)
    assert tomllib.loads(claim.line) == {"models": {"kling-v3-omni": {"price": {"table": {"720p": 25}}}}}
    settings = read_settings(tmp_path, {}, user_file(tmp_path, claim.line))
    assert settings.claims == ()
    assert settings.models["kling-v3-omni"] == {"price": {"table": {"720p": 25, "1080p": 50}}}


@pytest.mark.parametrize("name", ["BASE_URL", "MAX_CREDITS", "DAILY_CREDITS", "RATE", "CONCURRENCY"])
def test_a_variable_that_is_set_and_empty_is_no_silent_default_where_money_hangs_on_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "manifest-runner.toml").write_text('rate = "1/s"\nconcurrency = 1\n')
    settings = read_settings(tmp_path, {}, {f"MANIFEST_RUNNER_{name}": ""})
    with pytest.raises(UsageError):
        (check_gateway(settings), settings.credits("max-credits"), settings.credits("daily-credits"), settings.rate(),
         settings.concurrency())


@pytest.mark.parametrize("address", ["", "ftp://a.example", "http://a.example", "https://k@a.example", "https://a.example?x",
                                     "a.example", "https://a.example#f"])
def test_an_address_that_no_key_may_go_to_is_refused_before_there_is_a_key(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="address"):
        check_gateway(read_settings(tmp_path, {"base-url": address}, {}))


@pytest.mark.parametrize("text", [
    "a = " + "[" * 100_000, "models = 3", "models.kling-v3-omni = 3", "rate = {a = 1}", "base-url = true", "base-url = [1]",
    "x" * 2_000_000, "\x00", "max-credits = 2026-11-22",
])
def test_whatever_a_repositorys_configuration_holds_the_worst_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest-runner.toml").write_text(text)
    with pytest.raises(UsageError, match=r"manifest-runner\.toml"):
        read_settings(tmp_path, {}, {})


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nmanifest-runner = 3", "tool = [{manifest-runner = 1}]"])
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match="must be a table"):
        read_settings(tmp_path, {}, {})


@given(WORDS, WORDS | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_the_line_for_the_users_own_file_says_exactly_that(name: str, value: object) -> None:
    assert tomllib.loads(toml_line(("models", name), value)) == {"models": {name: value}}


@pytest.mark.parametrize("line", [
    *(f"models.kling-v3-omni.price.table.720p = {number}" for number in ("nan", "inf", "-inf", "1e400", "0x" + "f" * 5000)),
    "models.kling-v3-omni.clip = [{ tolerance = nan }]", "concurrency = 0x" + "f" * 5000,
], ids=lambda line: line[:50])
def test_what_nobody_can_calculate_with_is_no_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "manifest-runner.toml").write_text(line)
    with pytest.raises(UsageError) as raised:
        read_settings(tmp_path, {}, {})
    assert raised.value.code == "settings-syntax"


@pytest.mark.parametrize(("said", "name"), [({}, None), ({RUN_VARIABLE: ""}, None), ({RUN_VARIABLE: " make-1 "}, "make-1")])
def test_a_run_that_somebody_has_named(said: dict[str, str], name: str | None) -> None:
    assert run_name(said) == name


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", "a\x1b[2Jb", "a\udc80"])
def test_what_is_no_name_of_a_run_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=RUN_VARIABLE):
        run_name({RUN_VARIABLE: name})
