"""The operator's settings: which place wins, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from manifest_runner.adapters.settings import DEFAULT_BASE_URL, read_settings
from manifest_runner.core.model import Rate
from manifest_runner.errors import UsageError


def user_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "home" / ".config" / "manifest-runner" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return {"HOME": str(folder / "home")}


def test_flag_then_environment_then_project_then_user_then_default(tmp_path: Path) -> None:
    env = user_file(tmp_path, 'rate = "1/s"\nconcurrency = 1\nmax-credits = 1\nframes = "inline"\n')
    (tmp_path / "manifest-runner.toml").write_text('rate = "2/s"\nconcurrency = 2\nmax-credits = 2\n')
    env |= {"MANIFEST_RUNNER_RATE": "3/s", "MANIFEST_RUNNER_CONCURRENCY": "3"}
    settings = read_settings(tmp_path, {"rate": "4/s"}, env)
    assert settings.rate() == Rate(count=4, per=1)
    assert settings.concurrency() == 3
    assert settings.credits("max-credits") == Decimal(2)
    assert settings.text("frames") == "inline"
    assert settings.text("base-url") == DEFAULT_BASE_URL
    assert [
        settings.values[name].origin.rpartition("/")[2] for name in ("rate", "concurrency", "max-credits", "frames", "base-url")
    ] == ["--rate", "MANIFEST_RUNNER_CONCURRENCY", "manifest-runner.toml", "config.toml", "default"]


def test_the_table_in_pyproject_counts_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.manifest-runner]\nmax-credits = 9\n")
    assert read_settings(tmp_path, {}, {}).credits("max-credits") == Decimal(9)


def test_an_operator_can_correct_a_model_card(tmp_path: Path) -> None:
    (tmp_path / "manifest-runner.toml").write_text('[models.kling-v3-omni]\nexternal_task_id = "correlates"\n')
    assert read_settings(tmp_path, {}, {}).models["kling-v3-omni"] == {"external_task_id": "correlates"}


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
