"""When does the producer wait for the consumers?"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from app.contract.ingestion import FetchOutcome
from workers.ingestion.cutoff import CutOff, RequestEnded
from workers.progress import board

_LOG = structlog.get_logger(__name__)

_LINES_PER_LOOK: Final = 50
"""The queue's length is asked for once in so many lines: it can overshoot by as much."""
_POLL_SECONDS: Final = 0.1


class Pressure:
    """Pauses reading from Lichess while too many games wait.

    TCP then slows Lichess down, so nothing piles up in memory. `waiting` tells how many games wait.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        *,
        high_water: int,
        low_water: int,
        pause_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = waiting
        self._high_water = high_water
        self._low_water = low_water
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lines = 0

    def yield_to_consumers(self, cutoff: CutOff) -> None:
        """Count a line and wait if the queue is too long; raises RequestEnded if it stays so, or on a cut."""
        self._lines += 1
        if self._lines % _LINES_PER_LOOK or self._waiting() < self._high_water:
            return
        started = self._clock()
        _LOG.info("consumers_behind")
        while self._waiting() > self._low_water:
            if self._clock() - started > self._pause_seconds:
                raise RequestEnded(FetchOutcome.STOPPED, "the consumers fell too far behind")
            board.advance()
            cutoff.wait(_POLL_SECONDS)
            cutoff.check()
        _LOG.info("consumers_caught_up", seconds=round(self._clock() - started, 1))
