"""How does a test reach a running backend: PostgreSQL 17 through PgBouncer, Redis, and the API on a socket?

Fixtures, from the ground up:

    backend      session  the data services with a migrated database
    api_server   session  the API, served from a thread of this process, with a token for each scope
    api          test     the same, with an empty database, an empty Redis and the default policy

A test takes `api` and talks through one of its clients:

    api.anonymous, api.reader, api.writer    httpx clients: without a token, with scope read, with scope write
    api.worker                               the workers' own client (workers.api_client): typed, no retries
    api.worker_http                          httpx with scope worker, for requests the other can't make

Time is not waited for but moved: `api.execute("UPDATE players SET next_sync_at = now()")`. Tests of other
folders (e2e, chaos) import these fixtures in a conftest of their own.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg
import pytest
import redis
import sqlalchemy
import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from app.access.service import Scope
from app.main import create_app
from app.settings import Settings
from dev.postgres.cluster import DATABASE, MIGRATION_ROLE, PORT
from dev.services import Services
from dev.stack import Stack
from tests.integration.template import create_tokens, services_on_template, settings_of
from tests.kept_logs import keep_logs
from workers.api_client import ApiClient

__all__ = ["Api", "Backend", "api", "api_server", "backend"]

_LIMIT_SECONDS: Final = 30
_KEPT_TABLES: Final = {"alembic_version", "api_tokens"}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with `what` if it does not come about in half a minute."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Backend:
    """The running data services."""

    stack: Stack
    """Kills, stops and restarts `postgres`, `pgbouncer` and `redis`."""
    services: Services
    settings: Settings
    """Of an API on these services, with the default policy."""

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """Connect past PgBouncer, as the owner of the schema; each statement is its own transaction."""
        with psycopg.connect(
            host=str(self.services.state.run),
            port=PORT,
            user=MIGRATION_ROLE,
            dbname=DATABASE,
            autocommit=True,
        ) as connection:
            yield connection

    @contextmanager
    def redis(self) -> Iterator["redis.Redis"]:
        """Connect to Redis."""
        with redis.Redis(unix_socket_path=str(self.services.redis_socket)) as client:
            yield client

    def clear(self) -> None:
        """Empty every table but the tokens', and Redis."""
        with self.connect() as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            names = ", ".join(name for (name,) in tables if name not in _KEPT_TABLES)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())
        with self.redis() as client:
            client.flushall()


class Api:
    """A served API and clients of it."""

    def __init__(self, app: FastAPI, url: str, backend: Backend, tokens: Mapping[Scope, SecretStr]) -> None:
        self.app = app
        self.url = url
        self.backend = backend
        self.tokens = {scope: token.get_secret_value() for scope, token in tokens.items()}
        self.anonymous = httpx.Client(base_url=url, timeout=_LIMIT_SECONDS, trust_env=False)
        self.reader = self.client(Scope.READ)
        self.writer = self.client(Scope.WRITE)
        self.worker_http = self.client(Scope.WORKER)
        self.worker = self.new_worker()

    def client(self, scope: Scope) -> httpx.Client:
        """Return a new client with the token of a scope."""
        headers = {"Authorization": f"Bearer {self.tokens[scope]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=_LIMIT_SECONDS, trust_env=False)

    def new_worker(self, retry_total_seconds: float = 0) -> ApiClient:
        """Return a new client of a worker, for a thread of its own: the client is not thread-safe."""
        return ApiClient(self.url, self.tokens[Scope.WORKER], retry_total=retry_total_seconds)

    def set_policy(self, **changes: object) -> None:
        """Change settings of the running API until the test ends, by their names in app.settings."""
        checked = Settings.model_validate({**self.app.state.settings.model_dump(), **changes})
        self.app.state.settings = checked

    def execute(self, query: str, *values: object) -> int:
        """Run a statement past the API, as the owner of the schema; return how many rows it touched."""
        with self.backend.connect() as connection:
            return connection.execute(query.encode(), values).rowcount

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query made past the API."""
        with self.backend.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """Return the one value of a query made past the API."""
        ((value,),) = self.rows(query, *values)
        return value

    @contextmanager
    def queries(self) -> Iterator[list[str]]:
        """Collect the statements that the API sends to the database meanwhile."""
        engine = self.app.state.engine.sync_engine
        seen: list[str] = []

        def note(*arguments: Any) -> None:
            seen.append(arguments[2])

        sqlalchemy.event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sqlalchemy.event.remove(engine, "before_cursor_execute", note)

    def close(self) -> None:
        """Close the clients."""
        for client in (self.anonymous, self.reader, self.writer, self.worker_http, self.worker):
            client.close()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application from a thread, on a free port of the loopback; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, args=([listener],), name="api")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the API serves")
        assert server.started
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_LIMIT_SECONDS)
        listener.close()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Run the data services, once for all tests, on a migrated database."""
    folder = tmp_path_factory.mktemp("backend")
    with keep_logs(folder), services_on_template(folder) as (stack, services):
        yield Backend(stack, services, settings_of(services))


@pytest.fixture(scope="session")
def api_server(backend: Backend) -> Iterator[Api]:
    """Serve the API, once for all tests."""
    # In this process nobody configures structlog, which then shows local variables, tokens among them.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    app = create_app(backend.settings)
    with served(app) as url:
        tokens = create_tokens(backend.settings, {f"test-{scope.value}": [scope] for scope in Scope})
        server = Api(app, url, backend, {scope: tokens[f"test-{scope.value}"] for scope in Scope})
        yield server
        server.close()


@pytest.fixture
def api(api_server: Api) -> Iterator[Api]:
    """Give a test the API with an empty database and the default policy."""
    api_server.backend.clear()
    yield api_server
    api_server.app.state.settings = api_server.backend.settings
