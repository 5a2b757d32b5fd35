"""The built wheel, apart from the checkout: what users install is what is tested."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from manifest_runner.views.report import PARTS
from tests.cli.support import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_installed(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(folder), "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "manifest_runner", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_wheel_carries_schemas_cards_and_the_type_marker(installed: Path) -> None:
    package = installed / "manifest_runner"
    assert (package / "py.typed").is_file()
    assert (package / "schemas" / "models" / "kling-v3-omni.yaml").is_file()
    assert {path.name for path in (package / "schemas").glob("*.json")} == {
        "manifest.schema.json",
        "lockfile.schema.json",
        "plan.schema.json",
        "model-card.schema.json",
    }


def test_the_wheel_carries_every_part_of_the_review_page(installed: Path, tmp_path: Path) -> None:
    assert {path.name for path in (installed / "manifest_runner" / "views" / "page").iterdir()} == set(PARTS)
    run_installed(installed, tmp_path, "init")
    assert run_installed(installed, tmp_path, "report", "shots.yaml").returncode == 0
    assert "<!doctype html>" in (tmp_path / "renders" / "shots.report.html").read_text()


def test_the_wheel_holds_no_tests_and_no_manifests(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if "dist-info" not in path.name} == {"manifest_runner"}


def test_the_installed_program_starts_validates_and_plans(installed: Path, tmp_path: Path) -> None:
    probe = "import manifest_runner; print(manifest_runner.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.startswith(str(installed)), "the checkout was tested instead of the wheel"
    assert run_installed(installed, tmp_path, "init").returncode == 0
    assert run_installed(installed, tmp_path, "plan", "shots.yaml").stdout.splitlines()[-1] == (
        "Plan: 2 to render, 0 kept. 290 credits (₹290)."
    )
    assert "kling-v3-omni" in run_installed(installed, tmp_path, "models").stdout
    assert '"$schema"' in run_installed(installed, tmp_path, "schema", "lockfile").stdout


def test_without_the_extras_a_draft_says_which_one_is_missing(installed: Path, tmp_path: Path) -> None:
    run_installed(installed, tmp_path, "init")
    hide = tmp_path / "hide"
    hide.mkdir()
    for name in ("av", "PIL", "starlette"):
        (hide / f"{name}.py").write_text("raise ImportError('not installed')\n")
    env = {**environment(tmp_path), "PYTHONPATH": f"{hide}:{installed}"}
    ran = subprocess.run(
        [sys.executable, "-m", "manifest_runner", "render", "shots.yaml", "--draft"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert "pip install 'manifest-runner[" in ran.stderr
    assert "Traceback" not in ran.stderr
