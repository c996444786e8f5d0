"""HTTP: the ledger, for people and for the ingestion workers."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Query, status
from pydantic import TypeAdapter

from app.access.dependencies import require
from app.access.service import Scope
from app.broker import Broker, broker_of
from app.contract.ingestion import (
    DuePlayers,
    FetchAnswer,
    FetchClaim,
    FetchReport,
    FetchVerdict,
    GarbledAnswer,
    GarbledLine,
    Observations,
    SeenGames,
    StoreAnswer,
)
from app.contract.names import TaskName
from app.contract.retries import RetryAnswer, RetryRequest
from app.contract.wire import PositiveBigInt, Text, Username
from app.dependencies import SessionDependency, SettingsDependency
from app.ingestion import intake, ledger, repository, service
from app.ingestion.views import RefusalView, RunView
from app.json_route import StrictJsonRoute
from app.kit.pagination import Page, encode_cursor
from app.paging import DEFAULT_LIMIT, After, Limit, key_of
from app.players import service as players
from app.problems import documented

_RUN_KEY = TypeAdapter(PositiveBigInt)
_REFUSAL_KEY = TypeAdapter(Text)

router = APIRouter(prefix="/v1/players/{username}", tags=["ingestion"], route_class=StrictJsonRoute)
worker_router = APIRouter(
    prefix="/v1/ingestion",
    tags=["workers"],
    dependencies=[Depends(require(Scope.WORKER))],
    route_class=StrictJsonRoute,
)


@router.get("/runs", dependencies=[Depends(require(Scope.READ))])
async def list_runs(
    session: SessionDependency, username: Username, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[RunView]:
    """List the requests to Lichess for an account, the newest first."""
    player = await players.existing(session, username)
    runs = await repository.runs(session, player.id, key_of(_RUN_KEY, after), limit)
    items = [RunView.model_validate(run, from_attributes=True) for run in runs]
    return Page(items=items, next=encode_cursor(_RUN_KEY, items[-1].id) if len(items) == limit else None)


@router.get("/refusals", dependencies=[Depends(require(Scope.READ))])
async def list_refusals(
    session: SessionDependency, username: Username, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[RefusalView]:
    """List what Lichess sent for an account and could not be stored, with the reason and the line."""
    player = await players.existing(session, username)
    rows = await ledger.refused(session, player.id, key_of(_REFUSAL_KEY, after), limit)
    items = [
        RefusalView(
            player=player.username,
            id=row.source_id,
            code=row.refusal_code or "",
            detail=row.refusal_detail or "",
            raw=row.raw or "",
            created_at=row.created_at,
            refused_at=row.updated_at,
        )
        for row in rows
    ]
    full = len(items) == limit
    return Page(items=items, next=encode_cursor(_REFUSAL_KEY, items[-1].id) if full else None)


@router.post("/refusals/retry", dependencies=[Depends(require(Scope.WRITE))])
async def retry_refusals(
    session: SessionDependency,
    username: Username,
    request: RetryRequest,
    background: BackgroundTasks,
    broker: Annotated[Broker, Depends(broker_of)],
) -> RetryAnswer:
    """Fetch refused games again by their ids, now. Lines that name no game cannot be."""
    player = await players.wake(session, username)
    retried = await ledger.reopen_refused(session, player.id, request.games)
    background.add_task(broker.hint, TaskName.FETCH_PLAYER_GAMES, player.username)
    return RetryAnswer(retried=retried)


@worker_router.get("/due")
async def due(session: SessionDependency, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> DuePlayers:
    """Return the players to fetch now; none while Lichess must not be asked."""
    if await repository.not_before(session) is not None:
        return DuePlayers(players=[])
    return DuePlayers(players=list(await repository.due_players(session, limit)))


@worker_router.post("/claims", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def claim(session: SessionDependency, settings: SettingsDependency, body: FetchClaim) -> FetchAnswer:
    """Open the next request to Lichess for a player; the caller holds the global gate."""
    return await service.claim(session, settings, body)


@worker_router.post("/runs/{run_id}/seen", status_code=status.HTTP_204_NO_CONTENT)
async def enter_seen(
    session: SessionDependency, settings: SettingsDependency, run_id: PositiveBigInt, body: SeenGames
) -> None:
    """Enter lines of a run in the manifest."""
    await service.enter_seen(session, settings, run_id, body.games)


@worker_router.post("/runs/{run_id}/garbled")
async def judge_garbled(
    session: SessionDependency, run_id: PositiveBigInt, body: GarbledLine
) -> GarbledAnswer:
    """Decide on a line that names no game."""
    return GarbledAnswer(verdict=await service.judge_garbled(session, run_id, body))


@worker_router.post("/runs/{run_id}/finish")
async def finish(
    session: SessionDependency, settings: SettingsDependency, run_id: PositiveBigInt, body: FetchReport
) -> FetchVerdict:
    """Close a run."""
    return await service.finish(session, settings, run_id, body)


@worker_router.post("/observations", responses=documented(HTTPStatus.NOT_FOUND))
async def take_in(session: SessionDependency, body: Observations) -> StoreAnswer:
    """Store games, or record why they can't be."""
    return await intake.take_in(session, body.observations)
