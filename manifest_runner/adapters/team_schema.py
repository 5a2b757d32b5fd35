"""The tables of the team's ledger: how they come to be, which version they have, and what the least privileged role may do.

Laws:

- Versions go forward only, whole or not at all, and one at a time however many programs begin at once (a lock that ends with
  its transaction). A schema that is newer than this program is refused: it could misread what is reserved.
- Tables mean what those of `ledger_schema.py` mean; `SHARES` there is the one definition of the tallies here, too. Texts are
  compared byte by byte, so that every database sorts them alike.
- A role that only uses the ledger cannot delete or rewrite what was bought: of jobs it may change what changes, of requests
  and the trail nothing.
"""

from __future__ import annotations

from manifest_runner.adapters.ledger_books import CHANGING

SCHEMA = "manifest_runner"
VERSION = 1
"""Raised with every change of the tables."""

GATE = 0x4D524C47
"""The lock under which tables are made and changed."""

# Not by `to_regclass`: after a wait for the lock that may still tell what was so before it.
IS_THERE = f"""EXISTS (SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = '{SCHEMA}' AND relname = 'ledger_version')"""

# `accounts` holds what one admission at a time may read and change; its row is the lock of an account. `changes` counts what
# was committed: a database that shows a smaller number than before has lost something. `senders` says who is alive: `beat` is
# the last time that was heard of one, `token` its latest transaction. `error` is a JSON text: what a gateway says may hold any
# character.
_CHANGES = {
    1: """
CREATE TABLE ledger_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
CREATE TABLE accounts (
  account text COLLATE "C" PRIMARY KEY, changes bigint NOT NULL DEFAULT 0,
  slot double precision, paused_at double precision NOT NULL DEFAULT 0, pause double precision NOT NULL DEFAULT 0,
  gap double precision NOT NULL DEFAULT 0, since double precision NOT NULL DEFAULT 0, sent integer NOT NULL DEFAULT 0,
  peak double precision, slowed_at double precision NOT NULL DEFAULT 0, calm integer NOT NULL DEFAULT 0, places integer,
  crowded_at double precision NOT NULL DEFAULT 0, easy integer NOT NULL DEFAULT 0, late text NOT NULL DEFAULT '[]'
) WITH (fillfactor = 50);
CREATE TABLE senders (
  account text COLLATE "C" NOT NULL REFERENCES accounts, sender text COLLATE "C" NOT NULL, run text NOT NULL, who text NOT NULL,
  place text NOT NULL, since double precision NOT NULL, beat double precision NOT NULL, token text NOT NULL DEFAULT '',
  PRIMARY KEY (account, sender)
) WITH (fillfactor = 50);
CREATE TABLE jobs (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, touched double precision NOT NULL,
  account text COLLATE "C" NOT NULL REFERENCES accounts, external_task_id text COLLATE "C" NOT NULL,
  manifest text COLLATE "C" NOT NULL, shot text COLLATE "C" NOT NULL, take bigint NOT NULL, attempt bigint NOT NULL,
  run text COLLATE "C" NOT NULL, sender text COLLATE "C" NOT NULL, settled_by text COLLATE "C" NOT NULL, day text NOT NULL,
  state text NOT NULL, fingerprint text NOT NULL,
  reserved bigint NOT NULL CHECK (reserved >= 0), charged bigint CHECK (charged >= 0),
  job_id text, error text NOT NULL, artifacts text NOT NULL, seal bytea NOT NULL, who text NOT NULL,
  UNIQUE (account, external_task_id)
) WITH (fillfactor = 80);
CREATE TABLE requests (
  seq bigint PRIMARY KEY REFERENCES jobs, model text NOT NULL, params text NOT NULL, body bytea NOT NULL
);
CREATE TABLE events (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account text COLLATE "C" NOT NULL REFERENCES accounts,
  external_task_id text COLLATE "C", kind text NOT NULL, at double precision NOT NULL, detail text NOT NULL,
  FOREIGN KEY (account, external_task_id) REFERENCES jobs (account, external_task_id)
);
CREATE TABLE tallies (
  account text COLLATE "C" NOT NULL, scope text NOT NULL, name text COLLATE "C" NOT NULL, part text COLLATE "C" NOT NULL,
  cost bigint NOT NULL, held bigint NOT NULL, flying bigint NOT NULL, PRIMARY KEY (account, scope, name, part)
) WITH (fillfactor = 50);
CREATE TABLE waiters (
  account text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, again integer NOT NULL, since double precision NOT NULL,
  ready double precision NOT NULL, holds double precision NOT NULL, places integer, who text NOT NULL,
  PRIMARY KEY (account, name)
) WITH (fillfactor = 50);
CREATE INDEX jobs_by_take ON jobs (account, manifest, shot, take, attempt);
CREATE INDEX jobs_by_state ON jobs (account, state, touched);
CREATE INDEX events_by_kind ON events (account, kind, seq);
""",
}


def changes(since: int) -> list[str]:
    """The statements that bring tables of a version (0: there are none) to this one, with the search path on the schema."""
    found = [statement.strip() for version in range(since + 1, VERSION + 1) for statement in _CHANGES[version].split(";")]
    if since == 0:
        found.append(f"INSERT INTO ledger_version (version) VALUES ({VERSION})")  # noqa: S608 - a number of ours
    else:
        found.append(f"UPDATE ledger_version SET version = {VERSION}")  # noqa: S608 - as above
    return [statement for statement in found if statement]


def script(role: str) -> str:
    """What an administrator runs once, with psql, so that `role` (letters, digits and _) may use a ledger that it does not own;
    safe to run again."""
    body, allowed = ";\n".join(changes(0)), ";\n".join(grants(role))
    return f"""\
-- The team's ledger of manifest-runner, version {VERSION}: run by whoever may create a schema in this database. Once is enough.
\\set ON_ERROR_STOP on
BEGIN;
SELECT pg_advisory_xact_lock({GATE});
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
SET LOCAL search_path = {SCHEMA}, pg_temp;
SELECT NOT {IS_THERE} AS is_new \\gset
\\if :is_new
{body};
\\endif
-- The role that every machine logs in with. It has no password here: \\password {role}
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') AS is_new \\gset
\\if :is_new
CREATE ROLE {role} LOGIN;
\\endif
{allowed};
COMMIT;
"""  # noqa: S608 - numbers and names of ours, and a role of letters and digits


def grants(role: str) -> list[str]:
    """What a role needs that uses the ledger and does not own it, and nothing more."""
    return [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}",
        f"GRANT INSERT ON accounts, senders, jobs, requests, events, tallies, waiters TO {role}",
        f"GRANT UPDATE ON accounts, senders, tallies, waiters TO {role}",
        f"GRANT UPDATE ({', '.join(CHANGING)}) ON jobs TO {role}",
        f"GRANT DELETE ON senders, waiters TO {role}",
    ]
