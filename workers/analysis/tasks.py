"""Which Celery tasks analyse games?"""

import functools
import os
import socket
from typing import Any

import redis
import structlog
from celery.signals import worker_process_shutdown
from kombu.exceptions import OperationalError

from app.contract.names import QueueName, TaskName
from workers.analysis import preflight
from workers.analysis.budget import Budget
from workers.analysis.consumer import Analyst
from workers.analysis.scheduler import Scheduler
from workers.analysis.workbench import Workbench
from workers.api_client import get_api_client
from workers.broker import connect, queue_length
from workers.celery_app import app, stop_requested
from workers.progress import board
from workers.settings import get_settings
from workers.status import note_backlog, utc

_LOG = structlog.get_logger(__name__)

_BROKER_TIMEOUT_SECONDS = 5.0
_GAMES_PER_SLOT = 4
"""Games that may wait in the queue for each process that analyses."""
_BACKLOG_SECONDS = 60.0
"""Between two counts of the games that wait, for the line of status."""
_SHARE_OF_LIMIT = 0.8
"""Part of the task's hard time limit that the engine may use: plugins and report need the rest."""


@app.task(name=str(TaskName.ENQUEUE_ANALYSIS_TASKS))
def enqueue_analysis_tasks() -> None:
    """Fill the analysis queue. Sent by Beat, and by `analyze_game` when the queue runs low; idempotent."""
    sent = _scheduler().enqueue()
    board.say(f"idle; at {utc()} {sent} games sent", stays=True)


@app.task(name=str(TaskName.ANALYZE_GAME))
def analyze_game(game: str) -> None:
    """Analyse one game. May come twice or never: the lease in PostgreSQL decides who works on it."""
    note_backlog(board, _BACKLOG_SECONDS, _backlog)
    if _analyst().analyze(game) is not None:
        board.count()
        _refill()


def _refill() -> None:
    """Ask for more games when few wait, once: Beat alone would leave the slots idle between its rounds.

    Only after a game that was worked on, so that games nobody can claim don't go round and round.
    """
    settings = get_settings()
    try:
        few = queue_length(_redis(), QueueName.ANALYSIS) < settings.analysis_concurrency
        if few and queue_length(_redis(), QueueName.ANALYSIS_SCHEDULING) == 0:
            enqueue_analysis_tasks.apply_async(expires=settings.analysis_schedule_seconds)
    except (redis.RedisError, OperationalError) as error:
        _LOG.warning("refill_not_sent", error=str(error))  # Beat will


def _backlog() -> int:
    return get_api_client().count_backlog(preflight.plugins(get_settings()).ids)


def _send(game: str) -> None:
    analyze_game.apply_async(args=(game,))


@functools.cache
def _redis() -> redis.Redis:
    return connect(get_settings().broker_url.get_secret_value(), _BROKER_TIMEOUT_SECONDS)


@functools.cache
def _scheduler() -> Scheduler:
    return Scheduler(
        get_api_client(),
        preflight.plugins(get_settings()),
        waiting=lambda: queue_length(_redis(), QueueName.ANALYSIS),
        send=_send,
        full=_GAMES_PER_SLOT * get_settings().analysis_concurrency,
    )


@functools.cache
def _workbench() -> Workbench:
    return Workbench(preflight.engine_options(get_settings()))


@functools.cache
def _analyst() -> Analyst:
    settings = get_settings()
    return Analyst(
        client=get_api_client(),
        workbench=_workbench(),
        plugins=preflight.plugins(settings),
        budget=Budget(settings.nodes, settings.analysis_mode),
        prefer=settings.evaluations_from,
        limit_seconds=_SHARE_OF_LIMIT * settings.analysis_time_limit_seconds,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        stopping=stop_requested,
    )


@worker_process_shutdown.connect(weak=False)
def _end_engine(**_: Any) -> None:
    if _workbench.cache_info().currsize:
        _workbench().close()
