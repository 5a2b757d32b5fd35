"""The door. `--version` answers before anything is imported, since editors and CI ask for it often."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program and end the process with its exit code."""
    if sys.argv[1:] == ["--version"]:
        from manifest_runner import __version__

        sys.stdout.write(f"manifest-runner {__version__}\n")
        return
    from manifest_runner.cli.outputs import mend  # whoever imports this module keeps their outputs as they are

    mend()
    import gc

    gc.disable()  # a command is short-lived and builds large trees; the collector would only walk them (render turns it on)
    if sys.argv[1:2] in (["plan"], ["render"]):
        from manifest_runner.cli.footing import say_at_once  # before anything that is heavy: it may be all that is needed

        if (code := say_at_once(sys.argv[1:])) is not None:
            sys.exit(code)
    from manifest_runner.adapters.confined_start import start_ahead  # as early as can be: it starts while we import the rest

    start_ahead(sys.argv[1:])
    from manifest_runner.cli.main import run  # here, so that --version imports no click

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
