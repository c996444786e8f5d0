"""HTTP: games."""

from dataclasses import fields
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter

from app.access.dependencies import require
from app.access.service import Scope
from app.contract.analyses import AnalysisState
from app.contract.games import Color, GameResult
from app.contract.wire import BigInt, GameId, Text, Username, UtcDatetime
from app.dependencies import SessionDependency
from app.errors import InvalidInput
from app.games import repository, service, views
from app.games.repository import GameFilter
from app.kit.pagination import Page, encode_cursor
from app.paging import DEFAULT_LIMIT, After, Limit, key_of

_KEY = TypeAdapter(tuple[UtcDatetime, BigInt])

_PARAMETERS = {field.name for field in fields(GameFilter)} | {"after", "limit"}

router = APIRouter(prefix="/v1/games", tags=["games"], dependencies=[Depends(require(Scope.READ))])


async def game_filter(  # noqa: PLR0917  each further argument is a query parameter
    request: Request,
    player: Username | None = None,
    color: Annotated[Color | None, Query(description="The player's.")] = None,
    opponent: Username | None = None,
    result: Annotated[GameResult | None, Query(description="From the player's view.")] = None,
    speed: Text | None = None,
    variant: Text | None = None,
    rated: bool | None = None,
    since: Annotated[UtcDatetime | None, Query(description="Created at or after.")] = None,
    until: Annotated[UtcDatetime | None, Query(description="Created before.")] = None,
    eco: Annotated[Text | None, Query(description="Beginning of the ECO code: B, B9, B90.")] = None,
    opening: Annotated[Text | None, Query(description="Beginning of the opening's name.")] = None,
    analysis: Annotated[AnalysisState | None, Query(description="State of the analysis.")] = None,
) -> GameFilter:
    """Return the filter that the query parameters describe; raises InvalidInput."""
    if unknown := request.query_params.keys() - _PARAMETERS:
        # Without this, a misspelt filter would answer with every game.
        raise InvalidInput(f"unknown parameter {', '.join(sorted(unknown))[:200]}")
    if player is None and (color or opponent or result):
        raise InvalidInput("color, opponent and result are a player's: name the player")
    return GameFilter(
        player=player and player.lower(),
        color=color,
        opponent=opponent and opponent.lower(),
        result=result,
        speed=speed,
        variant=variant,
        rated=rated,
        since=since,
        until=until,
        eco=eco,
        opening=opening,
        analysis=analysis,
    )


@router.get("")
async def list_games(
    session: SessionDependency,
    wanted: Annotated[GameFilter, Depends(game_filter)],
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[views.GameSummary]:
    """List games, the newest first."""
    rows = await repository.page(session, wanted, key_of(_KEY, after), limit)
    items = [views.GameSummary(**views.summary(game, state)) for game, state in rows]
    full = len(rows) == limit
    last = rows[-1][0] if full else None
    return Page(items=items, next=None if last is None else encode_cursor(_KEY, (last.created_at, last.id)))


@router.get("/{game_id}")
async def get_game(session: SessionDependency, game_id: GameId) -> views.GameDetail:
    """Return a game with its moves, clocks, evaluations and the plugins' results."""
    return await service.detail(session, game_id)
