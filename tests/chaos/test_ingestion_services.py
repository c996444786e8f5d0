"""Is every game stored, once, when Redis, PostgreSQL or PgBouncer fail, freeze or forget at any moment?"""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Final

import psycopg
import pytest
from psycopg.rows import dict_row
from redis.exceptions import OutOfMemoryError

from dev.postgres.cluster import DATABASE, ROLE
from dev.services import POOL_ADMIN, POOL_PORT
from tests.chaos.streams import drawn_lines, flow_on, let_all_go, reach_line, streaming_player
from tests.e2e.harness import Player, System
from tests.fakes.lichess import Outcome

_AWAY: Final = '"database_unavailable"'
_ASKED: Final = ("observations", "seen")
"""Ends of the paths by which consumers and the producer report."""
_RETRIES: Final = 3


def _flush_redis(system: System) -> None:
    with system.redis() as client:
        client.flushall()


def _freeze_redis(system: System) -> None:
    # Until the lock of the gate lapses without a heartbeat, and its holder leaves Lichess.
    asking = _wait_for_request(system)
    with _frozen(system.stack.pid("redis")):
        _wait_until_left(system, asking)


def _fill_redis(system: System) -> None:
    # It refuses whatever would take memory: tasks, locks and heartbeats.
    asking = _wait_for_request(system)
    with system.redis() as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(OutOfMemoryError):
                client.set("anything", "more")
            flow_on(system)  # the next game can't be sent on
            _wait_until_left(system, asking)
        finally:
            client.config_set("maxmemory", "256mb")


def _stop_postgres_immediately(system: System) -> None:
    system.stack.kill("postgres", signal.SIGQUIT)


def _terminate_sessions(system: System) -> None:
    system.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", ROLE)


def _pause_pool(system: System) -> None:
    with _pool_admin(system) as admin:
        admin.execute(f"PAUSE {DATABASE}".encode())
        system.wait_until(lambda: _clients_waiting(admin), "somebody waits for the pool")
        admin.execute(f"RESUME {DATABASE}".encode())


def _kill(name: str, system: System) -> None:
    system.stack.kill(name)


def _restart(name: str, system: System) -> None:
    system.stack.restart(name)


_FAULTS: Final[Mapping[str, Callable[[System], None]]] = MappingProxyType(
    {
        "Redis flushed": _flush_redis,
        "Redis killed": partial(_kill, "redis"),
        "Redis frozen": _freeze_redis,
        "Redis full": _fill_redis,
        "PostgreSQL stopped at once": _stop_postgres_immediately,
        "PostgreSQL killed": partial(_kill, "postgres"),
        "PostgreSQL restarted": partial(_restart, "postgres"),
        "sessions terminated": _terminate_sessions,
        "PgBouncer killed": partial(_kill, "pgbouncer"),
        "PgBouncer restarted": partial(_restart, "pgbouncer"),
        "PgBouncer paused": _pause_pool,
    }
)


@pytest.mark.parametrize("fault", _FAULTS)
def test_no_game_is_lost_or_doubled(system: System, fault: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    for line in drawn_lines(rng, 2):
        for name in ("postgres", "pgbouncer", "redis"):
            system.stack.wait_ready(name)
        reach_line(system, player, line)
        _FAULTS[fault](system)
    let_all_go(system)
    system.wait_whole(player)
    system.check_requests()
    _assert_workers_lived_on(system)


def test_redis_restarted_with_tasks_in_flight_ends_no_worker(system: System, seed: int) -> None:
    # Celery 5.7.0 exits at every second restart: this test judges an upgrade, by the 81 restarts of a soak.
    before = _worker_pids(system)
    player = streaming_player(system)
    for line in drawn_lines(random.Random(seed), 3):
        reach_line(system, player, line)
        system.stack.restart("redis")
    let_all_go(system)
    system.wait_whole(player)
    assert _worker_pids(system) == before
    system.check_requests()


@pytest.mark.parametrize("name", ["postgres", "pgbouncer"])
def test_the_api_says_503_and_when_to_come_back_while_the_database_is_away(system: System, name: str) -> None:
    player = _whole_player(system)
    system.stack.stop(name)
    answer = system.owner.get(f"/v1/players/{player.name}")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"] == "application/problem+json"
    system.stack.start([name])
    system.wait_whole(player)


def test_games_wait_out_a_database_that_is_away_for_long(system: System) -> None:
    player = streaming_player(system)
    reach_line(system, player, 50, stored_beyond=0)
    system.stack.stop("postgres")
    before = _refused(system)
    let_all_go(system)
    # Meanwhile both ends of the pipeline try again and again.
    system.wait_until(
        lambda: min((_refused(system) - before)[path] for path in _ASKED) >= _RETRIES, "all have tried again"
    )
    system.stack.start(["postgres"])
    system.wait_whole(player)
    system.check_requests()


def _whole_player(system: System) -> Player:
    player = system.new_player(history_of=5)
    system.track(player)
    system.wait_whole(player)
    return player


def _worker_pids(system: System) -> dict[str, int]:
    return {name: system.stack.pid(name) for name in ("consumer", "producer", "beat", "api")}


def _assert_workers_lived_on(system: System) -> None:
    """Fail if the fault of a service ended a worker or the API: they wait for its return."""
    assert 0 not in _worker_pids(system).values()


def _wait_for_request(system: System) -> int:
    """Wait until a request to Lichess is under way; return its number."""
    return system.wait_until(
        lambda: next((request.number for request in system.lichess.requests if request.ended_s is None), 0),
        "somebody asks Lichess",
    )


def _wait_until_left(system: System, number: int) -> None:
    """Wait until a request has ended; fail if it came to its end, for then the fault did not cut it."""
    outcome = system.wait_until(
        lambda: next(each.outcome for each in system.lichess.requests if each.number == number),
        f"request {number} ends",
    )
    assert outcome is Outcome.CLIENT_LEFT


def _clients_waiting(admin: psycopg.Connection) -> int:
    """Count the clients of PgBouncer that wait for a connection to our database."""
    with admin.cursor(row_factory=dict_row) as cursor:
        pools = cursor.execute(b"SHOW POOLS").fetchall()
    return sum(pool["cl_waiting"] for pool in pools if pool["database"] == DATABASE)


def _refused(system: System) -> Counter[str]:
    """Count the requests that the API could not serve without its database, by the end of its path."""
    lines = system.stack.log_path("api").read_text().splitlines()
    return Counter(json.loads(line)["path"].rpartition("/")[2] for line in lines if _AWAY in line)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _pool_admin(system: System) -> Iterator[psycopg.Connection]:
    run = str(system.services.state.run)
    with psycopg.connect(
        host=run, port=POOL_PORT, user=POOL_ADMIN, dbname="pgbouncer", autocommit=True
    ) as admin:
        yield admin
