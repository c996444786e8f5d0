"""What does the API answer while a service is away, and does it come back by itself?"""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from app.contract.names import QueueName
from app.db import session
from dev.postgres.cluster import DATABASE
from dev.services import POOL_ADMIN, POOL_PORT
from tests.integration.api.driver import Ledger, make_game, observe
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.conftest import Api, wait_until


@pytest.fixture
def api(api: Api) -> Iterator[Api]:
    """Give the API back with every service running, whatever a test did."""
    yield api
    stack = api.backend.stack
    stack.start([name for name in stack.names if not stack.pid(name)])
    wait_until(lambda: api.anonymous.get("/readyz").is_success, "ready again")


def _ready(api: Api) -> tuple[int, dict[str, str]]:
    answer = api.anonymous.get("/readyz")
    return answer.status_code, answer.json()


@pytest.mark.parametrize("service", ["postgres", "pgbouncer"])
def test_a_database_that_is_away_is_said_so_and_found_again(api: Api, service: str) -> None:
    Ledger(api).track()
    api.backend.stack.stop(service)
    answers = [
        api.reader.get("/v1/players"),
        api.reader.get("/v1/games/game0001"),
        api.writer.put("/v1/players/bob"),
        api.worker_http.get("/v1/ingestion/due"),
        # Nobody can tell now whether it is valid.
        api.anonymous.get("/v1/games", headers={"Authorization": "Bearer sst_unknown"}),
    ]
    for answer in answers:
        assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert _ready(api) == (503, {"database": "down", "schema": "down", "broker": "ok"})
    assert api.anonymous.get("/healthz").status_code == 200
    api.backend.stack.start([service])
    wait_until(lambda: api.reader.get("/v1/players").is_success, "the database is found again")
    assert [item["username"] for item in api.reader.get("/v1/players").json()["items"]] == ["alice"]


@pytest.mark.parametrize("service", ["postgres", "pgbouncer"])
def test_a_killed_database_loses_nothing_that_was_acknowledged(api: Api, service: str) -> None:
    ledger = Ledger(api).track()
    acknowledged = []
    for number in range(30):
        if number == 10:
            api.backend.stack.kill(service)
        answer = api.worker_http.post(
            "/v1/ingestion/observations",
            json={"observations": [observe(make_game(number), 1, number + 1).model_dump(mode="json")]},
        )
        if answer.is_success:
            acknowledged.append(f"game{number:04d}")
        else:
            assert_problem(answer, 503, "unavailable")
    api.backend.stack.wait_ready(service)
    wait_until(lambda: api.reader.get("/v1/players").is_success, "the database is found again")
    assert set(acknowledged) <= set(ledger.manifest())
    assert len(acknowledged) >= 10


def test_a_pool_of_connections_that_was_lost_while_idle_costs_no_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_IDLE_SECONDS", 0.0)  # the restart is quicker than what counts as idle
    Ledger(api).track()
    with ThreadPoolExecutor(4) as clients:
        assert all(clients.map(lambda _: api.reader.get("/v1/players").is_success, range(40)))
    api.backend.stack.stop("pgbouncer")
    api.backend.stack.start(["pgbouncer"])
    api.backend.stack.wait_ready("pgbouncer")
    assert [api.reader.get("/v1/players").status_code for _ in range(8)] == [200] * 8


def test_a_schema_that_is_not_the_codes_is_not_ready(api: Api) -> None:
    (revision,) = api.rows("SELECT version_num FROM alembic_version")
    try:
        api.execute("UPDATE alembic_version SET version_num = '0001'")
        assert _ready(api) == (503, {"database": "ok", "schema": "outdated", "broker": "ok"})
        api.execute("ALTER TABLE alembic_version RENAME TO alembic_version_away")
        assert _ready(api) == (503, {"database": "ok", "schema": "outdated", "broker": "ok"})
    finally:
        api.execute("ALTER TABLE IF EXISTS alembic_version_away RENAME TO alembic_version")
        api.execute("UPDATE alembic_version SET version_num = %s", *revision)


def test_without_redis_requests_are_served_and_hints_are_lost(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.backend.stack.stop("redis")
    assert _ready(api) == (503, {"database": "ok", "schema": "ok", "broker": "down"})
    assert api.writer.put("/v1/players/alice").status_code == 201
    assert api.writer.post("/v1/players/alice/sync").status_code == 202
    Ledger(api).store(1, [make_game(1)])
    assert api.writer.post("/v1/games/game0001/analysis").status_code == 202
    said: list[str] = []

    def said_so() -> bool:
        said.append(capsys.readouterr().out)
        return "".join(said).count("hint_not_sent") == 3

    wait_until(said_so, "a warning for each hint")
    assert "Traceback" not in "".join(said)
    api.backend.stack.start(["redis"])
    wait_until(lambda: _ready(api)[0] == 200, "Redis is found again")
    with api.backend.redis() as redis:
        assert redis.llen(QueueName.API) == 0
        api.writer.post("/v1/players/alice/sync")
        wait_until(lambda: redis.llen(QueueName.API) == 1, "hints arrive again")


@pytest.mark.parametrize("fault", ["frozen", "full"])
def test_a_redis_that_takes_no_messages_hinders_no_request(
    api: Api, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    if fault == "frozen":
        pid = api.backend.stack.kill("redis", signal.SIGSTOP)
        mend = partial(os.kill, pid, signal.SIGCONT)
    else:
        with api.backend.redis() as redis:
            redis.config_set("maxmemory", "1")
        mend = partial(_unlimit, api)
    try:
        assert api.writer.put("/v1/players/alice").status_code == 201
        said: list[str] = []

        def said_so() -> bool:
            said.append(capsys.readouterr().out)
            return "hint_not_sent" in "".join(said)

        wait_until(said_so, "a warning")
        assert "Traceback" not in "".join(said)
    finally:
        mend()


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        (("CONFIG SET", "maxmemory", "1"), ("CONFIG SET", "maxmemory", "256mb")),
        (("CONFIG SET", "min-replicas-to-write", "1"), ("CONFIG SET", "min-replicas-to-write", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["full", "without its replicas", "a read-only replica"],
)
def test_a_redis_that_answers_and_refuses_to_write_is_not_ready(
    api: Api, capsys: pytest.CaptureFixture[str], fault: tuple[str, ...], mend: tuple[str, ...]
) -> None:
    redis: Any
    with api.backend.redis() as redis:
        redis.execute_command(*fault)
        try:
            assert redis.ping()
            assert _ready(api) == (503, {"database": "ok", "schema": "ok", "broker": "down"})
        finally:
            redis.execute_command(*mend)
        assert "broker_takes_no_messages" in capsys.readouterr().out
        assert _ready(api)[0] == 200
        assert redis.dbsize() == 0  # asking has left nothing


def _unlimit(api: Api) -> None:
    with api.backend.redis() as redis:
        redis.config_set("maxmemory", "256mb")


def _fail_commits(api: Api, *tables: str) -> None:
    api.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the commit fails' USING ERRCODE = '53100'; END $$"
    )
    for table in tables:
        api.execute(
            f"CREATE CONSTRAINT TRIGGER fails AFTER INSERT OR UPDATE ON {table}"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"
        )


def test_a_commit_that_fails_is_never_answered_with_success(api: Api) -> None:
    ledger = Ledger(api).track()
    try:
        _fail_commits(api, "players", "games")
        with api.backend.redis() as redis:
            # A hint is sent after the answer: that to track her must not come later.
            wait_until(lambda: redis.llen(QueueName.API) != 0, "the hint that she is tracked")
            redis.flushall()
            body = {"observations": [observe(make_game(1), 1, 1).model_dump(mode="json")]}
            assert_problem(api.writer.put("/v1/players/bob"), 503, "unavailable")
            assert_problem(api.writer.post("/v1/players/alice/sync"), 503, "unavailable")
            assert_problem(api.writer.delete("/v1/players/alice"), 503, "unavailable")
            assert_problem(api.worker_http.post("/v1/ingestion/observations", json=body), 503, "unavailable")
            assert redis.dbsize() == 0  # no hint for what did not happen
    finally:
        api.execute("DROP FUNCTION IF EXISTS fail CASCADE")
    assert ledger.manifest() == {}
    assert ledger.view().tracked


def test_a_backend_that_is_killed_in_its_transaction_is_answered_with_503(api: Api) -> None:
    ledger = Ledger(api).track()
    with ThreadPoolExecutor() as threads, api.backend.connect() as blocker:
        with blocker.transaction():
            blocker.execute("LOCK TABLE game_moves IN ACCESS EXCLUSIVE MODE")
            body = {"observations": [observe(make_game(1), 1, 1).model_dump(mode="json")]}
            request = threads.submit(api.worker_http.post, "/v1/ingestion/observations", json=body)
            killed = (
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE usename = 'scoresheet' AND wait_event_type = 'Lock'"
            )
            wait_until(lambda: bool(api.value(killed)), "the request waits and is killed")
        assert_problem(request.result(), 503, "unavailable")
    assert ledger.manifest() == {}
    assert ledger.store(1, [make_game(1)]).stored == 1


@pytest.mark.smoke
def test_a_paused_pool_holds_requests_and_then_answers_them(api: Api) -> None:
    def admin(command: str) -> None:
        run = str(api.backend.services.state.run)
        with psycopg.connect(
            host=run, port=POOL_PORT, user=POOL_ADMIN, dbname="pgbouncer", autocommit=True
        ) as connection:
            connection.execute(command.encode())

    Ledger(api).track()
    admin(f"PAUSE {DATABASE}")
    try:
        with ThreadPoolExecutor() as threads:
            held = threads.submit(api.reader.get, "/v1/players")
            assert api.anonymous.get("/healthz").is_success
            admin(f"RESUME {DATABASE}")
            answer: httpx.Response = held.result()
    finally:
        wait_until(lambda: api.reader.get("/v1/players").is_success, "the pool is open")
    assert answer.is_success
