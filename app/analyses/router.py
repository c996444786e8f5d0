"""HTTP: analyses, for people and for the analysis workers."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Query, status
from pydantic import BaseModel, TypeAdapter

from app.access.dependencies import require
from app.access.service import Scope
from app.analyses import repository, service
from app.broker import Broker, broker_of
from app.contract.analyses import (
    AnalysisClaim,
    AnalysisClaimRequest,
    AnalysisFailure,
    AnalysisHandback,
    AnalysisOutcome,
    AnalysisResults,
    AnalysisState,
    Backlog,
    BacklogRequest,
    LeaseRenewal,
    PendingGames,
    PendingRequest,
)
from app.contract.names import TaskName
from app.contract.retries import RetryAnswer, RetryRequest
from app.contract.wire import BigInt, GameId, UtcDatetime
from app.dependencies import SessionDependency, SettingsDependency
from app.games.views import problem
from app.json_route import StrictJsonRoute
from app.kit.pagination import Page, encode_cursor
from app.paging import DEFAULT_LIMIT, After, Limit, key_of

_KEY = TypeAdapter(tuple[UtcDatetime, BigInt])
_WRITE = [Depends(require(Scope.WRITE))]

router = APIRouter(tags=["analyses"], route_class=StrictJsonRoute)
worker_router = APIRouter(
    prefix="/v1/analyses",
    tags=["workers"],
    dependencies=[Depends(require(Scope.WORKER))],
    route_class=StrictJsonRoute,
)


class AnalysisItem(BaseModel):
    """A game in a list of analyses."""

    game: str
    state: AnalysisState
    attempts: int
    error_code: str | None
    error: str | None
    analysed_at: datetime | None


@router.get("/v1/analyses", dependencies=[Depends(require(Scope.READ))])
async def list_analyses(
    session: SessionDependency,
    state: Annotated[AnalysisState, Query(description="failed shows what needs a look.")],
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[AnalysisItem]:
    """List analyses in a state, the newest games first."""
    rows = await repository.page(session, state, key_of(_KEY, after), limit)
    items = [
        AnalysisItem(
            game=game.source_id,
            state=row.state,
            attempts=row.attempts,
            **problem(game, row),
            analysed_at=row.analysed_at,
        )
        for row, game in rows
    ]
    full = len(rows) == limit
    last = rows[-1][0] if full else None
    return Page(items=items, next=last and encode_cursor(_KEY, (last.created_at, last.game_id)))


@router.post("/v1/analyses/retry", dependencies=_WRITE)
async def retry_analyses(session: SessionDependency, request: RetryRequest) -> RetryAnswer:
    """Give failed analyses fresh attempts, ahead of the rest."""
    return RetryAnswer(retried=await repository.retry_failed(session, request.games))


@router.post("/v1/games/{game_id}/analysis", dependencies=_WRITE, status_code=status.HTTP_202_ACCEPTED)
async def request_analysis(
    session: SessionDependency,
    game_id: GameId,
    background: BackgroundTasks,
    broker: Annotated[Broker, Depends(broker_of)],
) -> AnalysisOutcome:
    """Analyse a game now; a failed one gets fresh attempts."""
    state = await service.request(session, game_id)
    if state is AnalysisState.PENDING:
        background.add_task(broker.hint, TaskName.ANALYZE_GAME, game_id)
    return AnalysisOutcome(state=state)


@worker_router.post("/pending")
async def pending(
    session: SessionDependency, settings: SettingsDependency, body: PendingRequest
) -> PendingGames:
    """Return games that lack a result of one of the plugins."""
    return PendingGames(games=await service.pending(session, settings, body))


@worker_router.post("/backlog")
async def backlog(session: SessionDependency, body: BacklogRequest) -> Backlog:
    """Count the games that lack a result of one of the plugins: looks at every game, so ask seldom."""
    return Backlog(games=await service.backlog(session, body.plugins))


@worker_router.post("/{game_id}/claim")
async def claim(
    session: SessionDependency, settings: SettingsDependency, game_id: GameId, body: AnalysisClaimRequest
) -> AnalysisClaim:
    """Lease a game."""
    return await service.claim(session, settings, game_id, body)


@worker_router.post("/{game_id}/renew", status_code=status.HTTP_204_NO_CONTENT)
async def renew(
    session: SessionDependency, settings: SettingsDependency, game_id: GameId, body: LeaseRenewal
) -> None:
    """Start a lease anew."""
    await service.renew(session, settings, game_id, body.fence)


@worker_router.post("/{game_id}/handback", status_code=status.HTTP_204_NO_CONTENT)
async def hand_back(session: SessionDependency, game_id: GameId, body: AnalysisHandback) -> None:
    """Give a game back untouched."""
    await service.hand_back(session, game_id, body.fence)


@worker_router.post("/{game_id}/results")
async def store_results(
    session: SessionDependency, settings: SettingsDependency, game_id: GameId, body: AnalysisResults
) -> AnalysisOutcome:
    """Store what the plugins made of a game, and end the lease."""
    return AnalysisOutcome(state=await service.store_results(session, settings, game_id, body))


@worker_router.post("/{game_id}/failure")
async def store_failure(
    session: SessionDependency, settings: SettingsDependency, game_id: GameId, body: AnalysisFailure
) -> AnalysisOutcome:
    """Record why a pass ended without results."""
    return AnalysisOutcome(state=await service.store_failure(session, settings, game_id, body))
