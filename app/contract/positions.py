"""Which positions are the same, and what is one worth?"""

from enum import StrEnum
from typing import Annotated

import chess
import chess.polyglot
from pydantic import Field, model_validator

from app.contract.wire import BigInt, PositiveBigInt, Text, WireModel

# Castling moves are written differently in Chess960 (king takes rook), so the same diagram has
# another evaluation line there: the two must not share a key.
_CHESS960 = 0x9E3779B97F4A7C15
# Polyglot has one right a side, here that of the outer rook of two: the inner one's is another.
_INNER_ROOK = 0xD6E8FEB86659FD93

Centipawns = Annotated[int, Field(ge=-100_000, le=100_000)]
"""Hundredths of a pawn, positive where White is better."""
MateIn = Annotated[int, Field(ge=-1_000, le=1_000)]
"""Moves to mate, positive where White mates; 0 where the side to move is mated."""
HalfmoveClock = Annotated[int, Field(ge=0, le=32_767)]
"""Plies since the last capture or pawn move: the fifty-move rule's counter."""
Nodes = Annotated[int, Field(ge=1, le=10**12)]
"""Budget of one position, in nodes searched."""
Lines = Annotated[int, Field(ge=1, le=500)]
"""How many of the best moves a search looked for (UCI's MultiPV)."""
MAX_LINE_PLIES = 64
"""Plies of a best line that are kept."""
BestLine = Annotated[
    list[Annotated[str, Field(pattern=r"^[a-h][1-8][a-h][1-8][qrbnk]?$")]], Field(max_length=MAX_LINE_PLIES)
]
"""A line in UCI notation, best move first."""

MAX_BATCH = 1_000
"""Most evaluations in one message."""


class EvaluationSource(StrEnum):
    """Whose evaluations an analysis rests on."""

    ENGINE = "engine"
    LICHESS = "lichess"
    """Those that Lichess exported with the game."""


def position_key(board: chess.Board) -> int:
    """Return the signed 64-bit Zobrist key of a position (Polyglot's, Chess960 set apart).

    It covers placement, side to move, castling rights and a capturable en passant square, and
    neither the halfmove clock nor repetitions.
    """
    key = chess.polyglot.zobrist_hash(board) ^ chess960_mark(board)
    return key - 2**64 if key >= 2**63 else key


def chess960_mark(board: chess.Board) -> int:
    """Return what sets the key of a position in Chess960 apart from Polyglot's; 0 in ordinary chess."""
    if not board.chess960:
        return 0
    return _CHESS960 ^ (_inner_rooks_with_rights(board) * _INNER_ROOK) % 2**64


def _inner_rooks_with_rights(board: chess.Board) -> chess.Bitboard:
    """Return the rooks that may castle although another of their side stands between them and the edge."""
    rights = board.clean_castling_rights()
    inner = chess.BB_EMPTY
    for color, home in ((chess.WHITE, chess.BB_RANK_1), (chess.BLACK, chess.BB_RANK_8)):
        king = board.king(color)
        for rook in chess.scan_forward(rights & home):
            left_of = chess.BB_SQUARES[rook] - 1
            outside = ~left_of & ~chess.BB_SQUARES[rook] if king is not None and king < rook else left_of
            if board.rooks & board.occupied_co[color] & home & outside:
                inner |= chess.BB_SQUARES[rook]
    return inner


class Score(WireModel):
    """What a position is worth, from White's view: centipawns or a mate, never one folded into the other."""

    cp: Centipawns | None = None
    mate: MateIn | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Score":
        if (self.cp is None) == (self.mate is None):
            raise ValueError("a score is either centipawns or a mate")
        return self


def exact_score(board: chess.Board) -> Score | None:
    """Return what needs no search: a position in which the game is over; None for any other.

    Mate is mate 0; stalemate, and material with which nobody can ever mate, are worth 0 centipawns. Not here:
    the hundredth ply without progress (no end by itself, and a search sees it, since a FEN has the clock) and
    the third repetition (a matter of the game, not of the position).
    """
    if not any(board.generate_legal_moves()):
        return Score(mate=0) if board.is_check() else Score(cp=0)
    return Score(cp=0) if board.is_insufficient_material() else None


class EngineIdentity(WireModel):
    """Which engine produced an evaluation: everything but the budget that could change its result."""

    name: Text
    """As the engine gives it: "Stockfish 17"."""
    net: Text = ""
    """The networks' file names, comma separated; empty where the engine has none."""
    hash_mb: Annotated[int, Field(ge=1, le=1_048_576)]
    threads: Annotated[int, Field(ge=1, le=1_024)] = 1


class FurtherLine(WireModel):
    """The second best move of a position, or the third, …"""

    score: Score
    pv: BestLine


class Evaluation(WireModel):
    """One position searched once, from a clean hash, to a fixed count of nodes."""

    position_key: BigInt
    halfmove_clock: HalfmoveClock
    budget_nodes: Nodes
    """What the search was allowed; with the position, the engine and `lines` it decides all the rest."""
    lines: Lines = 1
    """What the search was asked for. The nodes are shared: one that looks for three lines sees less of the
    first than one that looks for it alone, so neither stands in for the other."""
    score: Score
    depth: Annotated[int, Field(ge=0, le=1_000)]
    """Plies of the last iteration that the engine reported."""
    nodes: PositiveBigInt
    """Nodes that the search really took."""
    pv: BestLine
    further: Annotated[list[FurtherLine], Field(max_length=499)] = Field(default_factory=list)
    """The lines after the first, best first; fewer than asked for where the position has fewer moves."""


class EvaluationBatch(WireModel):
    """What an engine found, for the store."""

    engine: EngineIdentity
    evaluations: Annotated[list[Evaluation], Field(max_length=MAX_BATCH)]
