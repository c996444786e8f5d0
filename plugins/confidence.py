"""How sure is a label that rests on so many nodes?

PROVISIONAL: the shape is assumed, only its ends are taken from measurement (20 rapid games against 300,000
nodes a position: 88 % of the labels agree at 10,000 nodes, 95 % at 300,000 searched in another order). A
table measured per budget and distance replaces it here, and nowhere else.
"""

import math
from typing import Final

_FEW_NODES: Final = (10_000, 0.04)
_MANY_NODES: Final = (300_000, 0.02)
"""Budgets with the typical error of a difference of winning chances there; between, and a little beyond, the
error falls evenly with the logarithm of the nodes."""
_SPREADS: Final = (0.01, 0.08)


def label_confidence(nodes: int, distance: float) -> float:
    """Return the probability, 0.5 to 1, that a much deeper search gives a move the same label.

    `nodes`, at least 1, is the smaller budget of the two positions around the move; `distance` is
    `plugins.lichess.threshold_distance`. At a threshold the label is a coin's toss.
    """
    return round(1 - 0.5 * math.exp(-distance / _spread(nodes)), 3)


def _spread(nodes: int) -> float:
    (few, wide), (many, narrow) = _FEW_NODES, _MANY_NODES
    share = math.log(nodes / few) / math.log(many / few)
    smallest, largest = _SPREADS
    return min(largest, max(smallest, wide + share * (narrow - wide)))
