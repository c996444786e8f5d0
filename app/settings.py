"""What can be set for the API? (The only reader of the environment in app/.)"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import psycopg
from psycopg.conninfo import make_conninfo
from pydantic import Field, SecretStr, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.contract.settings import SETTING_NAMES, RoleSettings, wrong
from app.kit.environment import load_settings

Port = Annotated[int, Field(ge=1, le=65_535)]

BODY_LIMIT_MIN_BYTES: Final = 4 * 2**20
"""Holds the longest line that is read from Lichess (1 MiB; up to twice that as a record), and some of the
longest results of plugins (1 MB each): what the limit shuts out is refused for good."""


class Settings(RoleSettings):
    """Settings of the API and of the migrations."""

    database_url: SecretStr
    """postgresql+psycopg:// URL of the database, through PgBouncer."""
    migration_database_url: SecretStr | None = None
    """The same database directly: migrations hold session locks, which PgBouncer's pooling would break."""
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 16
    """Connections to PgBouncer."""
    database_prepared_statements: bool = True
    """Let each connection keep its statements, parsed and planned. Needs PgBouncer 1.22 or newer with its
    `max_prepared_statements` above 0; without a libpq of PostgreSQL 17 it has no effect."""
    api_host: str = "127.0.0.1"
    api_port: Port = 8000
    api_socket: Path | None = None
    """Unix socket to listen on as well."""
    body_limit_bytes: Annotated[int, Field(ge=BODY_LIMIT_MIN_BYTES, le=2**30)] = 8 * 2**20
    """Largest body of a request; a batch of games beyond it is sent again one by one."""

    slice_games: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Games in one request: it bounds how long other players wait for a backfill (50 s at 20 games/s)."""
    sync_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """From the end of one look at a player's games to the next."""
    overlap_hours: Annotated[int, Field(ge=0, le=720)] = 24
    """How far a look reaches back behind the cursor."""
    hole_after_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """A game that was seen and is still not stored after this long is fetched again."""
    rate_limit_seconds: Annotated[int, Field(ge=1, le=3_600)] = 60
    """Silence after Lichess's first 429; doubles with each further one, up to an hour."""
    failure_retry_seconds: Annotated[int, Field(ge=1, le=900)] = 5
    """Wait after a request that failed without a new game; doubles with each in a row: up to 15 s where the
    answer was cut, up to 45 s after any other failure."""
    not_found_retry_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    """From Lichess's first 404 for an account to the next question."""
    not_found_last_retry_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    """From the second 404 to the third, at which the account is gone."""
    gone_retry_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 604_800
    """From one look at an account that is gone to the next."""
    analysis_lease_seconds: Annotated[int, Field(ge=2, le=86_400)] = 120
    """A worker that does not renew its lease for this long has lost its game."""
    analysis_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    analysis_retry_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    """Wait after a failed attempt, doubled with each."""

    @field_validator("database_url", "migration_database_url")
    @classmethod
    def _postgresql_with_psycopg(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_database_url(value.get_secret_value())
        return value

    @property
    def hole_after(self) -> timedelta:
        """How long a game that was seen may take until it is stored."""
        return timedelta(seconds=self.hole_after_seconds)

    @property
    def overlap(self) -> timedelta:
        """How far a look reaches back behind the cursor."""
        return timedelta(hours=self.overlap_hours)

    @property
    def not_found_waits(self) -> tuple[timedelta, timedelta, timedelta]:
        """From each 404 to the next question; from the last of these on, the account is gone."""
        return (
            timedelta(seconds=self.not_found_retry_seconds),
            timedelta(seconds=self.not_found_last_retry_seconds),
            timedelta(seconds=self.gone_retry_seconds),
        )


def _check_database_url(url: str) -> None:
    """Raise what is wrong with a URL of PostgreSQL, without a word of it: it may hold a password."""
    if not url.startswith("postgresql+psycopg://"):
        raise wrong("must begin with postgresql+psycopg://")
    if url.count("@") > 1:
        # What follows the first would be taken for the host, which every message about it names.
        raise wrong("must have no @ but the one before the host: in a password it is written %40")
    try:
        parsed = make_url(url)
        _, options = parsed.get_dialect()().create_connect_args(parsed)
        make_conninfo(**options)
        ports = [int(port or 5432) for port in str(options.get("port", "")).split(",")]
    except (ArgumentError, ValueError):
        raise wrong("must be a URL, with a number for a port") from None
    except psycopg.ProgrammingError:
        raise wrong("must have no option that libpq does not know") from None
    if parsed.port == 0 or not all(1 <= port <= 65_535 for port in ports):
        raise wrong("must have a port from 1 to 65535")


def load() -> Settings:
    """Return the settings of this process, or raise ConfigurationError."""
    return load_settings(Settings, SETTING_NAMES)
