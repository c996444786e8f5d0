"""Do the commands `scoresheet migrate`, `serve` and `token` work on a real database?"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from app.db.revisions import head_revision
from dev.paths import CHECKOUT
from dev.postgres.cluster import MIGRATION_ROLE, PORT, ROLE, SUPERUSER
from tests.integration.conftest import Api, Backend, wait_until
from tests.integration.forks import run_command


@contextmanager
def _empty_database(backend: Backend, name: str) -> Iterator[Mapping[str, str]]:
    run = str(backend.services.state.run)

    def administer(statement: str) -> None:
        with psycopg.connect(
            host=run, port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    administer(f"CREATE DATABASE {name} OWNER {ROLE}")
    url = f"postgresql+psycopg://{MIGRATION_ROLE}@/{name}?host={run}&port={PORT}"
    try:
        yield {
            **_environment(backend),
            "SCORESHEET_DATABASE_URL": url,
            "SCORESHEET_MIGRATION_DATABASE_URL": url,
        }
    finally:
        administer(f"DROP DATABASE {name} WITH (FORCE)")


def _environment(backend: Backend) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCORESHEET_")}
    return {**kept, **backend.services.environment, "PYTHONPATH": str(CHECKOUT)}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", *arguments]


def test_two_migrations_at_once_both_succeed_and_one_migrates(backend: Backend) -> None:
    with _empty_database(backend, "twice") as environment:

        async def both() -> list[int | None]:
            runs = [
                await asyncio.create_subprocess_exec(*_command("migrate", "--check"), env=environment)
                for _ in range(2)
            ]
            return [await run.wait() for run in runs]

        assert asyncio.run(both()) == [0, 0]
        with psycopg.connect(
            host=str(backend.services.state.run), port=PORT, user=MIGRATION_ROLE, dbname="twice"
        ) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            owners = connection.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
        assert rows == [(head_revision(),)]
        assert owners == [(ROLE,)]


def test_a_release_that_is_gone_back_to_starts_on_the_newer_schema_and_leaves_it(
    backend: Backend, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("w" * 40)
    with _empty_database(backend, "later") as environment:
        assert run_command(environment, "migrate").returncode == 0
        with psycopg.connect(
            host=str(backend.services.state.run), port=PORT, user=MIGRATION_ROLE, dbname="later"
        ) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        migrated = run_command(environment, "migrate", "--worker-token", str(token))
        assert migrated.returncode == 0, migrated.stderr
        assert '"schema_of_a_later_release"' in migrated.stdout + migrated.stderr
        assert run_command(environment, "token", "list").stdout == "worker\tworker\tnever\n"
        with psycopg.connect(
            host=str(backend.services.state.run), port=PORT, user=MIGRATION_ROLE, dbname="later"
        ) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_models_that_differ_from_the_database_fail_the_check(backend: Backend) -> None:
    with _empty_database(backend, "differs") as environment:
        assert run_command(environment, "migrate").returncode == 0
        with psycopg.connect(
            host=str(backend.services.state.run), port=PORT, user=MIGRATION_ROLE, dbname="differs"
        ) as connection:
            connection.execute("DROP INDEX ix_games_revisit_at")
        failed = run_command(environment, "migrate", "--check")
    assert failed.returncode == 1
    assert "models and migrations differ" in failed.stderr
    assert "ix_games_revisit_at" in failed.stderr


def test_a_token_for_a_database_without_a_schema_is_refused_in_one_line(backend: Backend) -> None:
    with _empty_database(backend, "unmigrated") as environment:
        failed = run_command(environment, "token", "create", "me", "--scope", "read")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith('scoresheet token: relation "api_tokens" does not exist')
    assert failed.stderr.count("\n") == 1


def test_a_migration_lets_the_workers_in_where_it_is_given_their_token(
    backend: Backend, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text("short")
    with _empty_database(backend, "workers") as environment:
        failed = run_command(environment, "migrate", "--worker-token", str(secret))
        assert failed.returncode == 1
        assert "at least 32 characters" in failed.stderr
        assert run_command(environment, "token", "list").stdout == ""
        secret.write_text("w" * 40)
        assert run_command(environment, "migrate", "--worker-token", str(secret)).returncode == 0
        assert run_command(environment, "token", "list").stdout == "worker\tworker\tnever\n"


@pytest.mark.smoke
def test_a_database_that_is_not_there_is_named_in_one_line(backend: Backend) -> None:
    url = "postgresql+psycopg://x@/x?host=/nowhere&port=1"
    failed = run_command({**_environment(backend), "SCORESHEET_MIGRATION_DATABASE_URL": url}, "migrate")
    assert failed.returncode == 1
    assert "/nowhere" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_token_is_printed_once_listed_without_its_secret_and_revoked(api: Api) -> None:
    environment = _environment(api.backend)
    made = run_command(
        environment, "token", "create", "cli-test", "--scope", "read", "--scope", "write", "--days", "3"
    )
    try:
        token = made.stdout.strip()
        assert token.startswith("sst_")
        header = {"Authorization": f"Bearer {token}"}
        assert api.anonymous.get("/v1/games", headers=header).is_success
        listed = run_command(environment, "token", "list").stdout
        assert "cli-test\tread,write\t20" in listed
        assert token.removeprefix("sst_") not in listed
    finally:
        assert run_command(environment, "token", "revoke", "cli-test").returncode == 0
    again = run_command(environment, "token", "revoke", "cli-test")
    assert (again.returncode, again.stderr) == (1, "scoresheet token: there is no token 'cli-test'\n")


def test_a_token_from_a_file_is_not_printed_and_replaces_the_one_of_its_name(
    api: Api, tmp_path: Path
) -> None:
    environment = _environment(api.backend)
    secret = tmp_path / "token"
    try:
        for letter in "ab":
            secret.write_text(letter * 40 + "\n")
            made = run_command(
                environment, "token", "create", "cli-file", "--scope", "read", "--from-file", str(secret)
            )
            assert (made.returncode, made.stdout) == (0, "")
        answers = [
            api.anonymous.get("/v1/games", headers={"Authorization": f"Bearer {letter * 40}"}).status_code
            for letter in "ab"
        ]
        assert answers == [401, 200]
        secret.write_text("short")
        failed = run_command(
            environment, "token", "create", "cli-file", "--scope", "read", "--from-file", str(secret)
        )
        assert failed.returncode == 1
        assert "at least 32 characters" in failed.stderr
    finally:
        run_command(environment, "token", "revoke", "cli-file")


def test_serve_listens_on_tcp_and_on_its_unix_socket_and_stops_cleanly(
    backend: Backend, tmp_path: Path
) -> None:
    unix_socket = Path(backend.services.environment["SCORESHEET_API_SOCKET"])
    environment = {**_environment(backend), "SCORESHEET_API_PORT": str(_free_port())}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(_command("serve"), env=environment, stderr=log)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{environment['SCORESHEET_API_PORT']}"), "TCP")
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(unix_socket)), base_url="http://api"
        ) as client:
            assert client.get("/readyz").json() == {"database": "ok", "schema": "ok", "broker": "ok"}
    finally:
        process.terminate()
        assert process.wait(30) in {0, -15}
        unix_socket.unlink(missing_ok=True)
    assert "Traceback" not in (tmp_path / "log").read_text()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False
