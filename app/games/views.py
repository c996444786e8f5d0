"""How does a client see a game?"""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from app.contract.analyses import AnalysisState, BudgetMode
from app.contract.games import (
    UNREPLAYABLE,
    Clock,
    Color,
    LichessEvaluation,
    Opening,
    OpeningSource,
    PlayerSide,
)
from app.contract.positions import EngineIdentity, EvaluationSource, Score
from app.contract.rules import ANALYSABLE_VARIANTS
from app.db.models import Game, GameAnalysis

LICHESS_URL = "https://lichess.org"


class TournamentView(BaseModel):
    """The arena or Swiss tournament that a game belongs to."""

    id: str
    name: str | None = Field(description="null where Lichess's export did not give it.")
    url: str = Field(description="The tournament at Lichess.")


class GameSummary(BaseModel):
    """A game without its moves, as lists show it."""

    id: str
    url: str = Field(description="The game at Lichess.")
    rated: bool
    variant: str
    speed: str
    status: str
    winner: Color | None
    created_at: datetime
    last_move_at: datetime
    white: PlayerSide
    black: PlayerSide
    opening: Opening | None = Field(
        description="null without a move, from a set-up position, and in variants without names for openings."
    )
    clock: Clock | None
    days_per_turn: int | None
    plies: int
    origin: str | None
    tournament: TournamentView | None = Field(description="The arena.")
    swiss: TournamentView | None = Field(description="The Swiss tournament, of which exports give no name.")
    analysis: AnalysisState | None = Field(description="null while the game is unfinished.")
    flags: list[str] = Field(
        description="What Scoresheet did not understand and kept as it came. `unreplayable:12`: the move"
        " after ply 12 breaks the rules as Scoresheet knows them."
    )


class MoveView(BaseModel):
    """One ply."""

    ply: int = Field(description="1 for White's first move.")
    san: str
    uci: str | None = Field(
        description="null from the first move on that can't be replayed. Castling is the king's way, and in"
        " Chess960, or from a position with its castling, king takes rook."
    )
    clock_cs: int | None = Field(description="Centiseconds left on the mover's clock after the move.")
    score: Score | None = Field(description="After the move, by Scoresheet's engine, from White's view.")
    nodes: int | None = Field(description="Budget that the score rests on; 0 where it is exact.")
    best_line: list[str] | None = Field(description="The engine's line from there on, in UCI.")
    lichess: LichessEvaluation | None = Field(description="After the move, by Lichess, from White's view.")


class PluginResultView(BaseModel):
    """What a plugin found."""

    plugin: str
    version: int
    result: dict[str, Any] | None
    error: str | None
    engine: EngineIdentity | None = Field(description="Whose evaluations it rests on, where an engine's.")
    source: EvaluationSource | None = Field(description="null where the plugin had no evaluations.")
    nodes: int | None = Field(
        description="Budget of a position where it matters; 0 without evaluations, null for Lichess's."
    )
    mode: BudgetMode | None = Field(description="As in `details`; unknown of results of older releases.")
    computed_at: datetime


class AnalysisView(BaseModel):
    """Where the analysis of a game stands."""

    state: AnalysisState
    attempts: int
    error_code: str | None = Field(
        description="Why the last attempt failed or, of an unsupported game, why there is none:"
        " unsupported_variant, unreplayable."
    )
    error: str | None
    engine: EngineIdentity | None = Field(
        description="Whose scores the moves show: that searched the game last. Each result names its own."
    )
    source: EvaluationSource | None = Field(
        description="lichess where only Lichess's evaluations were used; null where none were, or not yet."
    )
    nodes: int | None = Field(description="Budget of a position where it matters, in nodes.")
    mode: BudgetMode | None = Field(description="adaptive: less than `nodes` where nothing is at stake.")
    searched_positions: int | None = Field(
        description="Searches that the last pass made: 0 where the stored evaluations sufficed."
    )
    searched_nodes: int | None = Field(description="Nodes that they took.")
    analysed_at: datetime | None


class GameDetail(GameSummary):
    """A game with all that is known of it."""

    initial_fen: str | None
    initial_score: Score | None = Field(description="Of the position before the first move.")
    middlegame_ply: int | None
    endgame_ply: int | None
    moves: list[MoveView]
    details: AnalysisView | None
    results: list[PluginResultView]
    extra: dict[str, Any] = Field(description="Fields of Lichess's export that Scoresheet does not know yet.")


def problem(game: Game, analysis: GameAnalysis) -> dict[str, Any]:
    """Return the fields that say what keeps a game from being analysed."""
    code, error = analysis.error_code, analysis.error
    if analysis.state is AnalysisState.UNSUPPORTED and game.variant not in ANALYSABLE_VARIANTS:
        code, error = "unsupported_variant", f"Stockfish does not play {game.variant}"
    elif analysis.state is AnalysisState.UNSUPPORTED:
        reached = [flag.partition(":")[2] for flag in game.flags if flag.startswith(f"{UNREPLAYABLE}:")]
        code = UNREPLAYABLE
        error = "its initial position, or its first move, breaks the rules as Scoresheet knows them"
        if reached not in ([], ["0"]):
            error = f"what follows ply {reached[0]} breaks the rules as Scoresheet knows them"
    return {"error_code": code, "error": error}


def summary(game: Game, analysis: AnalysisState | None) -> dict[str, Any]:
    """Return the fields of GameSummary."""
    return {
        "id": game.source_id,
        "url": f"{LICHESS_URL}/{game.source_id}",
        "rated": game.rated,
        "variant": game.variant,
        "speed": game.speed,
        "status": game.status,
        "winner": game.winner,
        "created_at": game.created_at,
        "last_move_at": game.last_move_at,
        "white": game.white,
        "black": game.black,
        "opening": None
        if game.eco is None
        else {
            "eco": game.eco,
            "name": game.opening_name,
            "ply": game.opening_ply,
            "source": OpeningSource.SCORESHEET if game.opening_is_ours else OpeningSource.LICHESS,
        },
        "clock": None
        if game.initial_seconds is None
        else {"initial_seconds": game.initial_seconds, "increment_seconds": game.increment_seconds},
        "days_per_turn": game.days_per_turn,
        "plies": game.plies,
        "origin": game.origin,
        "tournament": _tournament("tournament", game.tournament, game.tournament_name),
        "swiss": _tournament("swiss", game.swiss, None),
        "analysis": analysis,
        "flags": game.flags,
    }


def _tournament(kind: str, tournament_id: str | None, name: str | None) -> TournamentView | None:
    if tournament_id is None:
        return None
    return TournamentView(
        id=tournament_id, name=name, url=f"{LICHESS_URL}/{kind}/{quote(tournament_id, safe='')}"
    )
