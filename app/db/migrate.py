"""Is the schema what the models say, and how does it get there?"""

import time
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.db import models
from app.db.revisions import head_revision, is_current
from app.kit.environment import ConfigurationError
from app.settings import Settings

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x5C0E5EE7
"""Of the advisory lock that lets one migration run at a time."""
_LOCK_POLL_SECONDS = 0.2
LOCK_TIMEOUT = "5s"
"""A migration that cannot have its table lock fails, rather than queue up all traffic behind it."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(settings: Settings) -> str:
    """Bring the database to the newest revision and return it; waits for a migration that runs already.

    A schema of a later release is left as it is.
    """
    with _connect(settings) as connection:
        _wait_for_lock(connection)
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET transaction_timeout = 0"))
        connection.commit()
        revision = MigrationContext.configure(connection).get_current_revision()
        connection.commit()
        if revision is not None and is_current(revision):
            return revision
        command.upgrade(_config(connection), "head")
        connection.commit()
    return head_revision()


def _wait_for_lock(connection: Connection) -> None:
    """Ask until the lock is ours, each time in a transaction of its own.

    One long `pg_advisory_lock` holds a snapshot, for which the other migration's CREATE INDEX CONCURRENTLY
    waits: a deadlock.
    """
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}):
        connection.commit()
        time.sleep(_LOCK_POLL_SECONDS)
    connection.commit()


def differences(settings: Settings) -> list[str]:
    """Return how the database differs from the models; empty where they agree."""
    with _connect(settings) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return [str(item) for item in compare_metadata(context, models.Player.metadata)]


def _connect(settings: Settings) -> Connection:
    url = settings.migration_database_url
    if url is None:
        raise ConfigurationError("SCORESHEET_MIGRATION_DATABASE_URL is not set")
    engine = sqlalchemy.create_engine(url.get_secret_value(), poolclass=sqlalchemy.NullPool)
    return engine.connect()
