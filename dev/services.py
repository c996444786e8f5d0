"""Which services does the product stand on, and how does it reach them?"""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import redis

from dev.binaries import Binaries, find_binaries
from dev.identity import service_user
from dev.paths import CHECKOUT
from dev.postgres.cluster import DATABASE, MIGRATION_ROLE, PORT, ROLE, postgres
from dev.program import Program
from dev.stack import Stack
from dev.state import StateFolder, held_state

__all__ = ["POOL_ADMIN", "POOL_PORT", "Services", "data_services", "open_state", "running_services"]

POOL_PORT: Final = 6432
"""Only the last part of the name of PgBouncer's socket."""
POOL_ADMIN: Final = "pgbouncer"
"""Who may connect to PgBouncer's own database of that name, for SHOW and PAUSE."""

_AFTER_POSTGRES: Final = "after-postgres"


@dataclass(frozen=True)
class Services:
    """The data services of one state folder."""

    programs: tuple[Program, ...]
    """PostgreSQL, PgBouncer and Redis, in the order of their start."""
    environment: Mapping[str, str]
    """The settings (SCORESHEET_…) by which the product's roles find them."""
    state: StateFolder
    redis_socket: Path


@contextmanager
def open_state(
    path: Path,
    report: Callable[[str], None] = print,
    needed: Iterable[Path] = (),
) -> Iterator[StateFolder]:
    """Hold the state folder of a stack for the user that its processes shall run as, making it if need be.

    `needed` are files that they must be able to read beside the checkout and its programs. Raises DevError if
    another stack has the folder.
    """
    path = path.absolute()
    path.mkdir(parents=True, exist_ok=True)
    readable = (
        *needed,
        path,
        CHECKOUT / "pyproject.toml",
        Path(sys.executable),
        Path(sys.prefix),
        *(binary.path for binary in vars(find_binaries()).values()),
    )
    with held_state(path, service_user(readable), report) as state:
        yield state


def data_services(state: StateFolder) -> Services:
    """Declare the services, setting up the data of those that have none yet."""
    binaries = find_binaries()
    redis_socket = state.run / "redis.sock"
    programs = (
        postgres(state, binaries),
        _pgbouncer(state, binaries),
        _redis(state, binaries, redis_socket),
    )
    environment = {
        "SCORESHEET_DATABASE_URL": _database_url(ROLE, state.run, POOL_PORT),
        "SCORESHEET_MIGRATION_DATABASE_URL": _database_url(MIGRATION_ROLE, state.run, PORT),
        "SCORESHEET_BROKER_URL": f"redis+socket://{redis_socket}?virtual_host=0",
        "SCORESHEET_STATE_DIR": str(state.app),
        "SCORESHEET_API_SOCKET": str(state.run / "api.sock"),
        "SCORESHEET_ENGINE_PATH": str(binaries.stockfish.path),
        **binaries.stockfish.environment,
    }
    return Services(programs, environment, state, redis_socket)


@contextmanager
def running_services(path: Path) -> Iterator[tuple[Stack, Services]]:
    """Run the data services alone on a state folder: what a session of integration tests needs."""
    with open_state(path) as state:
        services = data_services(state)
        with Stack(state, services.programs) as stack:
            yield stack, services


def _database_url(role: str, folder: Path, port: int) -> str:
    return f"postgresql+psycopg://{role}@/{DATABASE}?host={folder}&port={port}"


def _pgbouncer(state: StateFolder, binaries: Binaries) -> Program:
    folder = state.path / "pgbouncer"
    state.make(folder)
    users = folder / "users.txt"
    users.write_text(f'"{ROLE}" ""\n"{POOL_ADMIN}" ""\n')
    state.user.give(users)
    configuration = folder / "pgbouncer.ini"
    # auth_type: whoever reaches the socket, in a folder closed to everybody else, is the stack's own user (or
    # root). `peer` with a map of names, which PostgreSQL uses here, needs PgBouncer 1.23; Debian 12 has 1.18.
    configuration.write_text(f"""\
[databases]
{DATABASE} = host={state.run} port={PORT} dbname={DATABASE}

[pgbouncer]
listen_addr =
listen_port = {POOL_PORT}
unix_socket_dir = {state.run}
unix_socket_mode = 0700
auth_type = trust
auth_file = {users}
admin_users = {POOL_ADMIN}
pool_mode = transaction
default_pool_size = 16
max_client_conn = 200
; half of what a worker waits for an answer: who waits in vain gets a 503, not silence
query_wait_timeout = 8
idle_transaction_timeout = 30
max_prepared_statements = 200
server_login_retry = 1
""")
    state.user.give(configuration)
    return Program(
        name="pgbouncer",
        command=(binaries.pgbouncer.path, configuration),
        environment=binaries.pgbouncer.environment,
        ready=lambda: _pool_answers(state.run),
        stop_signal=signal.SIGINT,  # transactions may end; SIGTERM of newer versions waits for clients
        stop_limit=timedelta(seconds=5),
        side_by_side=_AFTER_POSTGRES,
    )


def _redis(state: StateFolder, binaries: Binaries, socket: Path) -> Program:
    folder = state.path / "redis"
    state.make(folder)
    configuration = folder / "redis.conf"
    # appendfsync: hints may be lost, but "everysec" would lose a second of them at every power cut.
    configuration.write_text(f"""\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
appendonly yes
appendfsync always
save ""
maxmemory 256mb
maxmemory-policy noeviction
""")
    state.user.give(configuration)
    return Program(
        name="redis",
        command=(binaries.redis.path, configuration),
        environment=binaries.redis.environment,
        ready=lambda: _redis_answers(socket),
        side_by_side=_AFTER_POSTGRES,
    )


def _pool_answers(run: Path) -> bool:
    with psycopg.connect(
        host=str(run), port=POOL_PORT, user=ROLE, dbname=DATABASE, connect_timeout=2
    ) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def _redis_answers(socket: Path) -> bool:
    with redis.Redis(unix_socket_path=str(socket), socket_timeout=2) as client:
        return bool(client.ping())
