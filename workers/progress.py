"""Does the pool of a worker get on, and with what?

A page of memory that the main process shares with the children that it forks, one slot for each. A child
notes in its slot that it moves and what it has done; the main process reads them all (unit.py). There is no
lock that a killed child could leave locked: each value has one writer, and a value that is read while it is
written is wrong once.
"""

import mmap
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from billiard.process import current_process
from celery import signals

MAX_PROCESSES: Final = 256
_SLOT_BYTES: Final = 256
_TEXT_BYTES: Final = 160
# Of a slot, and of the header in front of them all.
_BUSY, _MOVED_AT, _PATIENCE, _DONE, _FAILED, _TEXT = 0, 8, 16, 24, 32, 40
_BACKLOG, _BACKLOG_AT = 0, 8
_INTEGER: Final = struct.Struct("@q")
_SECONDS: Final = struct.Struct("@d")


@dataclass(frozen=True, slots=True)
class Slot:
    """How one child stands."""

    busy: bool
    """With a task."""
    moved_at: float
    """Of the monotonic clock: when its task last moved or, if it is idle, when the last one ended."""
    patience_seconds: float
    """How much longer than others the present step of its task may take."""
    done: int
    """Games, since the worker started."""
    failures: int
    """Tasks that failed one after another, up to the last one that ended."""
    text: str
    """What it says of itself; may be empty."""


class Board:
    """The shared page: a child writes with the first methods, its main process reads with the last ones."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = mmap.mmap(-1, (1 + MAX_PROCESSES) * _SLOT_BYTES)
        self._clock = clock
        self._mine = _SLOT_BYTES
        self._line_stays = False
        _INTEGER.pack_into(self._memory, _BACKLOG, -1)

    def take_slot(self, index: int) -> None:
        """Write to the slot of that number from now on; whoever had it is gone."""
        self._mine = (1 + index) * _SLOT_BYTES
        self.say("")
        self.succeed()
        self.end()

    def begin(self) -> None:
        """Note that a task begins."""
        if self._failures:
            self._line_stays = False  # it says why the last task failed
        self.advance()
        _INTEGER.pack_into(self._memory, self._mine + _BUSY, 1)

    def advance(self, *, patience_seconds: float = 0.0) -> None:
        """Note that the task moves; the next move may take `patience_seconds` longer than usual."""
        _SECONDS.pack_into(self._memory, self._mine + _PATIENCE, patience_seconds)
        _SECONDS.pack_into(self._memory, self._mine + _MOVED_AT, self._clock())

    def end(self) -> None:
        """Note that the task has ended."""
        if not self._line_stays:
            self.say("")
        _INTEGER.pack_into(self._memory, self._mine + _BUSY, 0)
        self.advance()

    def succeed(self) -> None:
        """Note that the task did not fail."""
        _INTEGER.pack_into(self._memory, self._mine + _FAILED, 0)

    def fail(self, reason: str) -> int:
        """Note that the task failed, and why; returns how many have failed in a row."""
        _INTEGER.pack_into(self._memory, self._mine + _FAILED, self._failures + 1)
        self.say(reason, stays=True)
        return self._failures

    @property
    def _failures(self) -> int:
        return int(_INTEGER.unpack_from(self._memory, self._mine + _FAILED)[0])

    def count(self, games: int = 1) -> None:
        """Note games that are done."""
        (done,) = _INTEGER.unpack_from(self._memory, self._mine + _DONE)
        _INTEGER.pack_into(self._memory, self._mine + _DONE, done + games)

    def say(self, text: str, *, stays: bool = False) -> None:
        """Set the child's line until the end of the task or, if it `stays`, until the next line."""
        self._line_stays = stays
        raw = text.encode(errors="replace")[:_TEXT_BYTES].ljust(_TEXT_BYTES, b"\0")
        start = self._mine + _TEXT
        self._memory[start : start + _TEXT_BYTES] = raw

    def set_backlog(self, games: int) -> None:
        """Note how many games wait, as any child has learnt."""
        _INTEGER.pack_into(self._memory, _BACKLOG, games)
        _SECONDS.pack_into(self._memory, _BACKLOG_AT, self._clock())

    def backlog_is_due(self, seconds: float) -> bool:
        """Tell whether nobody has set the backlog for so long; if so the caller has the turn."""
        (at,) = _SECONDS.unpack_from(self._memory, _BACKLOG_AT)
        if at and self._clock() - at < seconds:
            return False
        # Taken before the answer is here, so that the others don't ask as well.
        _SECONDS.pack_into(self._memory, _BACKLOG_AT, self._clock())
        return True

    @property
    def backlog(self) -> int | None:
        """Games that wait, as last set; None if nobody has."""
        (games,) = _INTEGER.unpack_from(self._memory, _BACKLOG)
        return None if games < 0 else int(games)

    def slots(self, count: int) -> list[Slot]:
        """Return the first so many slots."""
        return [self._slot((1 + index) * _SLOT_BYTES) for index in range(count)]

    def _slot(self, start: int) -> Slot:
        raw = self._memory[start + _TEXT : start + _TEXT + _TEXT_BYTES]
        return Slot(
            busy=bool(_INTEGER.unpack_from(self._memory, start + _BUSY)[0]),
            moved_at=_SECONDS.unpack_from(self._memory, start + _MOVED_AT)[0],
            patience_seconds=_SECONDS.unpack_from(self._memory, start + _PATIENCE)[0],
            done=_INTEGER.unpack_from(self._memory, start + _DONE)[0],
            failures=_INTEGER.unpack_from(self._memory, start + _FAILED)[0],
            text=raw.rstrip(b"\0").decode(errors="replace"),
        )


board: Final = Board()
"""Of this worker; made before the fork."""


@signals.worker_process_init.connect(weak=False)
def _take_slot(**_: Any) -> None:
    # Set by billiard's pool: a child has the number of the one that it replaces.
    board.take_slot(current_process().index)  # type: ignore[attr-defined]
