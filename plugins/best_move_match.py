"""How often did each side find the engine's move, beyond what luck and easy positions explain?

A match says little where every move is as good, or where only one can be played. So each decision is set
against two measures: *luck*, the chance of hitting the move blindly, one in the number of legal moves; and
*hardness*, the Win% that the second best move would lose. Hardness takes a search for two lines, which is
wished for at an even sample of each side's decisions; which move is the engine's, the position's own search
says.

Lichess's own evaluations name a move only where a worse one was played: with them there are no decisions,
since all would be misses.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import chess
from pydantic import Field

from app.contract.games import Color
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput, PositionEvaluation, Wish
from plugins.lichess import win_percent
from plugins.moves import Percent, RatedMove, percent, rated_moves

FIRST_PLY = 9
"""Before it both sides play what everybody plays."""
OPEN_PERCENT = (10.0, 90.0)
"""Outside of this Win% the game is decided and the engine's choice a matter of taste."""
SAMPLE = 8
"""Decisions of each side at which two lines are wished for."""
HARD_PERCENT = 10.0
"""A decision is hard where the second best move would lose at least this much Win%: a mistake."""

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Matches(PluginOutput):
    """Decisions, and in how many of them the engine's move was played."""

    decisions: Count
    matches: Count
    by_luck: Annotated[float, Field(ge=0)]
    """Matches that blind choice among the legal moves would make on average."""
    sigmas: float | None
    """How many standard deviations of blind choice the matches lie above `by_luck`. None of no decision."""


class SideMatch(PluginOutput):
    """One side's matches."""

    all: Matches
    """Of every decision: a move from ply `FIRST_PLY` on, with at least two legal moves and no recapture, in
    a position that is not decided (10 to 90 Win%). None at all where the evaluations are Lichess's."""
    sampled: Matches
    """Of those decisions whose hardness is known."""
    hard: Matches
    """Of those among them where the second best move would have been a mistake (10 Win% or more)."""
    weighted_rate: Share | None
    """Of the sampled decisions: the share of hardness that was mastered. None where there is none at all."""
    mean_hardness: Percent | None
    """Win% that the second best move would lose, on average over the sampled decisions; None of none."""


class BestMoveMatchResult(PluginOutput):
    """Both sides' matches."""

    white: SideMatch
    black: SideMatch


@dataclass(frozen=True, slots=True)
class _Decision:
    move: RatedMove
    legal_moves: int


class BestMoveMatch(Plugin[BestMoveMatchResult]):
    """Weighs matches with the engine's move."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "best_move_match"
    version: ClassVar[int] = 4
    title: ClassVar[str] = "Best move match"
    description: ClassVar[str] = (
        "How often the engine's move was played where there was something to decide, against blind luck and "
        "weighted by what the second best move would have lost."
    )
    result_type: ClassVar[type[PluginOutput]] = BestMoveMatchResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def wishes(self, game: AnalysedGame) -> Mapping[int, Wish]:
        """Ask for two lines at an even sample of each side's decisions."""
        decisions = _decisions(game)
        return {
            decision.move.ply - 1: Wish(lines=2)
            for side in Color
            for decision in _even_sample([item for item in decisions if item.move.mover is side])
        }

    def analyse(self, game: AnalysedGame) -> BestMoveMatchResult:
        """Sum up both sides."""
        decisions = _decisions(game)
        white, black = (_side([item for item in decisions if item.move.mover is side]) for side in Color)
        return BestMoveMatchResult(white=white, black=black)


def _decisions(game: AnalysedGame) -> list[_Decision]:
    if not game.best_moves_known:
        return []
    moves = rated_moves(game)
    found = []
    low, high = OPEN_PERCENT
    taken: chess.Square | None = None
    for move, board in zip(moves, game.boards(), strict=False):
        played = game.moves[move.ply - 1]
        recaptured, taken = taken, played.to_square if board.is_capture(played) else None
        if move.ply < FIRST_PLY or not low <= move.win_before <= high or move.best is None:
            continue
        if recaptured is not None and chess.Move.from_uci(move.best).to_square == recaptured:
            continue  # taking back is what everybody sees
        legal_moves = board.legal_moves.count()
        if legal_moves > 1:
            found.append(_Decision(move, legal_moves))
    return found


def _even_sample(decisions: Sequence[_Decision]) -> list[_Decision]:
    count = len(decisions)
    if count <= SAMPLE:
        return list(decisions)
    return [decisions[(2 * index + 1) * count // (2 * SAMPLE)] for index in range(SAMPLE)]


def _hardness(side: Color, evaluation: PositionEvaluation) -> float | None:
    """Return the Win% that the second best move loses, None where two lines are not known."""
    if len(evaluation.lines) < 2:
        return None
    first, second = (win_percent(line.score) for line in evaluation.lines[:2])
    return max(0.0, first - second if side is Color.WHITE else second - first)


def _is_match(decision: _Decision) -> bool:
    # Not the first of the two lines: half of their search went to the second.
    return decision.move.uci == decision.move.best


def _side(decisions: Sequence[_Decision]) -> SideMatch:
    hardness = [(item, _hardness(item.move.mover, item.move.before)) for item in decisions]
    sampled = [(item, value) for item, value in hardness if value is not None]
    total = sum(value for _, value in sampled)
    mastered = sum(value for item, value in sampled if _is_match(item))
    return SideMatch(
        all=_matches(decisions),
        sampled=_matches([item for item, _ in sampled]),
        hard=_matches([item for item, value in sampled if value >= HARD_PERCENT]),
        weighted_rate=round(mastered / total, 3) if total > 0 else None,
        mean_hardness=percent(total / len(sampled)) if sampled else None,
    )


def _matches(decisions: Sequence[_Decision]) -> Matches:
    matches = sum(map(_is_match, decisions))
    luck = [1 / item.legal_moves for item in decisions]
    by_luck = math.fsum(luck)
    variance = math.fsum(chance * (1 - chance) for chance in luck)
    return Matches(
        decisions=len(decisions),
        matches=matches,
        by_luck=round(by_luck, 3),
        sigmas=round((matches - by_luck) / math.sqrt(variance), 2) + 0.0 if decisions else None,
    )
