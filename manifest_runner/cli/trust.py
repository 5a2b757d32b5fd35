"""Stops before a key is read or a port is opened where only the repository says to whom, and says how the operator would."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from manifest_runner.adapters.secrets import gateway_address
from manifest_runner.adapters.settings import DEFAULT_BASE_URL, OPERATORS_OWN, VARIABLES, Claim, Settings
from manifest_runner.core.model import Diagnostic
from manifest_runner.errors import InvalidInput, UsageError

_FLAGS = (*(name for name in OPERATORS_OWN if name != "ledger"), "state-dir")
"""A ledger has no flag: its address may hold a password, which everybody on the machine would see."""


def refuse_claims(settings: Settings, only: Collection[str] | None = None) -> None:
    """Raise `InvalidInput` with a diagnostic for each claim of the repository's (of those that are named `only`)."""
    claims = [claim for claim in settings.claims if only is None or claim.name in only]
    if claims:
        raise InvalidInput([_diagnostic(claim, settings) for claim in claims],
                           texts={claim.source.path: claim.text for claim in claims})


def check_gateway(settings: Settings) -> None:
    """Raise `UsageError` for a gateway's address that no key may be sent to, before there is a key."""
    address = settings.values["base-url"]
    if address.value == "":
        raise UsageError(f"the gateway's address is set and empty ({address.origin})", code="bad-address",
                         hint=f"take the setting away for {DEFAULT_BASE_URL}, or give it the address that is meant")
    gateway_address(address.value or "")


def _diagnostic(claim: Claim, settings: Settings) -> Diagnostic:
    ways = []
    if claim.name in _FLAGS:
        ways.append(f"add --{claim.name} {shlex.quote(claim.value)}")
    if VARIABLES.get(claim.name):
        ways.append(f"export {VARIABLES[claim.name]}={shlex.quote(claim.value)}")
    if settings.user_file:
        ways.append(f"write into {settings.user_file}: {claim.line}")
    return Diagnostic(
        code="claimed-setting", source=claim.source,
        message=f"the repository sets {claim.name} to {claim.value!r}, which only whoever runs the program may decide",
        hint=f"nothing was read or sent. Where it is right, say it outside the repository: {'; or '.join(ways)}")
