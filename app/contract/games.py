"""What is a game, once parsed and checked?"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from app.contract.positions import Score
from app.contract.wire import BigInt, GameId, Json, Ply, Text, UtcDatetime, WireModel

MAX_PLIES = 6_000
"""Longer than any legal game that was ever played on Lichess; bounds what one game may cost."""


class Color(StrEnum):
    """A side of the board."""

    WHITE = "white"
    BLACK = "black"


class GameResult(StrEnum):
    """The outcome for one player."""

    WIN = "win"
    DRAW = "draw"
    LOSS = "loss"
    UNKNOWN = "unknown"
    """Unfinished, aborted, or a status that says nothing of the outcome."""


# Values of Lichess (lichess-org/api @ f59dc80). A game whose value is not among them is stored with
# the value as it came and a flag: new ones appear without notice. Variants are in rules.py.
KNOWN_SPEEDS = frozenset({"ultraBullet", "bullet", "blitz", "rapid", "classical", "correspondence"})
UNREPLAYABLE = "unreplayable"
"""Begins the flag of a game that breaks the rules as Scoresheet knows them; behind a colon comes the ply up
to which it was replayed, 0 where its initial position can't be read."""
UNFINISHED_STATUSES = frozenset({"created", "started"})
DRAW_STATUSES = frozenset(
    {"draw", "stalemate", "insufficientMaterialClaim", "timeout", "outoftime", "variantEnd", "cheat"}
)
"""Where one of these has no winner, the game was drawn (a flag falls against bare king, …)."""
KNOWN_STATUSES = frozenset(
    {
        *("created", "started", "aborted", "mate", "resign", "stalemate", "timeout", "draw", "outoftime"),
        *("cheat", "noStart", "unknownFinish", "insufficientMaterialClaim", "variantEnd"),
    }
)


PHASE_ACCURACIES_MAX = 20
Percent = Annotated[int, Field(ge=0, le=100)] | Annotated[float, Field(ge=0, le=100)]


class JudgementCounts(WireModel):
    """What Lichess's own analysis says of one side."""

    inaccuracy: Annotated[int, Field(ge=0, le=10_000)]
    mistake: Annotated[int, Field(ge=0, le=10_000)]
    blunder: Annotated[int, Field(ge=0, le=10_000)]
    acpl: Annotated[int, Field(ge=0, le=100_000)]
    """Average centipawn loss."""
    accuracy: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent."""
    by_phase: dict[Text, Percent | dict[Text, Percent | None]] = Field(
        default_factory=dict, max_length=PHASE_ACCURACIES_MAX
    )
    """Accuracies by phase, in percent, under Lichess's own names; empty where it gives none."""


class PlayerSide(WireModel):
    """One side of a game; all empty for an anonymous player."""

    user_id: Text | None = None
    """Lichess's id: the username in lower case."""
    name: Text | None = None
    title: Text | None = None
    rating: Annotated[int, Field(ge=-10_000, le=10_000)] | None = None
    rating_diff: Annotated[int, Field(ge=-10_000, le=10_000)] | None = None
    provisional: bool = False
    ai_level: Annotated[int, Field(ge=0, le=100)] | None = None
    """Strength of Lichess's computer opponent."""
    team: Text | None = None
    analysis: JudgementCounts | None = None


class OpeningSource(StrEnum):
    """Who named the opening of a game."""

    LICHESS = "lichess"
    SCORESHEET = "scoresheet"
    """Where Lichess's export did not, by Lichess's table and rule (app/contract/openings.py)."""


class Opening(WireModel):
    """What the opening is called, and the ply of the last position that has this name."""

    eco: Text
    name: Text
    ply: Ply
    source: OpeningSource = Field(
        default=OpeningSource.LICHESS,
        description="Who named it: scoresheet where Lichess's export had no name.",
    )


class Clock(WireModel):
    """A real-time control, in seconds."""

    initial_seconds: Annotated[int, Field(ge=0, le=1_000_000)]
    increment_seconds: Annotated[int, Field(ge=0, le=1_000_000)]


class LichessEvaluation(WireModel):
    """Lichess's evaluation of the position after one move."""

    score: Score | None = None
    """None where Lichess gave neither."""
    best: Text | None = None
    """The better move, in UCI notation, where the played one was judged. As it leaves the API, castling is
    written as in `Moves.uci`."""
    variation: Text | None = None
    """The better line, in SAN."""
    judgement: Text | None = None
    """Inaccuracy, Mistake or Blunder."""


class Moves(WireModel):
    """The moves of a game, one entry a ply, in order."""

    san: list[Text] = Field(max_length=MAX_PLIES)
    uci: list[Text] | None = Field(max_length=MAX_PLIES)
    """As far as the moves could be replayed, which may be less far than `san` goes; None where the rules or
    the initial position are not known. Castling is king to its target square, and on a Chess960 board
    (app/contract/rules.py) king takes rook."""
    position_keys: list[BigInt] | None = Field(max_length=MAX_PLIES + 1)
    """One more than `uci`: the initial position comes first. None as that."""
    clocks_cs: list[Annotated[int, Field(ge=0, le=2**31 - 1)]] | None = Field(
        default=None, max_length=MAX_PLIES + 2
    )
    """Centiseconds left on the mover's clock after the move; may be shorter or longer than the moves."""

    @model_validator(mode="after")
    def _lengths_agree(self) -> "Moves":
        if self.uci is not None and len(self.uci) > len(self.san):
            raise ValueError("uci is longer than san")
        if (self.uci is None) != (self.position_keys is None):
            raise ValueError("uci and position_keys go together")
        if len(self.position_keys or []) != (0 if self.uci is None else len(self.uci) + 1):
            raise ValueError("position_keys must be one longer than uci")
        return self

    @property
    def replayed(self) -> bool:
        """Whether each move is known in UCI notation."""
        return self.uci is not None and len(self.uci) == len(self.san)


GameMoment = Annotated[UtcDatetime, Field(lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""So far from the calendar's end that waits can be added."""


class GameRecord(WireModel):
    """A game as Scoresheet stores it; the natural key is its source and id."""

    id: GameId
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the export's canonical JSON: tells whether two observations differ."""
    rated: bool
    variant: Text
    speed: Text
    perf: Text
    created_at: GameMoment
    last_move_at: GameMoment
    status: Text
    winner: Color | None = None
    white: PlayerSide
    black: PlayerSide
    origin: Text | None = None
    """Lichess's `source`: lobby, pool, friend, ai, arena, swiss, position, …"""
    initial_fen: Text | None = None
    opening: Opening | None = None
    clock: Clock | None = None
    days_per_turn: Annotated[int, Field(ge=0, le=1_000)] | None = None
    tournament: Text | None = None
    """Lichess's id of the arena."""
    tournament_name: Text | None = None
    """None in exports from before June 2026, which give the id alone."""
    swiss: Text | None = None
    """Lichess's id of the Swiss tournament."""
    middlegame_ply: Ply | None = None
    endgame_ply: Ply | None = None
    moves: Moves
    evaluations: list[LichessEvaluation] | None = Field(default=None, max_length=MAX_PLIES)
    """Lichess's own, one a ply from ply 1; may end before the game does."""
    flags: list[Text] = Field(default_factory=list, max_length=100)
    """What was not understood: "unknown_variant", "unknown_field:xyz", "unreplayable:12" (after ply 12), …;
    sorted."""
    extra: dict[Text, Json] = Field(default_factory=dict, max_length=100)
    """Fields of the export that Scoresheet does not know yet, as they came."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will be played."""
        return self.status not in UNFINISHED_STATUSES
