"""How does a request reach the database?"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from psycopg import capabilities
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.settings import Settings

_PREPARED_AFTER = 3
"""Executions on one connection after which a statement is worth preparing."""


def create_engine(settings: Settings) -> AsyncEngine:
    """Return the engine: connections to PgBouncer, each checked before use."""
    return create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={"prepare_threshold": _prepare_threshold(settings), "connect_timeout": 5},
    )


def _prepare_threshold(settings: Settings) -> int | None:
    # A prepared statement outlives its transaction, and so PgBouncer's loan of a connection: PgBouncer has
    # to follow, and can only where libpq tells it which statements are closed.
    able = settings.database_prepared_statements and capabilities.has_send_close_prepared()
    return _PREPARED_AFTER if able else None


def create_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def request_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield the request's session: one request, one transaction, committed before the answer is sent.

    Repositories never commit. An error rolls everything back.
    """
    async with request.app.state.sessions() as session, session.begin():
        yield session


# "function": the dependency ends, so commits, before the response is sent. FastAPI's default commits
# afterwards, and a commit that fails would have been answered with 200.
SessionDependency = Annotated[AsyncSession, Depends(request_session, scope="function")]
