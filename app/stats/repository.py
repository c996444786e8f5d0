"""What do a player's games add up to?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, Row, case, cast, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.analyses import AnalysisState
from app.contract.games import Color, GameResult
from app.db.models import Game, GameAnalysis, GameMoves, PluginResult
from app.games.repository import result_is


class ResultCount(NamedTuple):
    """Games of one speed, colour and result."""

    speed: str
    color: Color
    result: GameResult
    against_self: bool
    """Played by one account alone: each such game is counted again under the other colour."""
    games: int


def _side(color: Color) -> ColumnElement[str | None]:
    return Game.white_id.expression if color is Color.WHITE else Game.black_id.expression


def _newest(plugin: str) -> ColumnElement[bool]:
    """Return the condition that a result is of a plugin's newest version."""
    newest = select(func.max(PluginResult.version)).where(PluginResult.plugin == plugin).scalar_subquery()
    return (PluginResult.plugin == plugin) & (PluginResult.version == newest)


def _number(value: Any) -> ColumnElement[float | None]:
    """Return a number of a result, NULL where a plugin of that name left something else there."""
    return case((func.jsonb_typeof(value) == "number", cast(value.astext, Float)), else_=None)


async def result_counts(session: AsyncSession, user_id: str) -> list[ResultCount]:
    """Return the counts of a player's games by speed, colour and result."""
    branches = []
    against_self = Game.white_id.is_not_distinct_from(Game.black_id)
    for color in Color:
        result = case(*((result_is(result, color), literal(result.value)) for result in GameResult))
        branches.append(
            select(
                Game.speed,
                literal(color.value).label("color"),
                result.label("result"),
                against_self.label("against_self"),
                func.count().label("n"),
            )
            .where(_side(color) == user_id)
            .group_by(Game.speed, result, against_self)
        )
    rows = await session.execute(union_all(*branches))
    return [ResultCount(row[0], Color(row[1]), GameResult(row[2]), row[3], row[4]) for row in rows]


async def analysis_counts(session: AsyncSession, user_id: str) -> dict[AnalysisState, int]:
    """Return how many of a player's games are in each state of analysis."""
    query = (
        select(GameAnalysis.state, func.count())
        .join(Game, Game.id == GameAnalysis.game_id)
        .where((Game.white_id == user_id) | (Game.black_id == user_id))
        .group_by(GameAnalysis.state)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def mean_accuracy(session: AsyncSession, user_id: str) -> dict[Color, tuple[float, int]]:
    """Return the mean accuracy in percent of a player's games by colour, with the count of games."""
    found: dict[Color, tuple[float, int]] = {}
    for color in Color:
        accuracy = _number(PluginResult.result[color.value]["accuracy"])
        query = (
            select(func.avg(accuracy), func.count(accuracy))
            .join(Game, Game.id == PluginResult.game_id)
            .where(_side(color) == user_id, _newest("accuracy"), accuracy.is_not(None))
        )
        mean, count = (await session.execute(query)).one()
        if count:
            found[color] = (float(mean), count)
    return found


async def largest_swings(session: AsyncSession, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return the games with the largest swings: game, moves in UCI, and the plugin's result."""
    change = _number(PluginResult.result["swing"]["change"])
    query = (
        select(Game, GameMoves.uci, PluginResult.result)
        .join(GameMoves, GameMoves.game_id == Game.id)
        .join(PluginResult, PluginResult.game_id == Game.id)
        .where(
            (Game.white_id == user_id) | (Game.black_id == user_id),
            _newest("largest_swing"),
            change.is_not(None),
            _number(PluginResult.result["swing"]["ply"]) <= Game.plies,
        )
        .order_by(func.abs(change).desc(), Game.created_at.desc(), Game.id)
        .limit(limit)
    )
    return (await session.execute(query)).all()
