"""How does a request reach the database?"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.settings import Settings


def create_engine(settings: Settings) -> AsyncEngine:
    """Return the engine: connections to PgBouncer, each checked before use."""
    return create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        # Prepared statements outlive a transaction, PgBouncer's connections (before 1.22) do not.
        connect_args={"prepare_threshold": None, "connect_timeout": 5},
    )


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
