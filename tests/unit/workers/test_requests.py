"""Does the main process name what a child worked on that can't tell any more, in JSON as all else?"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TextIO, cast

import billiard.pool
import pytest
import structlog
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.utils.imports import symbol_by_name
from celery.utils.log import reset_multiprocessing_logger
from kombu.transport import virtual

import workers.analysis.tasks
import workers.ingestion.tasks
from app.kit.logging import LogFormat, configure_logging
from workers.celery_app import app

Logged = Callable[[], list[dict[str, Any]]]
"""Reads the lines so far, each of which must be JSON."""


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """Log as a role does, to a standard error of the test's own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(LogFormat.JSON, "INFO")
    (handler,) = (handler for handler in root.handlers if handler.name == "stderr")
    written = io.StringIO()
    cast("logging.StreamHandler[TextIO]", handler).setStream(written)
    reset_multiprocessing_logger()
    signals.setup_logging.send(sender=None)
    yield lambda: [json.loads(line) for line in (capsys.readouterr().err + written.getvalue()).splitlines()]
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def request_of(task: Any, *args: Any) -> Any:
    """Make the message of a task that is under way."""
    app.finalize()
    message = SimpleNamespace(delivery_info={}, properties={}, payload=None, delivery_tag="tag")
    return symbol_by_name(task.Request)(
        message,
        on_ack=lambda *_: None,
        on_reject=lambda *_: None,
        hostname="test",
        app=app,
        task=task,
        body=[list(args), {}, {}],
        headers={"id": "task-1", "task": task.name, "timelimit": [None, None]},
        decoded=True,
    )


def lost() -> ExceptionInfo:
    """Return what the pool reports of a child that was killed."""

    def die() -> None:
        raise WorkerLostError("signal 9 (SIGKILL)")

    with pytest.raises(WorkerLostError) as caught:
        die()
    return ExceptionInfo((caught.type, caught.value, caught.tb))


_NAMED = [
    (
        workers.ingestion.tasks.process_game_data,
        ("alice", 7, 3, "PAYLOAD"),
        {"task": "process_game_data", "player": "alice", "run_id": 7, "line": 3},
    ),
    (workers.analysis.tasks.analyze_game, ("game0001",), {"task": "analyze_game", "game": "game0001"}),
]


@pytest.mark.parametrize(("task", "args", "names"), _NAMED)
def test_a_killed_child_s_line_names_the_task_and_the_game(
    logged: Logged, task: Any, args: tuple[Any, ...], names: dict[str, Any]
) -> None:
    request_of(task, *args).on_failure(lost())
    (line,) = logged()
    assert "WorkerLostError" in line["event"]
    assert line.items() >= {"task_id": "task-1", **names}.items()
    assert "PAYLOAD" not in json.dumps(line)
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize(("task", "args", "names"), _NAMED)
def test_the_line_of_a_hard_limit_names_them_too(
    logged: Logged, task: Any, args: tuple[Any, ...], names: dict[str, Any]
) -> None:
    request_of(task, *args).on_timeout(soft=False, timeout=5)
    (line,) = logged()
    assert "Hard time limit" in line["event"]
    assert line.items() >= {"task_id": "task-1", **names}.items()


def test_the_end_of_a_child_is_a_line_of_json(logged: Logged) -> None:
    billiard.pool.error("Process %r pid:%r exited with %r", "ForkPoolWorker-1", 7, "signal 9 (SIGKILL)")
    (line,) = logged()
    assert line["level"] == "error"
    assert line["event"] == "Process 'ForkPoolWorker-1' pid:7 exited with 'signal 9 (SIGKILL)'"


def test_messages_that_are_given_back_are_a_line_of_json(logged: Logged) -> None:
    channel = SimpleNamespace(do_restore=True, _restore=lambda _: None)
    qos = virtual.QoS(cast("virtual.Channel", channel))
    qos.append(cast("virtual.Message", SimpleNamespace(delivery_info={})), "tag")
    qos.restore_unacked_once()
    (line,) = logged()
    assert line["event"] == "messages_restored"
    assert line["said"] == "Restoring 1 unacknowledged message(s)"
