"""What does a route get from the application that serves it?

Apart from the modules that it comes from, so that a command that serves nothing need not load FastAPI: that
takes as long as a whole migration.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.settings import Settings

# All are coroutines: FastAPI would send a plain function to a thread, at each request.


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield the request's session: one request, one transaction, committed before the answer is sent.

    Repositories never commit. An error rolls everything back.
    """
    async with request.app.state.sessions() as session, session.begin():
        yield session


SettingsDependency = Annotated[Settings, Depends(_settings)]
# "function": the dependency ends, so commits, before the response is sent. FastAPI's default commits
# afterwards, and a commit that fails would have been answered with 200.
SessionDependency = Annotated[AsyncSession, Depends(_session, scope="function")]
