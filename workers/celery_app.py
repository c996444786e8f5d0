"""How does Celery deliver Scoresheet's tasks, and what does every task share?"""

import io
import logging
import mmap
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

import billiard.pool
import billiard.util
import celery.apps.worker
import structlog
from celery import Celery, Task, signals
from kombu import Queue
from kombu.transport import virtual

from app.contract.names import QUEUE_OF_TASK, QueueName, TaskName
from app.kit.logging import configure_logging
from app.kit.systemd import notice_seconds
from workers import failures
from workers.progress import board
from workers.settings import Settings

_LOG = structlog.get_logger(__name__)

if TYPE_CHECKING:
    _Task = Task[Any, Any]
else:  # generic in its stubs alone
    _Task = Task

_NAMED_ARGUMENTS: dict[str, tuple[str, ...]] = {
    TaskName.FETCH_PLAYER_GAMES: ("player",),
    TaskName.PROCESS_GAME_DATA: ("player", "run_id", "line"),
    TaskName.ANALYZE_GAME: ("game",),
}
"""Positional arguments that go into every log line of a task, by position; never a payload."""

SHORT_TASK_SECONDS = 120
"""Hard limit of the tasks that only talk to the API, whose client gives up after 30 s."""

# A child that ends waits until the main process has read its last report: 30 s, by default. At a warm stop
# nobody reads the reports on messages that were handed to a child and withdrawn a moment later (billiard
# 4.3.2), so the wait is in vain, and longer than a unit is given to stop. What goes unreported is delivered
# again, which is no harm.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30  # of 0.1 s

# "worker: Warm shutdown (MainProcess)", printed past every log to standard output, would be the one line of
# the journal that is not structured; systemd hears STOPPING=1 and a status.
celery.apps.worker.safe_say = lambda *_: None  # type: ignore[attr-defined]

# When a worker stops or its channel goes, kombu prints how many messages it gives back: to standard error, or
# to a file that it is given.
_restore_unacked = virtual.QoS.restore_unacked_once


def _restore_unacked_and_log(qos: virtual.QoS, stderr: TextIO | None = None) -> None:
    said = io.StringIO()
    try:
        _restore_unacked(qos, stderr=stderr or said)
    finally:
        for line in said.getvalue().splitlines():
            _LOG.warning("messages_restored", said=line)


virtual.QoS.restore_unacked_once = _restore_unacked_and_log  # type: ignore[assignment,method-assign]

# One byte shared with the forked children: a warm stop reaches the main process alone, since children
# reset SIGTERM. No lock, so no killed child can leave it locked.
_stop_flag = mmap.mmap(-1, 1)
_main_pid = os.getpid()


def stop_requested() -> bool:
    """Tell a task in a child process whether the worker shuts down, or is gone: long work should end."""
    return _stop_flag[0] != 0 or (os.getpid() != _main_pid and os.getppid() != _main_pid)


class ScoresheetTask(_Task):
    """Base of all tasks: names itself in every log line and logs a failure once, with its cause.

    A failure that the last run had as well is logged in a line, and tasks that go on failing slow down
    (failures.py).

    Delivery is at least once: late acknowledgement, a killed child's message comes back. Failures are not
    retried by Celery: what is still to do stands in PostgreSQL, and the schedulers find it there.
    """

    abstract = True
    Request = "workers.requests:NamedRequest"
    # Else a running task remembers every message it sends: a fetch would grow with its history.
    trail = False
    _last_failure: str | None = None

    def identity(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what names this run of the task in the log."""
        return {"task_id": self.request.id, **self.named(args), **_plain(kwargs)}

    def named(self, args: Sequence[Any]) -> dict[str, Any]:
        """Return those of a message's arguments that go into the log."""
        return dict(zip(_NAMED_ARGUMENTS.get(self.name, ()), args, strict=False))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task with its identity bound to the log."""
        with structlog.contextvars.bound_contextvars(task=str(self.name), **self.identity(*args, **kwargs)):
            began = time.monotonic()
            board.begin()
            try:
                result = self.run(*args, **kwargs)
            except Exception as error:
                self._failed(error, began)
                raise
            else:
                board.succeed()
                return result
            finally:
                board.end()

    def _failed(self, error: Exception, began: float) -> None:
        reason = failures.described(error)
        in_a_row = board.fail(reason)
        if in_a_row > 1 and reason == self._last_failure:
            _LOG.error("task_failed", error=reason, in_a_row=in_a_row)
        else:
            _LOG.exception("task_failed", in_a_row=in_a_row)
        self._last_failure = reason
        failures.rest(began, failures.pause_seconds(in_a_row), stop_requested, board.advance)


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key in {"player", "run_id", "line", "game"}}


app: "Celery[ScoresheetTask]" = Celery("scoresheet", task_cls=ScoresheetTask, set_as_current=True)
app.conf.update(
    # Messages: JSON, no results; a task that fails stays acknowledged, one whose process died comes back.
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    result_expires=None,  # else Beat sends a task each night that clears results away
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=True,
    worker_prefetch_multiplier=1,
    task_queues=[Queue(str(queue), routing_key=str(queue)) for queue in QueueName],
    task_routes={str(task): {"queue": str(queue)} for task, queue in QUEUE_OF_TASK.items()},
    task_create_missing_queues=False,
    task_default_queue=str(QueueName.DB),
    task_publish_retry_policy={
        "max_retries": 3,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 1,
    },
    # The broker may be away at any time, for any time.
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_heartbeat=0,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Its subscription is what notices that Redis went away while every process is busy: nothing else
    # listens then, the acknowledgement of the running task fails, and with a prefetch of 1 the worker would
    # never ask for a message again (kombu 5.6.2 logs "Couldn't ack" and goes on).
    worker_enable_remote_control=True,
    worker_send_task_events=False,
    # Celery kills a child that has not reported for work after 4 s, and the next one, for ever: on a host
    # that is short of processor time, at its boot say, none would ever come up.
    worker_proc_alive_timeout=60,
    # Logging is ours (see configure).
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    enable_utc=True,
    beat_scheduler="workers.beat:Scheduler",
)


def configure(settings: Settings) -> "Celery[ScoresheetTask]":
    """Give the app its broker, limits and schedule, and the process its log; returns the app."""
    configure_logging(settings.log_format, settings.log_level)
    _quieten_celery()
    app.conf.update(
        broker_url=settings.broker_url.get_secret_value(),
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout_seconds,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "retry_on_timeout": True,
        },
        task_annotations={str(task): limits for task, limits in _time_limits(settings).items()},
        beat_schedule={
            str(task): _periodic(task, seconds)
            for task, seconds in (
                (TaskName.ORCHESTRATOR, settings.orchestrator_seconds),
                (TaskName.ENQUEUE_ANALYSIS_TASKS, settings.analysis_schedule_seconds),
            )
        },
        # It feeds the watchdog with each round.
        beat_max_loop_interval=notice_seconds(),
        beat_schedule_filename=str(settings.state_dir / "beat-schedule"),
    )
    return app


def _time_limits(settings: Settings) -> dict[TaskName, dict[str, int]]:
    hard_seconds = {
        TaskName.ORCHESTRATOR: SHORT_TASK_SECONDS,
        TaskName.FETCH_PLAYER_GAMES: settings.fetch_time_limit_seconds,
        TaskName.PROCESS_GAME_DATA: SHORT_TASK_SECONDS,
        TaskName.ENQUEUE_ANALYSIS_TASKS: SHORT_TASK_SECONDS,
        TaskName.ANALYZE_GAME: settings.analysis_time_limit_seconds,
    }
    # The soft limit raises in the task, which can then say how far it came; the hard one kills.
    return {
        task: {"time_limit": hard, "soft_time_limit": max(1, hard * 9 // 10)}
        for task, hard in hard_seconds.items()
    }


def _periodic(task: TaskName, seconds: int) -> dict[str, Any]:
    # A message that waited a whole period is worthless: its successor stands behind it.
    return {"task": str(task), "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}


def _quieten_celery() -> None:
    # They write at INFO for every task; a tracer's error line repeats ours, with the arguments in it.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    for tracer in ("celery.app.trace", "celery_batches.trace"):
        logging.getLogger(tracer).setLevel(logging.CRITICAL)


@signals.setup_logging.connect(weak=False)
def _keep_our_logging(**_: Any) -> None:
    """Keep Celery from setting up its own logging, as any receiver of this signal does.

    The pool's logger, which tells of children that died, goes past every other by default: to standard error.
    """
    pool = billiard.util.get_logger()
    pool.propagate = True
    pool.setLevel(logging.WARNING)


@signals.worker_shutting_down.connect(weak=False)
def _tell_children(**_: Any) -> None:
    _stop_flag[0] = 1
