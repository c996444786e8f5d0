"""What can be set for the API? (The only reader of the environment in app/.)"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from app.contract.settings import SETTING_NAMES, RoleSettings, wrong
from app.kit.environment import load_settings

Port = Annotated[int, Field(ge=1, le=65_535)]


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
    body_limit_bytes: Annotated[int, Field(ge=1_024, le=2**30)] = 8 * 2**20

    slice_games: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Games in one request: it bounds how long other players wait for a backfill (50 s at 20 games/s)."""
    sync_interval_seconds: Annotated[int, Field(ge=10, le=86_400)] = 60
    """From the end of one look at a player's games to the next."""
    overlap_hours: Annotated[int, Field(ge=0, le=720)] = 24
    """How far a look reaches back behind the cursor."""
    hole_after_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """A game that was seen and is still not stored after this long is fetched again."""
    rate_limit_seconds: Annotated[int, Field(ge=1, le=3_600)] = 60
    """Silence after Lichess's first 429; doubles with each further one, up to an hour."""
    analysis_lease_seconds: Annotated[int, Field(ge=2, le=86_400)] = 120
    """A worker that does not renew its lease for this long has lost its game."""
    analysis_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    analysis_retry_seconds: Annotated[int, Field(ge=0, le=86_400)] = 60
    """Wait after a failed attempt, doubled with each."""

    @field_validator("database_url", "migration_database_url")
    @classmethod
    def _postgresql_with_psycopg(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("postgresql+psycopg://"):
            raise wrong("must begin with postgresql+psycopg://")
        return value

    @property
    def overlap(self) -> timedelta:
        """How far a look reaches back behind the cursor."""
        return timedelta(hours=self.overlap_hours)


def load() -> Settings:
    """Return the settings of this process, or raise ConfigurationError."""
    return load_settings(Settings, SETTING_NAMES)
