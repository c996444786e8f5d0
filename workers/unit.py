"""When does a worker feed systemd's watchdog, what does it tell of itself, and when does it end by itself?

From the loop that works: a timer of Celery's event loop, and Kombu's loop that waits for the broker. A loop
that ticks says nothing of the children, though (celery#4185): so the watchdog is fed only while the pool
gets on.
"""

import os
import time
from collections.abc import Callable, Collection
from typing import Any, Final

import structlog
from celery import bootsteps, signals
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control

from app.kit.systemd import ServiceManager, notice_seconds, watchdog_seconds
from workers.program import Program
from workers.progress import Board, board
from workers.settings import Role
from workers.status import Status

_LOG = structlog.get_logger(__name__)


class PoolWatch:
    """Tells whether the children of a worker get on.

    One hangs if its task has not moved for `silence_seconds`, and what it asked for beyond them; or if it has
    been idle for so long while a message that was handed to the pool waits for just as long.
    """

    def __init__(
        self,
        board: Board,
        processes: int,
        silence_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._processes = processes
        self._silence = silence_seconds
        self._clock = clock
        self._waiting_since: dict[str, float] = {}

    def trouble(self, handed_over: Collection[str]) -> str | None:
        """Return what is wrong, if anything; `handed_over` are tasks of the pool that no child took up."""
        now = self._clock()
        self._waiting_since = {task: self._waiting_since.get(task, now) for task in handed_over}
        left_lying = min(self._waiting_since.values(), default=now) <= now - self._silence
        for number, slot in enumerate(self._board.slots(self._processes), start=1):
            silent = now - slot.moved_at
            if slot.busy and silent > self._silence + slot.patience_seconds:
                return f"process {number} has not moved for {silent:.0f} s"
            if not slot.busy and left_lying and silent > self._silence:
                return f"process {number} takes up no task"
        return None


class Unit:
    """What systemd hears of one worker role."""

    def __init__(
        self,
        manager: ServiceManager,
        watch: PoolWatch | None,
        describe: Callable[[], str],
        interval_seconds: float,
        *,
        changed: Callable[[], str | None] = lambda: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the pool's watch, None where systemd does not watch, and what writes the line of status.

        `changed` tells what was replaced while this process ran, and `end` ends it then.
        """
        self._manager = manager
        self._changed = changed
        self._end = end
        self._watch = watch
        self._describe = describe
        self.interval_seconds = interval_seconds
        """Between two ticks."""
        self._trouble: str | None = None
        self._stopping = False

    def ready(self) -> None:
        """Say that tasks are taken now; also after a time without the broker."""
        self.tick(())
        self._manager.ready()

    def tick(self, handed_over: Collection[str]) -> None:
        """Feed the watchdog if the pool gets on, and say what it does."""
        if self._feed(handed_over):
            self._manager.status(self._describe())
        if not self._stopping and (change := self._changed()) is not None:
            _LOG.warning("program_changed", change=change)
            self._end()

    def without_broker(self) -> None:
        """Say that the broker is away, which is no hang; call it again and again."""
        if self._feed(()):
            self._manager.waiting("waiting for the broker")

    def stopping(self) -> None:
        """Say that the worker shuts down; children may still end their tasks."""
        self._stopping = True
        self._manager.stopping()
        self._manager.status("stopping: ends or hands back what is under way")

    def _feed(self, handed_over: Collection[str]) -> bool:
        """Return whether there is nothing more important to say than what is done."""
        if self._stopping:
            return False
        trouble = None if self._watch is None else self._watch.trouble(handed_over)
        if trouble is None:
            self._manager.alive()
        else:
            self._manager.status(f"hangs: {trouble}; the watchdog will restart it")
            if self._trouble is None:
                _LOG.error("pool_hangs", reason=trouble)
        self._trouble = trouble
        return trouble is None


class Notices(bootsteps.StartStopStep):
    """Ties a worker's unit to Celery's event loop, anew after each loss of the broker."""

    requires = (Control,)

    def __init__(self, consumer: Any, unit: Unit, **_: Any) -> None:
        consumer.unit = self._unit = unit
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Set the timer: Celery 5.6.3 clears all timers when the broker goes away."""
        # The loop asks for messages before its first round.
        parent.hub.call_soon(self._unit.ready)
        self._timer = parent.hub.call_repeatedly(self._unit.interval_seconds, self._tick)

    def stop(self, parent: Any) -> None:  # noqa: ARG002  Celery's signature
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        taken_up = {request.id for request in state.active_requests}
        self._unit.tick([request.id for request in state.reserved_requests if request.id not in taken_up])


class PatientConsumer(Consumer):
    """Celery's consumer, which also speaks to systemd while it waits for the broker."""

    unit: Unit

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once it is there, however long that takes."""

        def refused(error: Exception, wait_seconds: float) -> None:
            _LOG.error("broker_away", broker=conn.as_uri(), error=str(error), wait_seconds=wait_seconds)

        def each_second() -> None:
            state.maybe_shutdown()
            self.unit.without_broker()

        conn.ensure_connection(refused, callback=each_second)
        self.first_connection_attempt = False
        return conn


STEPS: Final = (Notices,)


def end_worker() -> None:
    """Do what SIGTERM does, with a status after which systemd starts the worker anew."""
    signals.worker_shutting_down.send(sender=None, sig="none", how="Warm", exitcode=os.EX_TEMPFAIL)
    state.should_stop = os.EX_TEMPFAIL  # type: ignore[assignment]  # None in its stubs


def of_role(role: Role, processes: int, program: Program) -> Unit:
    """Return the unit of a role with so many children; it says STOPPING when the worker is told to stop."""
    silence = watchdog_seconds()
    unit = Unit(
        ServiceManager(),
        None if silence is None else PoolWatch(board, processes, silence),
        Status(role, board, processes).line,
        notice_seconds(),
        changed=program.change,
        end=end_worker,
    )
    signals.worker_shutting_down.connect(lambda **_: unit.stopping(), weak=False)
    return unit
