"""Environments of their own for what `make bench` compares, below `.bench/`: the peers, and a wheel of this checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
PEERS = ("ninja", "doit", "snakemake", "dvc", "openjd-cli")
PINNED = ROOT / "benchmarks" / "constraints.txt"
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def _environment(name: str) -> tuple[Path, Path]:
    """A virtual environment with a pip of today, made where there is none: its folder and its interpreter."""
    folder = BENCH / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        # what an old pip writes as a console script imports more than the program does
        if subprocess.run([python, *PIP, "install", "--upgrade", "pip", "-c", PINNED], check=False).returncode:
            print("pip stays as old as it is: --version will seem slower than it is", file=sys.stderr)
    return folder, python


def install_peers() -> Path:
    """The peers at their pinned versions; the folder of their programs. One that cannot be had is left out, and said to be
    missing by whoever asks for it."""
    folder, python = _environment("peers")
    mark, wanted = folder / ".ready", hashlib.sha256(PINNED.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        print("installing the peers", flush=True)
        install: list[str | Path] = [python, *PIP, "install", "-c", PINNED]
        if subprocess.run([*install, *PEERS], check=False).returncode == 0:
            mark.write_text(wanted)
            return python.parent
        for name in PEERS:
            if subprocess.run([*install, name], check=False).returncode:
                print(f"{name} cannot be installed: it will be missing", file=sys.stderr)
    return python.parent


def install_ours() -> Path:
    """A wheel of this checkout and what it needs, at the versions of the tests; the interpreter that has it."""
    _, python = _environment("ours")
    wheels = BENCH / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    print("building and installing a wheel", flush=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (wheel,) = wheels.glob("*.whl")
    install: list[str | Path] = [python, *PIP, "install", "-c", ROOT / "constraints.txt"]
    again = [*install, "--force-reinstall", "--no-deps", wheel]  # the version stays, the code does not
    for command in ([*install, f"{wheel}[video,sim,fast]"], again):
        if subprocess.run(command, check=False).returncode:
            raise SystemExit("the wheel, or what it needs, cannot be installed: nothing is measured")
    return python


def version_in(python: Path, package: str) -> str:
    """The version of a package in an environment."""
    code = "import sys\nfrom importlib.metadata import version\nprint(version(sys.argv[1]))"
    ran = subprocess.run([python, "-c", code, package], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "missing"
