"""What did each move of an analysed game do to its mover's chances?

All plugins that talk of single moves start here, so that they agree on what a move lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from app.contract.games import Color
from app.contract.positions import EvaluationSource, Score
from plugins.api import AnalysedGame, PositionEvaluation
from plugins.lichess import CEILING_CP, INITIAL, Judgement, MoveScores, judge, win_percent
from plugins.phases import Phase, phases

WINNING_PERCENT = 75.0
"""From this Win% (three pawns) a side stands winning; the other, at 100 less this, losing."""
MATE_ON_BOARD = Score(mate=0)

Percent = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True, slots=True)
class RatedMove:
    """One move, with what the engine thought of the positions around it."""

    ply: int
    """Of the move, from 1."""
    mover: Color
    uci: str
    phase: Phase
    """In which it was made."""
    before: PositionEvaluation
    after: PositionEvaluation
    win_before: float
    """The mover's Win% before the move, in [0, 100]."""
    win_after: float
    """The mover's Win% after the move."""
    scores: MoveScores
    """As Lichess judges the move: on the first one of the game it starts from +15 centipawns, whatever the
    position, and the move that mates has no score after it."""

    @property
    def loss(self) -> float:
        """Win% that the move lost, at least 0."""
        return max(0.0, self.win_before - self.win_after)

    @property
    def judgement(self) -> Judgement | None:
        """Lichess's label."""
        return judge(self.scores)

    @property
    def best(self) -> str | None:
        """The engine's move in UCI notation, None where it is not known."""
        return self.before.pv[0] if self.before.pv else None

    @property
    def nodes(self) -> int:
        """The budget that every statement on the move rests on: the smaller of its two positions'.

        A position in which the game is over needs none. 0 where no budget is known, as with Lichess.
        """
        budgets = [evaluation.budget_nodes or evaluation.nodes for evaluation in (self.before, self.after)]
        return min((nodes for nodes in budgets if nodes), default=0)


def rated_moves(game: AnalysedGame) -> tuple[RatedMove, ...]:
    """Return all moves, in order; empty where the game has no evaluations."""
    wins = white_win_percents(game)
    in_phase = phases(game) if game.evaluations else ()
    line = game_line(game)
    befores: list[Score | None] = [INITIAL, *line]
    afters: list[Score | None] = [*line, *[None] * (game.plies - len(line))]
    known = better_known(game)
    found = []
    for index, (before, after) in enumerate(pairwise(game.evaluations)):
        mover = game.mover(index + 1)
        found.append(
            RatedMove(
                ply=index + 1,
                mover=mover,
                uci=game.uci[index],
                phase=in_phase[index],
                before=before,
                after=after,
                win_before=seen_by(mover, wins[index]),
                win_after=seen_by(mover, wins[index + 1]),
                scores=MoveScores(mover, befores[index], afters[index], known[index]),
            )
        )
    return tuple(found)


def game_line(game: AnalysedGame) -> list[Score | None]:
    """Return the scores that Lichess's formulas take: see `plugins.lichess`."""
    scores: list[Score | None]
    if game.evaluations_from is EvaluationSource.LICHESS:
        # What it did not rate, such as a dead position after its cut at 200 plies, is no part of its numbers.
        scores = [evaluation.score for evaluation in (game.lichess_evaluations or ())[: game.plies]]
    else:
        scores = [evaluation.score for evaluation in game.evaluations[1:]]
    if scores and scores[-1] == MATE_ON_BOARD:
        scores.pop()  # Lichess does not rate the move that mates
    return scores


def better_known(game: AnalysedGame) -> list[bool]:
    """Tell of each move, from ply 1, whether the engine prefers another.

    Of Lichess's evaluations that is where it gives a line (lila `Info.hasVariation`), whatever its first
    move: some old exports judge a castling and call the same castling the best move.
    """
    if game.evaluations_from is EvaluationSource.LICHESS:
        return [bool(evaluation.pv) for evaluation in game.evaluations[: game.plies]]
    return [
        bool(evaluation.pv) and evaluation.pv[0] != uci
        for evaluation, uci in zip(game.evaluations, game.uci, strict=False)
    ]


def white_win_percents(game: AnalysedGame) -> list[float]:
    """Return White's Win% in every position, from ply 0."""
    percents = []
    for ply, evaluation in enumerate(game.evaluations):
        if evaluation.score == MATE_ON_BOARD:  # the side to move is mated
            sign = -1 if game.mover(ply + 1) is Color.WHITE else 1
            percents.append(win_percent(Score(cp=sign * CEILING_CP)))
        else:
            percents.append(win_percent(evaluation.score))
    return percents


def seen_by(side: Color, white_percent: float) -> float:
    """Return a Win% from a side's view, given White's."""
    return white_percent if side is Color.WHITE else 100 - white_percent


def percent(value: float) -> float:
    """Round a Win%: two decimals say more than an engine knows, and no math library changes them."""
    return round(value, 2) + 0.0  # of -0.0 it makes 0.0


def mean_percent(values: Sequence[float]) -> float | None:
    """Return the rounded mean, None of nothing."""
    return percent(sum(values) / len(values)) if values else None
