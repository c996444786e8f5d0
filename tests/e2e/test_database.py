"""May a condition trust what it asks the database, while the server is frozen, killed or back again?"""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.e2e import database as module
from tests.e2e.database import Database
from tests.integration.template import services_on_template

_BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with services_on_template(tmp_path_factory.mktemp("database")) as (_, services):
        yield services.state.run


@pytest.fixture
def database(sockets: Path) -> Iterator[Database]:
    with closing(Database(sockets)) as database:
        yield database


def _value(database: Database, query: str, *values: object) -> int:
    row = database.run(query, *values).fetchone()
    assert row is not None
    return int(row[0])


def test_a_server_that_is_back_is_asked_on_a_new_connection(database: Database, sockets: Path) -> None:
    before = _value(database, _BACKEND)
    assert _value(database, _BACKEND) == before
    with closing(Database(sockets)) as other:
        other.run("SELECT pg_terminate_backend(%s, 60000)", before)
    assert _value(database, _BACKEND) != before


def test_a_statement_whose_outcome_is_unknown_is_not_repeated(database: Database) -> None:
    database.run("CREATE SEQUENCE times_run")
    with pytest.raises(psycopg.OperationalError):
        database.run("SELECT nextval('times_run'), pg_terminate_backend(pg_backend_pid())")
    assert _value(database, "SELECT nextval('times_run')") == 2


def test_a_frozen_server_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _value(database, _BACKEND)
    monkeypatch.setattr(module, "_LIMIT_SECONDS", 0.2)
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError):
            database.run("SELECT 1")
    finally:
        os.kill(backend, signal.SIGCONT)
    monkeypatch.undo()
    assert _value(database, "SELECT 1") == 1
