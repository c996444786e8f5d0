"""What is a worker's line in `systemctl status`?"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from workers.failures import LOOP_FROM, described
from workers.progress import Board, Slot
from workers.settings import Role

_LOG = structlog.get_logger(__name__)

_RATE_SECONDS: Final = {Role.CONSUMER: 30.0, Role.ANALYSIS_CONSUMER: 600.0}
"""Over how long the speed of a role with many children is measured."""


class Status:
    """Makes the line of one role out of what its children have noted."""

    def __init__(
        self, role: Role, board: Board, processes: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._role = role
        self._board = board
        self._processes = processes
        self._clock = clock
        self._done: deque[tuple[float, int]] = deque()
        """When how many games were done, the oldest first."""

    def line(self) -> str:
        """Return the line; call it regularly."""
        slots = self._board.slots(self._processes)
        worst = max(slots, key=lambda slot: slot.failures)
        if worst.failures >= LOOP_FROM:
            return f"failing, {worst.failures:,} times in a row: {worst.text}"
        if self._role not in _RATE_SECONDS:
            return slots[0].text or "idle"
        rate = self._rate(sum(slot.done for slot in slots), _RATE_SECONDS[self._role])
        if self._role is Role.CONSUMER:
            return _storing(rate, self._board.backlog)
        return _analysing(slots, rate, self._board.backlog)

    def _rate(self, done: int, over_seconds: float) -> float:
        """Return the games a second."""
        now = self._clock()
        self._done.append((now, done))
        while len(self._done) > 2 and self._done[1][0] <= now - over_seconds:
            self._done.popleft()
        then, done_then = self._done[0]
        return (done - done_then) / (now - then) if now > then else 0.0


def note_backlog(board: Board, every_seconds: float, count: Callable[[], int]) -> None:
    """Note how many games wait, if nobody has for so long; no failure to count them is the task's."""
    if not board.backlog_is_due(every_seconds):
        return
    try:
        board.set_backlog(count())
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, only a line of status lacks a number
        _LOG.warning("backlog_not_counted", error=described(error))


def _storing(rate: float, backlog: int | None) -> str:
    if not rate:
        return "idle"
    return f"storing {rate:,.{0 if rate >= 10 else 1}f} games/s{_waiting(backlog)}"


def _analysing(slots: list[Slot], rate: float, backlog: int | None) -> str:
    busy = sum(slot.busy for slot in slots)
    if not busy:
        return "idle"
    left = f", {duration(backlog / rate)} left" if rate and backlog else ""
    return f"analysing {busy} {'game' if busy == 1 else 'games'}{_waiting(backlog)}{left}"


def _waiting(backlog: int | None) -> str:
    return "" if backlog is None else f", {backlog:,} waiting"


def utc(in_seconds: float = 0.0) -> str:
    """Return the time of day in so many seconds from now."""
    return f"{datetime.now(UTC) + timedelta(seconds=in_seconds):%H:%M} UTC"


def closed_for(seconds: float) -> str:
    """Say that Lichess must be left alone for so long."""
    return f"waiting for Lichess until {utc(seconds)} (429)"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: "2 h 10 min", "3 d 0 h", "40 s"."""
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    minutes = total // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"
