"""Which evaluation that was found before may take the place of a search?"""

from collections.abc import Iterable
from typing import NamedTuple

import chess

from app.contract.positions import Evaluation, position_key


class Place(NamedTuple):
    """What two positions must share to be worth the same.

    Side to move, castling and en passant rights are in the key. The halfmove clock stands beside it: an
    engine trusts its advantage less the nearer the fifty-move rule is, from the first ply on. Repetitions are
    in neither: no search hears of what was played before.
    """

    position_key: int
    halfmove_clock: int

    @classmethod
    def of(cls, board: chess.Board) -> "Place":
        """Return the place of a position."""
        return cls(position_key(board), board.halfmove_clock)


class KnownEvaluations:
    """The evaluations of one engine at the positions of one game."""

    def __init__(self, evaluations: Iterable[Evaluation]) -> None:
        self._by_place: dict[tuple[Place, int], dict[int, Evaluation]] = {}
        for evaluation in evaluations:
            self.add(evaluation)

    def add(self, evaluation: Evaluation) -> None:
        """Keep one more."""
        place = Place(evaluation.position_key, evaluation.halfmove_clock)
        budgets = self._by_place.setdefault((place, evaluation.lines), {})
        budgets.setdefault(evaluation.budget_nodes, evaluation)

    def find(self, place: Place, nodes: int, *, richer_from: int, lines: int = 1) -> Evaluation | None:
        """Return the very search that is wanted, or else the poorest with a budget from `richer_from` on.

        A poorer one never does, nor one for another count of lines.

        Which one is found must not depend on the order in which games are analysed: then a game's results
        are a function of the game, the settings and what was stored under other settings. Every position is
        scanned before anything else. So a scan (richer_from = its nodes) finds itself if any game of the same
        settings came by, and whatever else is there was left by other settings. A deeper search may be
        lacking where a still deeper one was made for another game, so that only budgets beyond the reference
        (richer_from = reference + 1) can be relied on to be there for all.
        """
        budgets = self._by_place.get((place, lines), {})
        if nodes in budgets:
            return budgets[nodes]
        richer = [budget for budget in budgets if budget >= max(nodes, richer_from)]
        return budgets[min(richer)] if richer else None
