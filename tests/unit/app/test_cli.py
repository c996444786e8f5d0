"""Does a wrong command or configuration end in one line and the right status?"""

import os

import pytest

from app import cli, settings

_GOOD = {
    "SCORESHEET_DATABASE_URL": "postgresql+psycopg://me:hush@/db",
    "SCORESHEET_BROKER_URL": "redis://127.0.0.1/0",
}
_WAITS = (
    "FAILURE_RETRY_SECONDS",
    "GONE_RETRY_SECONDS",
    "HOLE_AFTER_SECONDS",
    "NOT_FOUND_LAST_RETRY_SECONDS",
    "NOT_FOUND_RETRY_SECONDS",
    "RATE_LIMIT_SECONDS",
    "SYNC_INTERVAL_SECONDS",
)
"""Waits before a request to Lichess: of 0 s, they would ask without a pause."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("SCORESHEET_")]:
        monkeypatch.delenv(name)
    for name, value in _GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    # A configuration that is accepted by mistake would be served until somebody stops it.
    monkeypatch.setattr(cli, "_serve", lambda *_: os.EX_OK)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", "postgresql://x"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@h:abc/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@h:/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@h:0/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@h:65536/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@[::1/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:p@hush@h/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:p@hush/x@h/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@/db?host=/run&port=abc"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@/db?host=/run&port=0"),
        ("DATABASE_URL", "postgresql+psycopg://me:hush@/db?hush=1"),
        ("MIGRATION_DATABASE_URL", "sqlite://"),
        ("MIGRATION_DATABASE_URL", "postgresql+psycopg://me:hush@h:abc/db"),
        ("BROKER_URL", None),
        ("BROKER_URL", "amqp://x"),
        ("BROKER_URL", "redis://:hush@h:abc/0"),
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("API_PORT", "http"),
        ("DATABASE_POOL_SIZE", "0"),
        ("HOLE_AFTER_SECONDS", "60s"),
        ("BODY_LIMIT_BYTES", "1048576"),
        ("OVERLAP_HOURS", "86400"),
        *((name, "0") for name in _WAITS),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DATABSE_URL", "x"),
    ],
)
def test_a_wrong_configuration_is_78_and_one_line_that_names_the_variable(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str | None
) -> None:
    if value is None:
        environment.delenv(f"SCORESHEET_{name}")
    else:
        environment.setenv(f"SCORESHEET_{name}", value)
    assert cli.main(["serve"]) == 78
    said = capsys.readouterr().err
    assert said.startswith("scoresheet serve: ")
    assert f"SCORESHEET_{name}" in said
    assert said.count("\n") == 1
    assert "hush" not in said


def test_a_wait_may_be_as_short_as_a_second(environment: pytest.MonkeyPatch) -> None:
    for name in _WAITS:
        environment.setenv(f"SCORESHEET_{name}", "1")
    loaded = settings.load().model_dump()
    assert {loaded[name.lower()] for name in _WAITS} == {1}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://",
        "postgresql+psycopg:///db?host=/run&port=5432",
        "postgresql+psycopg://me@h/db",
        "postgresql+psycopg://me:p%40ss%2F:?#@h:65535/db?sslmode=require&connect_timeout=3",
        "postgresql+psycopg://[::1]:5432/db",
        "postgresql+psycopg:///db?host=h1:1&host=h2:2",
        "postgresql+psycopg:///db?host=h1,h2&port=1,2",
    ],
)
def test_whatever_else_libpq_understands_is_a_database(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("SCORESHEET_DATABASE_URL", url)
    assert settings.load().database_url.get_secret_value() == url


def test_migrating_needs_a_direct_connection(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("SCORESHEET_MIGRATION_DATABASE_URL", raising=False)
    assert cli.main(["migrate"]) == 78
    assert capsys.readouterr().err == "scoresheet migrate: SCORESHEET_MIGRATION_DATABASE_URL is not set\n"


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["migrate"], ["token"], ["token", "create"], ["token", "revoke"]]
)
def test_help_needs_no_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.delenv("SCORESHEET_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: scoresheet")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["token"],
        ["token", "create", "me"],
        ["token", "create", "me", "--scope", "admin"],
        ["token", "create", "me", "--scope", "read", "--days", "-1"],
        ["token", "create", "me", "--scope", "read", "--days", "0"],
        ["token", "create", "me", "--scope", "read", "--days", "soon"],
        ["serve", "x"],
    ],
)
def test_a_wrong_command_is_2_and_says_how(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: scoresheet" in capsys.readouterr().err
