"""What if one task after another fails?

Then it is hardly the games' fault: the process rests longer and longer between them, and its line of status
says why. What is left undone stands in PostgreSQL, and comes again.
"""

import time
from collections.abc import Callable
from typing import Final

LOOP_FROM: Final = 3
"""So many failures in a row are a loop: fewer may be chance."""
_LONGEST_PAUSE_SECONDS: Final = 30.0
_STEP_SECONDS: Final = 0.5


def described(error: BaseException) -> str:
    """Return an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def pause_seconds(in_a_row: int) -> float:
    """Return how long one task is to take at least when it is the last of so many that failed."""
    if in_a_row < LOOP_FROM:
        return 0.0
    return min(_LONGEST_PAUSE_SECONDS, 2.0 ** min(in_a_row - LOOP_FROM, 10))


def rest(
    since: float,
    seconds: float,
    stopping: Callable[[], bool],
    moves: Callable[[], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until so many seconds after that moment, or the worker's stop; `moves` is for the watchdog."""
    while (left := since + seconds - clock()) > 0 and not stopping():
        sleep(min(left, _STEP_SECONDS))
        moves()
