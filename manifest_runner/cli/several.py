"""One command for several manifests, as hooks call it: a mistake in one keeps none of the others from its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manifest_runner.core.model import Diagnostic
from manifest_runner.errors import ExitCode, InvalidInput


def each(manifests: Sequence[str], deal: Callable[[str], int]) -> int:
    """Deal with every manifest; the worst exit code counts. Raises one `InvalidInput` with the mistakes of all, at the end."""
    worst, found, texts, commands = int(ExitCode.DONE), list[Diagnostic](), dict[str, str](), list[str]()
    for manifest in manifests:
        try:
            worst = max(worst, deal(manifest))
        except InvalidInput as error:
            found += error.diagnostics
            commands += error.next_commands
            for path, text in error.texts.items():  # two manifests may call different files by one name: no line is better
                texts[path] = text if texts.get(path, text) == text else ""
    if found:
        raise InvalidInput(found, texts=texts, next_commands=commands)
    return worst
