"""What is each position of a game worth, searching as little as possible?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import chess

from app.contract.analyses import AnalysisClaim
from app.contract.games import ANALYSABLE_VARIANTS
from app.contract.positions import EngineIdentity, Evaluation, position_key
from plugins.api import AnalysedGame, PositionEvaluation, initial_board
from workers.analysis.position import InvalidPosition, searchable


class Evaluator(Protocol):
    """Evaluates one position, as an engine slot does."""

    async def evaluate(self, board: chess.Board, nodes: int, expected: EngineIdentity) -> Evaluation:
        """Return what a position is worth."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Who searches a position, and how long."""

    engine: EngineIdentity
    nodes: int


@dataclass(slots=True)
class GameEvaluations:
    """The evaluations of one game."""

    by_ply: list[Evaluation] = field(default_factory=list)
    """From ply 0."""
    new: list[Evaluation] = field(default_factory=list)
    """Those that were not known before, each position once, by its first ply."""


def replay(claim: AnalysisClaim) -> list[chess.Board]:
    """Return the position of every ply from 0, without history; raises InvalidPosition.

    The first position is checked whole. From a valid one legal moves lead to valid ones.
    """
    if claim.variant not in ANALYSABLE_VARIANTS:
        raise InvalidPosition(f"variant {claim.variant} cannot be searched")
    try:
        board = initial_board(claim.variant, claim.initial_fen)
    except ValueError as error:
        raise InvalidPosition(f"FEN {claim.initial_fen}: {error}") from error
    searchable(board)
    boards = [board.copy(stack=False)]
    for ply, uci in enumerate(claim.uci, start=1):
        try:
            move = board.parse_uci(uci)
        except ValueError as error:
            raise InvalidPosition(f"ply {ply}: {error}") from error
        if not move:  # "0000" passes for legal
            raise InvalidPosition(f"ply {ply}: a null move")
        board.push(move)
        board.clear_stack()
        boards.append(board.copy(stack=False))
    return boards


async def evaluate_game(
    evaluator: Evaluator,
    boards: Sequence[chess.Board],
    known: Sequence[Evaluation],
    budget: Budget,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> GameEvaluations:
    """Evaluate every position, each once, known ones not at all.

    `progress` hears how many positions are done, of how many. A position that recurs is worth the same
    each time: neither the key nor the halfmove clock knows of repetitions, nor does the engine. Raises what
    the evaluator raises.
    """
    worth = {(item.position_key, item.halfmove_clock): item for item in known}
    found = GameEvaluations()
    for done, board in enumerate(boards, start=1):
        place = (position_key(board), board.halfmove_clock)
        evaluation = worth.get(place)
        if evaluation is None:
            evaluation = await evaluator.evaluate(board, budget.nodes, budget.engine)
            worth[place] = evaluation
            found.new.append(evaluation)
        found.by_ply.append(evaluation)
        progress(done, len(boards))
    return found


def analysed_game(claim: AnalysisClaim, evaluations: Sequence[Evaluation]) -> AnalysedGame:
    """Return a game as plugins see it."""
    return AnalysedGame(
        id=claim.id,
        variant=claim.variant,
        initial_fen=claim.initial_fen,
        status=claim.status,
        winner=claim.winner,
        uci=tuple(claim.uci),
        clocks_cs=None if claim.clocks_cs is None else tuple(claim.clocks_cs),
        lichess_evaluations=None if claim.lichess_evaluations is None else tuple(claim.lichess_evaluations),
        evaluations=tuple(
            PositionEvaluation(score=item.score, depth=item.depth, nodes=item.nodes, pv=tuple(item.pv))
            for item in evaluations
        ),
    )
