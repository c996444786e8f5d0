"""Whose search tells what a position of a game is worth, where the one beside it was searched deeper?

A search of a position in which the best move was played is one of the position after that move as well. So
where one of the two was granted more nodes than the other, its score counts for both. In the adaptive mode
that takes a third off the error of a side's accuracy, for no nodes at all (docs/analysis.md).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_FACTOR: Final = 2
"""So many times the nodes a neighbour's search must have had."""


class Searched(NamedTuple):
    """What matters of a position of a game, and of its own search."""

    nodes: int
    """The search's budget; 0 where none was needed."""
    mate: bool
    """Whether it found a mate: how far that is differs by a move, and it is sure."""
    best: str | None
    """The best move in UCI notation; None where there is none."""
    played: str | None
    """The move that was made; None in the last position."""


def lenders(searched: Sequence[Searched]) -> list[int]:
    """Return for each ply, from 0, the ply whose search tells its score: its own, or one beside it."""
    last = len(searched) - 1
    return [
        max(
            [
                ply,
                *(
                    other
                    for other in (ply - 1, ply + 1)
                    if 0 <= other <= last and _lends(searched, other, ply)
                ),
            ],
            key=lambda at: searched[at].nodes,
        )
        for ply in range(len(searched))
    ]


def _lends(searched: Sequence[Searched], lender: int, ply: int) -> bool:
    before, own = searched[min(lender, ply)], searched[ply]
    return (
        before.best is not None
        and before.best == before.played
        and own.nodes > 0
        and searched[lender].nodes >= _FACTOR * own.nodes
        and not (own.mate or searched[lender].mate)
    )


def best_line(own: Sequence[str], lent: Sequence[str], played: str | None, *, from_before: bool) -> list[str]:
    """Return the best line of a position, as its lender sees it.

    `own` is the line of the position's own search, `lent` that of its lender, the position before or else the
    one after the move that was `played`.
    """
    if from_before:
        return [*lent[1:]] or [*own]  # it begins with the move that led here
    return [*([] if played is None else [played]), *lent]
