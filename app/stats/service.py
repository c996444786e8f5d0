"""How does a player's record read at a glance?"""

from collections import defaultdict
from datetime import datetime
from typing import Any
from urllib.parse import quote

import chess
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.analyses import AnalysisState
from app.contract.games import Color, GameResult
from app.contract.rules import initial_board
from app.games.views import LICHESS_URL
from app.players import service as players
from app.stats import repository

SWINGS = 3


class Tally(BaseModel):
    """Results from the player's view.

    Each number is that of the games which the list of games shows for the same player, colour, speed and
    result. So a game against oneself is one game, and if somebody won, it is both a win and a loss.
    """

    games: int = 0
    win: int = 0
    draw: int = 0
    loss: int = Field(default=0, description="A won game against oneself is both a win and a loss.")
    unknown: int = Field(default=0, description="Aborted, not started, or unfinished.")


class MeanAccuracy(BaseModel):
    """Mean over games, in percent."""

    percent: float
    games: int


class SwingView(BaseModel):
    """One of the moves after which the winning chances changed most."""

    game: str
    game_url: str
    created_at: datetime
    white: str
    black: str
    ply: int
    san: str
    side: Color
    before: float = Field(description="Winning chances before the move, -1 to 1, from the mover's view.")
    after: float = Field(description="After the move, likewise.")
    fen: str = Field(description="The position before the move.")
    analysis_url: str = Field(description="That position on Lichess's analysis board.")


class PlayerSummary(BaseModel):
    """A player's games, added up."""

    username: str
    total: Tally
    by_color: dict[Color, Tally] = Field(
        description="By the player's colour; a game against oneself was played with both."
    )
    by_speed: dict[str, Tally]
    analyses: dict[AnalysisState, int] = Field(description="Finished games by the state of their analysis.")
    accuracy: dict[Color, MeanAccuracy] = Field(
        description="By the player's colour; a game against oneself has one with each."
    )
    largest_swings: list[SwingView]


async def summary(session: AsyncSession, username: str) -> PlayerSummary:
    """Return what a player's games add up to; raises NotFound."""
    player = await players.existing(session, username)
    total, by_color, by_speed = Tally(), defaultdict[Color, Tally](Tally), defaultdict[str, Tally](Tally)
    for count in await repository.result_counts(session, player.user_id):
        _add(by_color[count.color], count)
        for both_colors in (total, by_speed[count.speed]):
            _add(both_colors, count, again=count.against_self and count.color is Color.BLACK)
    analyses = await repository.analysis_counts(session, player.user_id)
    accuracy = await repository.mean_accuracy(session, player.user_id)
    swings = await repository.largest_swings(session, player.user_id, SWINGS)
    return PlayerSummary(
        username=player.username,
        total=total,
        by_color=by_color,
        by_speed=dict(sorted(by_speed.items(), key=lambda item: -item[1].games)),
        analyses={state: analyses.get(state, 0) for state in AnalysisState},
        accuracy={
            color: MeanAccuracy(percent=round(mean, 1), games=games)
            for color, (mean, games) in accuracy.items()
        },
        largest_swings=[view for row in swings if (view := _swing(*row)) is not None],
    )


def _add(tally: Tally, count: repository.ResultCount, *, again: bool = False) -> None:
    """Add games to a tally; `again` where it has them from the other colour's view already.

    From there a win was a loss and the reverse, while any other result was the same.
    """
    if not again:
        tally.games += count.games
    if not again or count.result in {GameResult.WIN, GameResult.LOSS}:
        name = count.result.value
        setattr(tally, name, getattr(tally, name) + count.games)


class _Swing(BaseModel):
    """What is shown of a result of the plugin largest_swing."""

    ply: int = Field(ge=1)
    san: str
    side: Color
    before: float
    after: float


def _swing(game: Any, uci: list[str] | None, result: dict[str, Any]) -> SwingView | None:
    """Return the view of a game's swing, None of a result that some other plugin of that name has left."""
    try:
        swing = _Swing.model_validate(result["swing"])
    except ValidationError:
        return None
    if uci is None or swing.ply > len(uci):
        return None
    board = initial_board(game.variant, game.initial_fen)
    for move in uci[: swing.ply - 1]:
        board.push(chess.Move.from_uci(move))
    fen = board.fen()
    return SwingView(
        game=game.source_id,
        game_url=f"{LICHESS_URL}/{game.source_id}",
        created_at=game.created_at,
        white=_name(game.white),
        black=_name(game.black),
        **swing.model_dump(),
        fen=fen,
        analysis_url=f"{LICHESS_URL}/analysis/{game.variant}/{quote(fen.replace(' ', '_'), safe='/-')}",
    )


def _name(side: dict[str, Any]) -> str:
    if "ai_level" in side:
        return f"Stockfish level {side['ai_level']}"
    return str(side.get("name", "Anonymous"))
