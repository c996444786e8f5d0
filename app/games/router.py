"""HTTP: games."""

from dataclasses import fields
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter

from app.access.dependencies import require
from app.access.service import Scope
from app.contract.analyses import AnalysisState
from app.contract.games import Color, GameResult
from app.contract.wire import BigInt, GameId, Text, Username, UtcDatetime
from app.db.models import Game
from app.dependencies import SessionDependency
from app.errors import InvalidInput
from app.games import repository, service, views
from app.games.repository import GameFilter, GameSort, Key
from app.kit.pagination import Page, encode_cursor
from app.paging import DEFAULT_LIMIT, After, Limit, key_of

_BY_CREATION: Final = TypeAdapter(tuple[UtcDatetime, BigInt])
_BY_LAST_MOVE: Final = TypeAdapter(tuple[Literal["last_move_at"], UtcDatetime, BigInt])
"""Names its list: in one sorted otherwise it would leave games out."""

_PARAMETERS = {field.name for field in fields(GameFilter)} | {"after", "limit"}

router = APIRouter(prefix="/v1/games", tags=["games"], dependencies=[Depends(require(Scope.READ))])


async def game_filter(  # noqa: PLR0917  each further argument is a query parameter
    request: Request,
    player: Username | None = None,
    color: Annotated[
        Color | None, Query(description="The player's; a game against oneself was played with both.")
    ] = None,
    opponent: Username | None = None,
    result: Annotated[
        GameResult | None,
        Query(description="From the player's view; a game against oneself may be both a win and a loss."),
    ] = None,
    speed: Text | None = None,
    variant: Text | None = None,
    rated: bool | None = None,
    sort: Annotated[
        GameSort, Query(description="By which moment, the newest first; `last_move_at` is a game's end.")
    ] = GameSort.CREATED_AT,
    since: Annotated[
        UtcDatetime | None, Query(description="At or after, by the moment that `sort` names.")
    ] = None,
    until: Annotated[
        UtcDatetime | None, Query(description="Before, by the moment that `sort` names.")
    ] = None,
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
        sort=sort,
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
    """List games, the newest first.

    A cursor goes with the `sort` that it came from. Games that arrive meanwhile are no part of the pages to
    come, nor, by `last_move_at`, are those that are played on: both are at the top of a new list.
    """
    rows = await repository.page(session, wanted, _key(wanted.sort, after), limit)
    items = [views.GameSummary(**views.summary(game, state)) for game, state in rows]
    return Page(items=items, next=_cursor(wanted.sort, rows[-1][0]) if len(rows) == limit else None)


def _key(sort: GameSort, cursor: str | None) -> Key | None:
    """Return where a page begins; raises InvalidInput for a cursor of another list."""
    if sort is GameSort.CREATED_AT:
        return key_of(_BY_CREATION, cursor)
    key = key_of(_BY_LAST_MOVE, cursor)
    return None if key is None else key[1:]


def _cursor(sort: GameSort, last: Game) -> str:
    if sort is GameSort.CREATED_AT:
        return encode_cursor(_BY_CREATION, (last.created_at, last.id))
    return encode_cursor(_BY_LAST_MOVE, ("last_move_at", last.last_move_at, last.id))


@router.get("/{game_id}")
async def get_game(session: SessionDependency, game_id: GameId) -> views.GameDetail:
    """Return a game with its moves, clocks, evaluations and the plugins' results."""
    return await service.detail(session, game_id)
