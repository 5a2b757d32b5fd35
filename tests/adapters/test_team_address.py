"""What is an address of a team's ledger, and what of it may be shown."""

from __future__ import annotations

import pytest

from manifest_runner.adapters.secrets import without_secrets
from manifest_runner.adapters.team_address import TeamAddress, is_encrypted_by_choice, redacted
from manifest_runner.errors import UsageError

SECRET = "canary-p%40ss-4711-0815"
PLAIN = "canary-p@ss-4711-0815"


@pytest.mark.parametrize(("url", "shown", "is_local"), [
    (f"postgresql://studio:{SECRET}@db.example:5432/ledger", "db.example:5432/ledger", False),
    (f"postgres://studio:{SECRET}@db.example/ledger?sslmode=verify-full", "db.example/ledger", False),
    (f"postgresql://studio:{SECRET}@a.example:1,b.example:2/ledger", "a.example:1,b.example:2/ledger", False),
    (f"postgresql://studio:{SECRET}@127.0.0.1,b.example/ledger", "127.0.0.1,b.example/ledger", False),
    (f"postgresql://studio:{SECRET}@[::1]:5432/ledger", "[::1]:5432/ledger", True),
    (f"postgresql://studio:{SECRET}@localhost/ledger", "localhost/ledger", True),
    (f"postgresql://studio@/ledger?host=%2Frun%2Fpostgresql&password={SECRET}", "/run/postgresql/ledger", True),
    (f"postgresql://studio:{SECRET}@%2Frun%2Fpostgresql/ledger", "/run/postgresql/ledger", True),
    (f"postgresql://db.example?dbname=ledger&user=studio&password={SECRET}", "db.example/ledger", False),
    (f"postgresql://studio:{SECRET}@db.example", "db.example/studio", False),
    (f"postgresql:///ledger?hostaddr=10.1.2.3&password={SECRET}", "10.1.2.3/ledger", False),
    (f"postgresql:///ledger?service=prod&password={SECRET}", "localhost/ledger", False),
])
def test_hosts_and_database_are_shown_and_nothing_else(url: str, shown: str, is_local: bool) -> None:
    address = TeamAddress.of(url)
    assert (address.shown, address.is_local) == (shown, is_local)
    assert redacted(url) == f"postgresql://{shown}"
    for text in (repr(address), redacted(url), without_secrets(f"it was {PLAIN} or {SECRET}")):
        assert SECRET not in text
        assert PLAIN not in text


@pytest.mark.parametrize("url", [
    f"mysql://studio:{SECRET}@db.example/ledger", f"studio:{SECRET}@db.example/ledger", f"postgresql:studio:{SECRET}",
    f"postgresql://studio:{SECRET}@db.example/led\nger", f"postgresql://studio:{SECRET}@[db.example/ledger",
    f"postgresql://studio:{SECRET}@db.example/ledger#x", "sqlite:///x",
])
def test_what_is_no_address_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        TeamAddress.of(url, "MANIFEST_RUNNER_LEDGER")
    assert "canary" not in f"{caught.value.message} {caught.value.hint} {redacted(url)}"
    assert "MANIFEST_RUNNER_LEDGER" in caught.value.message
    assert redacted("") == ""


def test_a_connection_to_another_machine_is_encrypted_unless_somebody_has_said_how() -> None:
    far = TeamAddress.of("postgresql://db.example/ledger")
    assert not is_encrypted_by_choice(far, {})
    assert is_encrypted_by_choice(far, {"PGSSLMODE": "disable"})
    assert is_encrypted_by_choice(TeamAddress.of("postgresql://db.example/ledger?sslmode=verify-full"), {})
    assert is_encrypted_by_choice(TeamAddress.of("postgresql:///ledger"), {})


@pytest.mark.parametrize(("url", "environ", "chosen"), [
    ("postgresql:///ledger", {}, True), ("postgresql:///ledger", {"PGHOST": "db.example"}, False),
    ("postgresql:///ledger", {"PGSERVICE": "prod"}, False), ("postgresql://localhost/ledger", {"PGHOST": "db.example"}, True),
    ("postgresql:///ledger", {"PGHOST": "db.example", "PGSSLMODE": "verify-full"}, True),
])
def test_a_host_that_the_environment_names_is_another_machine(url: str, environ: dict[str, str], chosen: bool) -> None:
    assert is_encrypted_by_choice(TeamAddress.of(url), environ) == chosen
