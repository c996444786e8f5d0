"""What is the API made of?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from app import body_limit, health, problems
from app.access.service import TokenCache
from app.analyses import router as analyses
from app.broker import Broker
from app.db.session import create_engine, create_sessions
from app.games import router as games
from app.ingestion import router as ingestion
from app.openapi import DescribedApi
from app.players import router as players
from app.positions import router as positions
from app.settings import Settings
from app.stats import router as stats

_DESCRIPTION = """
Keeps a chess player's own record: every game played on Lichess, stored and analysed.

**First steps.** On the host, `scoresheet token create me --scope read --scope write` prints a token;
press *Authorize* and paste it. Then:

1. `PUT /v1/players/{username}` tracks an account: its history is fetched, then every new game.
2. `GET /v1/players/{username}` shows how far that is: `completeness.seen` is what Lichess showed,
   `stored` what is here, `refused` what could not be read as a game (see `/refusals`).
3. `GET /v1/games?player=…` lists games, `GET /v1/games/{id}` shows one with its moves, evaluations
   and the plugins' results.
4. `GET /v1/players/{username}/summary` adds it all up.

Lists are pages: pass `next` of one as `after` to get the following. Every error is
`application/problem+json` with a stable `code`. Times are UTC; scores are from White's view, in
centipawns or moves to mate.
"""

_TAGS = ("health", "players", "ingestion", "games", "analyses", "workers")
"""In the order of `/docs`: what people need comes before what the workers do."""


def create_app(settings: Settings) -> FastAPI:
    """Return the application; it connects to nothing until it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine = create_engine(settings)
        app.state.sessions = create_sessions(app.state.engine)
        app.state.broker = Broker(settings)
        yield
        app.state.broker.close()
        await app.state.engine.dispose()

    app = DescribedApi(
        title="Scoresheet",
        version=version("scoresheet"),
        description=_DESCRIPTION,
        openapi_tags=[{"name": name} for name in _TAGS],
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.tokens = TokenCache()
    problems.install(app)
    app.add_middleware(body_limit.BodyLimit, limit_bytes=settings.body_limit_bytes)
    # FastAPI asks one router after the other: the one that is asked for every game goes first.
    for router in (
        ingestion.worker_router,
        analyses.worker_router,
        positions.worker_router,
        health.router,
        players.router,
        stats.router,
        ingestion.router,
        games.router,
        analyses.router,
    ):
        app.include_router(router)
    return app
