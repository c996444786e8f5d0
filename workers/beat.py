"""Does the schedule run, and what comes next?"""

import os
from typing import Any

import structlog
from celery.beat import PersistentScheduler

from app.kit.systemd import ServiceManager
from workers.program import Program, installed
from workers.status import duration

_LOG = structlog.get_logger(__name__)


class Scheduler(PersistentScheduler):
    """Celery's schedule in a file, which feeds systemd's watchdog with each round."""

    def __init__(
        self,
        *args: Any,
        manager: ServiceManager | None = None,
        program: Program | None = None,
        **kwargs: Any,
    ) -> None:
        self._manager = manager or ServiceManager()
        self._program = program or Program(installed())
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Load the schedule."""
        super().setup_schedule()
        self._manager.ready()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return for how many seconds to sleep.

        Raises SystemExit, which Celery takes for a stop, where another program was installed beneath it.
        """
        if (change := self._program.change()) is not None:
            _LOG.warning("program_changed", change=change)
            raise SystemExit(os.EX_TEMPFAIL)
        self._manager.alive()
        self._heed_clock()
        pause: float = super().tick(*args, **kwargs)
        self._manager.status(self._next())
        return pause

    def close(self) -> None:
        """Write the schedule to its file: the role stops."""
        self._manager.stopping()
        super().close()

    def _open_schedule(self) -> Any:
        celery: Any = super()  # whose stubs lack these methods
        store = celery._open_schedule()  # noqa: SLF001
        try:
            # All of it: Celery fails for good on what can't be unpickled, as classes that an upgrade removed.
            dict(store)
        except BaseException:
            store.close()
            raise
        return store

    def _destroy_open_corrupted_schedule(self, exc: Exception) -> Any:
        # The file says when each task was last sent, no more: without it, each is sent after its interval.
        celery: Any = super()
        _LOG.warning("schedule_unreadable", error=f"{type(exc).__name__}: {exc}")
        celery._remove_db()  # noqa: SLF001  what this method of Celery's does, which logs a traceback
        return self._open_schedule()

    def _heed_clock(self) -> None:
        # Celery counts from the last run by the calendar: where that was put back, even before this
        # process began, it would wait until the old time comes again.
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at is not None and entry.last_run_at > now:
                _LOG.warning(
                    "clock_put_back",
                    task=entry.task,
                    seconds=round((entry.last_run_at - now).total_seconds()),
                )
                entry.last_run_at = now
                self._heap = None  # it is in the order of the old times

    def _next(self) -> str:
        seconds, task = min((entry.is_due()[1], str(entry.task)) for entry in self.schedule.values())
        return f"next: {task} in {duration(max(0, seconds))}"

    def _ensure_connected(self) -> Any:
        # Celery's own waits for the broker without a word.
        def refused(error: Exception, wait_seconds: float) -> None:
            _LOG.error("broker_away", error=str(error), wait_seconds=wait_seconds)

        return self.connection.ensure_connection(refused, callback=self._without_broker)

    def _without_broker(self) -> None:
        self._manager.alive()
        self._manager.status("waiting for the broker")
