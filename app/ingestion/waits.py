"""How long is Lichess left alone after a request that ended badly, and a game that did not arrive?"""

from datetime import timedelta
from typing import Final

from app.contract.ingestion import FetchOutcome

# A round of the orchestrator (60 s) comes on top: after the last fault, work has to go on within 120 s.
_FAILURE_WAIT_MAX: Final = timedelta(seconds=45)
_CUT_WAIT_MAX: Final = timedelta(seconds=15)
"""Lichess answers, and only the connection broke: the next one may hold."""
_HOLE_WAIT_MAX: Final = timedelta(hours=6)
_DOUBLINGS_MAX: Final = 16


def after_failure(outcome: FetchOutcome, first: timedelta, failures: int) -> timedelta:
    """Return how long a player rests after a request without a new game; `failures` came right before it.

    The wait doubles with each, up to a ceiling that depends on how this one ended. A longer first wait, which
    an owner may set, never grows.
    """
    ceiling = _CUT_WAIT_MAX if outcome is FetchOutcome.CUT else _FAILURE_WAIT_MAX
    return _doubled(first, failures, max(first, ceiling))


def after_hole(first: timedelta, attempts: int, failures: int) -> timedelta:
    """Return when a hole is to be fetched again unless its game arrives; `attempts` is how often it was.

    What is no fault of the game, as a Lichess that does not answer, counts by the player's failures.
    """
    return _doubled(first, attempts + 1 + failures, _HOLE_WAIT_MAX)


def _doubled(first: timedelta, times: int, ceiling: timedelta) -> timedelta:
    wait: timedelta = first * 2 ** min(times, _DOUBLINGS_MAX)
    return min(wait, ceiling)
