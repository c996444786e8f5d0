"""How is the database reached?"""

import time
from typing import Any

from psycopg import capabilities
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry

from app.settings import Settings

_PREPARED_AFTER = 3
"""Executions on one connection after which a statement is worth preparing."""


_IDLE_SECONDS = 0.5
"""After which a connection may have been lost unnoticed, and is checked before use."""


def create_engine(settings: Settings) -> AsyncEngine:
    """Return the engine: connections to PgBouncer, checked before use if they lay idle."""
    engine = create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=10,
        connect_args={"prepare_threshold": _prepare_threshold(settings), "connect_timeout": 5},
    )
    _check_idle_connections(engine)
    return engine


def _check_idle_connections(engine: AsyncEngine) -> None:
    """Ping what is taken from the pool, as `pool_pre_ping` does, unless it was used a moment ago.

    Under load that is one round trip of four.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: Any) -> None:
        used_at = entry.info.get("used_at")
        if used_at is None or time.monotonic() - used_at < _IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _prepare_threshold(settings: Settings) -> int | None:
    # A prepared statement outlives its transaction, and so PgBouncer's loan of a connection: PgBouncer has
    # to follow, and can only where libpq tells it which statements are closed.
    able = settings.database_prepared_statements and capabilities.has_send_close_prepared()
    return _PREPARED_AFTER if able else None


def create_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions."""
    return async_sessionmaker(engine, expire_on_commit=False)
