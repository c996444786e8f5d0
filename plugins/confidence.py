"""How sure is a label that rests on so many nodes?

Measured on 74 real games (5,345 plies; Stockfish 17.1, one thread, clean hash): of 2,773 labels that searches
of 1,562 and of 6,250 nodes gave, how many did searches 16 times as deep give as well? The constants fit that.
Above 6,250 nodes the spread is extrapolated: it falls as it does, up to 25,000, against searches 4 times as
deep. Figures are in docs/analysis.md.
"""

import math
from typing import Final

EDGE: Final = 0.75
"""Chance that a label at a threshold changes. More than a half: large losses are more often too large than
too small, so that whoever has a label is likelier to lose it than others are to gain one."""
_SPREAD: Final = 0.13
"""Winning chances over which that chance falls by the factor e, with `_SPREAD_NODES`."""
_SPREAD_NODES: Final = 25_000
_FALL: Final = 0.2
"""The spread goes with the nodes to the power of minus this."""


def label_confidence(nodes: int, distance: float) -> float:
    """Return the probability, 0.25 to 1, that a search 16 times as deep gives a labelled move the same label.

    `nodes`, at least 1, is the smaller budget of the two positions around the move; `distance` is
    `plugins.lichess.threshold_distance`. Of moves without a label it says nothing: few of them gain one.
    """
    spread = _SPREAD * (nodes / _SPREAD_NODES) ** -_FALL
    return round(1 - EDGE * math.exp(-distance / spread), 3)
