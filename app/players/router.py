"""HTTP: tracked accounts."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Response, status
from pydantic import TypeAdapter

from app.access.dependencies import require
from app.access.service import Scope
from app.broker import Broker, broker_of
from app.contract.names import TaskName
from app.contract.players import PlayerView
from app.contract.wire import Text, Username
from app.dependencies import SessionDependency
from app.kit.pagination import Page, encode_cursor
from app.paging import DEFAULT_LIMIT, After, Limit, key_of
from app.players import service

_KEY = TypeAdapter(Text)
_READ = [Depends(require(Scope.READ))]
_WRITE = [Depends(require(Scope.WRITE))]

router = APIRouter(prefix="/v1/players", tags=["players"])
BrokerDependency = Annotated[Broker, Depends(broker_of)]


@router.get("", dependencies=_READ)
async def list_players(
    session: SessionDependency, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[PlayerView]:
    """List the tracked accounts by name, each with its sync state and completeness."""
    items = await service.page(session, key_of(_KEY, after), limit)
    full = len(items) == limit
    return Page(items=items, next=encode_cursor(_KEY, items[-1].username.lower()) if full else None)


@router.get("/{username}", dependencies=_READ)
async def get_player(session: SessionDependency, username: Username) -> PlayerView:
    """Return one account."""
    return await service.get(session, username)


@router.put("/{username}", dependencies=_WRITE, responses={201: {"model": PlayerView}})
async def track_player(
    session: SessionDependency,
    username: Username,
    response: Response,
    background: BackgroundTasks,
    broker: BrokerDependency,
) -> PlayerView:
    """Track an account: its whole history is fetched, then every new game. 201 if it is new, else 200."""
    view, new = await service.track(session, username)
    if new:
        response.status_code = status.HTTP_201_CREATED
        background.add_task(broker.hint, TaskName.FETCH_PLAYER_GAMES, view.username)
    return view


@router.delete("/{username}", dependencies=_WRITE, status_code=status.HTTP_204_NO_CONTENT)
async def untrack_player(session: SessionDependency, username: Username) -> None:
    """Stop fetching an account. Its games stay."""
    await service.untrack(session, username)


@router.post("/{username}/sync", dependencies=_WRITE, status_code=status.HTTP_202_ACCEPTED)
async def sync_player(
    session: SessionDependency, username: Username, background: BackgroundTasks, broker: BrokerDependency
) -> PlayerView:
    """Fetch an account now; also wakes one that Lichess did not know, or whose token was not valid."""
    view = await service.request_sync(session, username)
    background.add_task(broker.hint, TaskName.FETCH_PLAYER_GAMES, view.username)
    return view
