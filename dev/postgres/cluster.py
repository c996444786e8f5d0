"""How is the stack's PostgreSQL set up and run?"""

import re
import shutil
import signal
from collections.abc import Mapping
from datetime import timedelta
from getpass import getuser
from pathlib import Path
from typing import Final

import psycopg

from dev.binaries import Binaries
from dev.errors import DevError
from dev.program import Program
from dev.state import StateFolder

__all__ = ["DATABASE", "MIGRATION_ROLE", "PORT", "ROLE", "SUPERUSER", "postgres"]

DATABASE: Final = "scoresheet"
ROLE: Final = "scoresheet"
"""Owns the database and all in it; the product's role, through PgBouncer, with time limits."""
MIGRATION_ROLE: Final = "scoresheet_migrate"
"""Acts as ROLE from its first statement, so what it makes is ROLE's, but without the limits on time."""
SUPERUSER: Final = "postgres"
PORT: Final = 5432
"""Only the last part of the socket's name: there is no listening on TCP."""

_ROLES: Final = f"""\
CREATE ROLE {ROLE} LOGIN;
ALTER ROLE {ROLE} SET statement_timeout = '10s';
ALTER ROLE {ROLE} SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE {ROLE} SET transaction_timeout = '60s';
CREATE ROLE {MIGRATION_ROLE} LOGIN IN ROLE {ROLE};
ALTER ROLE {MIGRATION_ROLE} SET role = '{ROLE}';
CREATE DATABASE {DATABASE} OWNER {ROLE};
"""


def postgres(state: StateFolder, binaries: Binaries) -> Program:
    """Set the cluster up where there is none yet, write its configuration, and declare its server.

    Raises DevError with PostgreSQL's reason if the set-up fails.
    """
    data = state.path / "postgres"
    if not data.exists():
        _create(state, binaries, data)
    _configure(state, data)
    return Program(
        name="postgres",
        command=(binaries.postgres.path, "-D", data),
        environment=binaries.postgres.environment,
        ready=lambda: _answers(state.run),
        stop_signal=signal.SIGINT,  # "fast": ends sessions, then writes a checkpoint
        stop_limit=timedelta(seconds=30),
    )


def _create(state: StateFolder, binaries: Binaries, data: Path) -> None:
    # Complete or absent: an interrupted set-up leaves the unfinished folder, which the next one replaces.
    unfinished = state.path / "postgres.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    state.make(unfinished)
    initdb = (
        binaries.initdb.path, "--pgdata", unfinished, "--username", SUPERUSER, "--auth", "peer",
        "--encoding", "UTF8", "--no-locale", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
        "--data-checksums",
    )  # fmt: skip
    _run(state, initdb, binaries.initdb.environment)
    single = (binaries.postgres.path, "--single", "-D", unfinished, "postgres")
    # Single-user mode goes on after an error, to status 0.
    if errors := re.findall("ERROR: +(.*)", _run(state, single, binaries.postgres.environment, _ROLES)):
        raise DevError(f"PostgreSQL's roles could not be made: {errors[0]}")
    unfinished.rename(data)


def _run(
    state: StateFolder,
    command: tuple[str | Path, ...],
    environment: Mapping[str, str],
    standard_input: str = "",
) -> str:
    done = state.user.run(
        command,
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment},
        folder=state.path,
        standard_input=standard_input,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise DevError(f"{Path(command[0]).name} failed: {reason}")
    return done.stderr


def _configure(state: StateFolder, data: Path) -> None:
    """Write the server's files anew: they hold nothing but what this function says."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(state.run),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "max_connections": "60",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_lock_waits": "on",
        # Every query here is short, and not every build carries a compiler.
        "jit": "off",
    }
    lines = {
        "postgresql.conf": [f"{name} = '{value}'" for name, value in settings.items()],
        # Whoever can open the socket is one of these users of the system, who may be any of our roles.
        "pg_hba.conf": ["local all all peer map=stack"],
        "pg_ident.conf": [
            f"stack {user} {role}"
            for user in sorted({state.user.name, getuser()})
            for role in (ROLE, MIGRATION_ROLE, SUPERUSER)
        ],
    }
    for name, content in lines.items():
        path = data / name
        path.write_text("\n".join(content) + "\n")
        state.user.give(path)


def _answers(run: Path) -> bool:
    with psycopg.connect(
        host=str(run), port=PORT, user=ROLE, dbname=DATABASE, connect_timeout=2
    ) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
