"""What must a plugin be, what does it get, and what does it return?

A plugin answers one question about one analysed game. It is a subclass of `Plugin`, named by an entry
point in the group `scoresheet.plugins` of any installed distribution:

    [project.entry-points."scoresheet.plugins"]
    largest_swing = "plugins.largest_swing:LargestSwing"

Words in capitals are meant as in RFC 2119.

- A plugin SHALL declare `api_version`, `name`, `version`, `title`, `description` and `result_type`.
- Its `name` SHALL equal the entry point's name and SHALL be unique among the installed plugins.
- `version` SHALL grow whenever the same game could yield another result. Each game is then analysed by
  the new version; nothing is searched again where the stored evaluations suffice.
- `analyse` SHALL be a pure function of the game: same game, same result. It SHALL NOT read the clock, draw
  random numbers, open files or sockets, start threads, processes or engines, or keep state between games.
- `analyse` SHALL return an instance of `result_type`, whose JSON SHALL NOT exceed `MAX_RESULT_BYTES`, nor be
  nested deeper than `MAX_RESULT_DEPTH`. The results that a pass adds to a game are sent together: where they
  exceed `MAX_RESULTS_BYTES`, those that go beyond, in the order of names, fail and may be tried again.
- `analyse` SHALL cope with a game without moves, with one that ends at any ply, and with missing clocks
  and missing evaluations of Lichess. It MAY raise any exception: that is stored as the plugin's error for
  this game, and neither harms other plugins nor other games.
- A plugin SHALL declare in `needs` what it cannot do without, and MAY use whatever else it gets.
- A plugin MAY override `wishes` to ask for more at single positions: several lines, or the full budget. It is
  asked once, when every position has an evaluation, under the same rules as `analyse`. Wishes of all plugins
  are joined: what one asked for, the others may get as well. `analyse` SHALL cope with a wish that was not
  met, which happens where the evaluations are Lichess's.
- A plugin MAY import `plugins.*`, `app.contract` and `chess`, and libraries of its own.
- Later versions of this module MAY add attributes to `AnalysedGame` and fields, with defaults, to `Needs`;
  such additions keep `API_VERSION`. Anything that could break a plugin raises it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

import chess
from pydantic import BaseModel, ConfigDict

from app.contract.games import Clock, Color, LichessEvaluation
from app.contract.positions import EvaluationSource, Score, exact_score
from app.contract.rules import initial_board

__all__ = [
    "API_VERSION",
    "MAX_LINES",
    "MAX_RESULTS_BYTES",
    "MAX_RESULT_BYTES",
    "MAX_RESULT_DEPTH",
    "AnalysedGame",
    "Division",
    "EarlierGames",
    "Line",
    "Needs",
    "Plugin",
    "PluginOutput",
    "PositionEvaluation",
    "Wish",
    "initial_board",
    "side_to_move",
]

API_VERSION = 1
"""The version of this contract; a plugin declares the one that it was written for."""
MAX_RESULT_BYTES = 1_000_000
"""Longest result, as compact JSON in UTF-8."""
MAX_RESULT_DEPTH = 100
"""Deepest nesting of objects and lists in a result, itself counted. Readers of JSON give up at about 200."""
MAX_RESULTS_BYTES = 6_000_000
"""Longest results of all plugins in one pass over a game: with errors and provenance they fit one request."""
MAX_LINES = 5
"""Most lines that a plugin can ask for at a position."""


def side_to_move(board: chess.Board) -> Color:
    """Return whose move it is."""
    return Color.WHITE if board.turn == chess.WHITE else Color.BLACK


@dataclass(frozen=True, slots=True)
class Needs:
    """What a plugin can't do without; the defaults suit most."""

    evaluations: bool = True
    """An engine's evaluation of every position. A plugin that looks only at moves, clocks or Lichess's own
    evaluations says False: alone, it costs no search."""
    earlier_games: bool = False
    """How often the players had the same positions in games before this one; they are counted only for
    plugins that say True."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a plugin would like to have of one position beyond its evaluation."""

    lines: int = 1
    """The best so many moves, each with its score and line; from 1 to `MAX_LINES`. In the adaptive mode they
    get a sixteenth of the reference budget, whatever the position's score rests on."""
    full_budget: bool = False
    """Searched with the whole reference budget, wherever the adaptive mode would have stopped before; the
    search for several lines as well."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of several best lines of a position."""

    score: Score
    """From White's view."""
    pv: tuple[str, ...]
    """In UCI notation, the move that it is about first; at most 64 plies, never empty."""


@dataclass(frozen=True, slots=True)
class PositionEvaluation:
    """What the engine (or Lichess's) thinks of one position."""

    score: Score
    """From White's view. A position in which the game is over has mate 0 (checkmate) or 0 cp (stalemate)."""
    depth: int
    """Plies; 0 where the game is over, and where Lichess does not say."""
    nodes: int
    """Positions searched; 0 where the game is over, and where Lichess does not say."""
    pv: tuple[str, ...]
    """Best line in UCI notation, best move first, at most 64 plies; empty where the game is over."""
    lines: tuple[Line, ...] = ()
    """The best lines, best first; empty unless a plugin wished for several. They come from a search of their
    own, so the first need not equal `score` and `pv`. Fewer where the position has fewer moves."""
    budget_nodes: int = 0
    """The budget that `score` rests on; below the reference where the adaptive mode saw nothing at stake. The
    search may have been that of a neighbour (`app.contract.borrowing`)."""


@dataclass(frozen=True, slots=True)
class Division:
    """Where the phases of a game begin, as Lichess divides it; see `plugins.phases` for its use."""

    middlegame_ply: int | None
    """First ply of the middlegame; None where the game has none."""
    endgame_ply: int | None
    """First ply of the endgame; None where the game has none."""


@dataclass(frozen=True, slots=True)
class EarlierGames:
    """What one side of a game had played before it, with the same colour; see `app.contract.analyses`."""

    games: int
    """How many there are."""
    reached: tuple[int, ...]
    """Entry n: how many of them came to the position after ply n of this game in as many plies, by whichever
    moves. Entry 0: how many began from its initial position; at most to ply
    `app.contract.analyses.EARLIER_PLIES`."""
    complete: bool
    """Whether all that the account played before this game had been fetched and stored."""


@dataclass(frozen=True)
class AnalysedGame:
    """A finished game and what is known of its positions. Immutable: all plugins see the same.

    Ply n is the n-th single move, from 1; ply 0 is the initial position.
    """

    id: str
    variant: str
    """"standard", "chess960" or "fromPosition": engines play no other. The last is played on a Chess960 board
    where ordinary chess can't express its rights to castle (`app.contract.rules`)."""
    initial_fen: str | None
    """None for the usual starting position."""
    status: str
    """How the game ended, in Lichess's words: "mate", "resign", "outoftime", …"""
    winner: Color | None
    """None in draws and where nobody won."""
    uci: tuple[str, ...]
    """The moves: entry i is ply i + 1. On a Chess960 board castling is written king takes rook."""
    clocks_cs: tuple[int, ...] | None = None
    """Centiseconds left on the mover's clock after each ply; may be shorter or longer than the moves."""
    lichess_evaluations: tuple[LichessEvaluation, ...] | None = None
    """Lichess's own evaluations of the positions after each ply, from ply 1; may end before the game does."""
    evaluations: tuple[PositionEvaluation, ...] = ()
    """The engine's: entry n belongs to the position after ply n, so there is one more than moves. Empty for a
    game without moves, and where no plugin of this pass needs them."""
    evaluations_from: EvaluationSource = EvaluationSource.ENGINE
    """Whose `evaluations` are. Lichess's have a line where it judged the move that was played, which in some
    old exports is the very move that it calls the best."""
    speed: str = ""
    """Lichess's word: "ultraBullet", "bullet", "blitz", "rapid", "classical" or "correspondence"."""
    clock: Clock | None = None
    """The time control; None in correspondence and unlimited games."""
    days_per_turn: int | None = None
    """Of a correspondence game; None where there is no limit."""
    division: Division | None = None
    """Lichess's, where the export carried one; `plugins.phases` computes it elsewhere."""
    earlier_games: Mapping[Color, EarlierGames] = field(default_factory=dict)
    """What each side had played before, with the same colour, as far as it is known: only of tracked
    accounts, and only in a pass with a plugin that needs it."""

    def __post_init__(self) -> None:
        """Keep the caller's mapping out of reach."""
        object.__setattr__(self, "earlier_games", MappingProxyType(dict(self.earlier_games)))

    @property
    def plies(self) -> int:
        """Number of moves played, both sides counted."""
        return len(self.uci)

    @cached_property
    def starts(self) -> Color:
        """Who makes the first move."""
        return side_to_move(initial_board(self.variant, self.initial_fen))

    def mover(self, ply: int) -> Color:
        """Return who makes the move of a ply (from 1)."""
        first = self.starts
        if ply % 2 == 1:
            return first
        return Color.BLACK if first is Color.WHITE else Color.WHITE

    @cached_property
    def best_moves_known(self) -> bool:
        """Whether the engine's move is known in every position in which a move was played.

        Not so where the evaluations are Lichess's: they name a move only where a worse one was played, so
        that counting matches over them says nothing. False without evaluations, too.
        """
        # Where nobody can mate any more nothing is searched, and no move is better than another.
        return bool(self.evaluations) and all(
            evaluation.pv or exact_score(board) is not None
            for board, evaluation in zip(self.boards(), self.evaluations[: self.plies], strict=False)
        )

    @cached_property
    def moves(self) -> tuple[chess.Move, ...]:
        """The moves as python-chess knows them, in the order of `uci`."""
        return tuple(chess.Move.from_uci(uci) for uci in self.uci)

    def boards(self) -> Iterator[chess.Board]:
        """Yield the position of every ply from 0, one more than moves; each is the caller's own, without the
        moves that led there.
        """
        board = initial_board(self.variant, self.initial_fen)
        yield board.copy()
        for move in self.moves:
            board.push(move)
            board.clear_stack()
            yield board.copy()

    def board(self, ply: int) -> chess.Board:
        """Return the position after a ply, with the moves that led there on its stack."""
        board = initial_board(self.variant, self.initial_fen)
        for move in self.moves[:ply]:
            board.push(move)
        return board

    def san(self, ply: int) -> str:
        """Return the move of a ply (from 1) in standard algebraic notation."""
        return self.board(ply - 1).san(self.moves[ply - 1])


class PluginOutput(BaseModel):
    """Base of all results: unknown fields, NaN and infinities are refused; values don't change.

    The field names are the keys of the stored JSON, and with `version` they are a promise to frontends.
    Say in each field's docstring its unit and, of a score, whose view it takes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


Output_co = TypeVar("Output_co", bound=PluginOutput, covariant=True)


class Plugin(ABC, Generic[Output_co]):
    """One computation over one game. Subclasses take no arguments and keep no state."""

    api_version: ClassVar[int]
    """The `API_VERSION` that the plugin was written for: a literal, not the constant."""
    name: ClassVar[str]
    """Lower-case letters, digits and underscores, at most 64; the key of the results."""
    version: ClassVar[int]
    """From 1."""
    title: ClassVar[str]
    """For people, in a few words."""
    description: ClassVar[str]
    """For people: what the result says, in a sentence or two."""
    result_type: ClassVar[type[PluginOutput]]
    """The class that `analyse` returns; its JSON schema documents the result."""
    needs: ClassVar[Needs] = Needs()

    def wishes(self, game: AnalysedGame) -> Mapping[int, Wish]:  # noqa: ARG002 - for those who override it
        """Return what to add, by ply (0 to `game.plies`), before `analyse` is called; nothing by default."""
        return {}

    @abstractmethod
    def analyse(self, game: AnalysedGame) -> Output_co:
        """Compute the result of one game."""
