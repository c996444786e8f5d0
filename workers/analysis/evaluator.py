"""What is each position of a game worth, searching as little as possible?"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

import chess

from app.contract.analyses import AnalysisClaim, BudgetMode
from app.contract.borrowing import Searched, best_line, lenders
from app.contract.positions import MAX_LINE_PLIES, EngineIdentity, Evaluation, exact_score
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from plugins.api import (
    AnalysedGame,
    Division,
    EarlierGames,
    Line,
    PositionEvaluation,
    Wish,
    side_to_move,
)
from workers.analysis.budget import Budget, Found, deepen, scan_nodes, wish_nodes
from workers.analysis.known import KnownEvaluations, Place
from workers.analysis.position import InvalidPosition, searchable


class Evaluator(Protocol):
    """Evaluates one position, as an engine slot does."""

    async def evaluate(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int = 1
    ) -> Evaluation:
        """Return what a position is worth."""


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


class GameSearch:
    """The search of one game: what is known is not searched again, and what is found is remembered.

    A finished position is worth what it is worth and not searched. A forced one (a single legal move) is: its
    value is its successor's, but what a search of so many nodes sees of the two differs by a ply. A position
    that recurs has another halfmove clock and is searched again; that it recurs, no search knows, so that a
    game drawn by repetition ends with the worth of its last position, as at Lichess.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        engine: EngineIdentity,
        budget: Budget,
        boards: Sequence[chess.Board],
        uci: Sequence[str],
        *,
        known: Iterable[Evaluation],
    ) -> None:
        self._evaluator = evaluator
        self._engine = engine
        self._budget = budget
        self._boards = boards
        self._uci = uci
        self._places = [Place.of(board) for board in boards]
        self._known = KnownEvaluations(known)
        self._exact = {ply: score for ply, board in enumerate(boards) if (score := exact_score(board))}
        self._scores: dict[int, Evaluation] = {}
        self._lines: dict[int, Evaluation] = {}
        self.new: list[Evaluation] = []
        """What was searched, in this order; also after a search that was broken off."""

    async def search(self, full: AbstractSet[int] = frozenset()) -> None:
        """Find the score of every position, and deepen as the budget has it; `full` as in `deepen`.

        Raises what the evaluator raises.
        """
        scan = scan_nodes(self._budget)
        for ply in range(len(self._boards)):
            if ply not in self._exact and ply not in self._scores:
                self._scores[ply] = await self._evaluation(ply, scan, richer_from=scan)
        starts = side_to_move(self._boards[0])
        while wanted := deepen(starts, self._found(), self._budget, full):
            for ply, nodes in wanted.items():
                self._scores[ply] = await self._evaluation(ply, nodes, richer_from=self._beyond_reference)

    async def fulfil(self, wishes: Mapping[int, Wish]) -> None:
        """Search for the lines that somebody wishes for, after `search`. Raises what the evaluator raises.

        With the nodes of `wish_nodes`: mostly fewer than the position's score rests on.
        """
        for ply, wish in sorted(wishes.items()):
            if wish.lines == 1 or ply not in self._scores:
                continue
            nodes = wish_nodes(self._budget, full=wish.full_budget)
            self._lines[ply] = await self._evaluation(
                ply, nodes, lines=wish.lines, richer_from=self._beyond_reference
            )

    def evaluations(self) -> tuple[PositionEvaluation, ...]:
        """Return what was found, as plugins see it: one a position, from ply 0.

        In the adaptive mode, what the deeper search of two neighbours found counts for both, where it can.
        """
        plies = range(len(self._boards))
        if self._budget.mode is BudgetMode.FIXED:
            return tuple(self._evaluation_of(ply, ply) for ply in plies)
        return tuple(
            self._evaluation_of(*each) for each in zip(plies, lenders(self._searched()), strict=True)
        )

    def position_nodes(self) -> list[int]:
        """Return the budget that each score rests on, 0 where it is exact."""
        return [
            0 if ply in self._exact else self._scores[ply].budget_nodes for ply in range(len(self._boards))
        ]

    @property
    def _beyond_reference(self) -> int:
        return self._budget.reference_nodes + 1

    async def _evaluation(self, ply: int, nodes: int, *, richer_from: int, lines: int = 1) -> Evaluation:
        known = self._known.find(self._places[ply], nodes, richer_from=richer_from, lines=lines)
        if known is not None:
            return known
        evaluation = await self._evaluator.evaluate(self._boards[ply], nodes, self._engine, lines)
        self._known.add(evaluation)
        self.new.append(evaluation)
        return evaluation

    def _found(self) -> list[Found]:
        played = [*self._uci, None]
        return [
            Found(evaluation.score, evaluation.budget_nodes, evaluation.pv[0], move)
            if (evaluation := self._scores.get(ply))
            else Found(self._exact[ply], 0, None, move)
            for ply, move in enumerate(played)
        ]

    def _best_line(self, ply: int, lender: int) -> tuple[str, ...]:
        own, lent = self._scores[ply].pv, self._scores[lender].pv
        if lender == ply:
            return tuple(own)
        played = self._uci[ply] if ply < len(self._uci) else None
        return tuple(best_line(own, lent, played, from_before=lender < ply)[:MAX_LINE_PLIES])

    def _searched(self) -> list[Searched]:
        return [
            Searched(item.nodes, item.score.mate is not None, item.best, item.played)
            for item in self._found()
        ]

    def _evaluation_of(self, ply: int, lender: int) -> PositionEvaluation:
        if ply in self._exact:
            return PositionEvaluation(score=self._exact[ply], depth=0, nodes=0, pv=())
        found = self._scores[lender]
        several = self._lines.get(ply)
        return PositionEvaluation(
            score=found.score,
            depth=found.depth,
            nodes=found.nodes,
            pv=self._best_line(ply, lender),
            lines=() if several is None else _lines(several),
            budget_nodes=found.budget_nodes,
        )


def _lines(evaluation: Evaluation) -> tuple[Line, ...]:
    first = Line(evaluation.score, tuple(evaluation.pv))
    return (first, *(Line(line.score, tuple(line.pv)) for line in evaluation.further))


def analysed_game(claim: AnalysisClaim) -> AnalysedGame:
    """Return a game as plugins see it, still without evaluations."""
    return AnalysedGame(
        id=claim.id,
        variant=claim.variant,
        initial_fen=claim.initial_fen,
        status=claim.status,
        winner=claim.winner,
        uci=tuple(claim.uci),
        clocks_cs=None if claim.clocks_cs is None else tuple(claim.clocks_cs),
        lichess_evaluations=None if claim.lichess_evaluations is None else tuple(claim.lichess_evaluations),
        speed=claim.speed,
        clock=claim.clock,
        days_per_turn=claim.days_per_turn,
        division=_division(claim),
        earlier_games={
            side: EarlierGames(item.games, tuple(item.reached), item.complete)
            for side, item in claim.earlier_games.items()
        },
    )


def _division(claim: AnalysisClaim) -> Division | None:
    if claim.middlegame_ply is None and claim.endgame_ply is None:
        return None  # the export had none, or none was needed: the rules then say the same
    return Division(middlegame_ply=claim.middlegame_ply, endgame_ply=claim.endgame_ply)
