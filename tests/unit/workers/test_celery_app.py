"""Are tasks delivered as FACTS and the architecture ask, and is each failure logged once, without secrets?"""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
import structlog
from celery import signals
from celery.app.trace import build_tracer
from celery_batches import SimpleRequest
from celery_batches.trace import apply_batches_task
from pydantic import SecretStr

import workers.ingestion.tasks
from app.contract.ingestion import Observations, StoreAnswer
from app.contract.names import QUEUE_OF_TASK, QueueName, TaskName
from tests.unit.workers.ingestion.fakes import FakeApi
from workers import celery_app, failures
from workers.beat import Scheduler
from workers.celery_app import app
from workers.ingestion.lock import GateBusyError, GateClosedError
from workers.progress import Board
from workers.settings import Settings

if TYPE_CHECKING:
    from celery import Celery, Task


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Configure the app for a broker in memory, and put the log back afterwards."""
    settings = Settings(broker_url=SecretStr("redis://127.0.0.1/0"), state_dir=tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    celery_app.configure(settings)
    app.conf.update(broker_url="memory://")
    yield settings
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """Give the tasks a fake API."""
    api = FakeApi()
    monkeypatch.setattr(workers.ingestion.tasks, "get_api_client", lambda: api)
    monkeypatch.setattr(workers.ingestion.tasks, "_redis", lambda: SimpleNamespace(llen=lambda _: 130))
    return api


def run(task: Any, *args: Any) -> Any:
    """Run a task as a worker's child does; return what Celery makes of it."""
    app.finalize()
    request = {"id": "task-1", "args": args, "kwargs": {}, "hostname": "test", "delivery_info": {}}
    return build_tracer(task.name, task, app=cast("Celery[Task[Any, Any]]", app))(
        "task-1", list(args), {}, request
    )


def run_batch(task: Any, *messages: tuple[Any, ...]) -> Any:
    """Run a task with messages that arrived together, as a worker's child does."""
    app.finalize()
    requests = [
        SimpleRequest(
            id=f"task-{number}",
            name=task.name,
            args=args,
            kwargs={},
            delivery_info={},
            hostname="test",
            ignore_result=True,
            reply_to=None,
            correlation_id=None,
            request_dict={},
        )
        for number, args in enumerate(messages, start=1)
    ]
    return apply_batches_task(task, (requests,), 0, None)


def test_messages_are_acknowledged_late_one_at_a_time_and_have_no_result(settings: Settings) -> None:
    conf = app.conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.task_acks_on_failure_or_timeout
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert conf.broker_transport_options["visibility_timeout"] == 3_600
    assert conf.broker_connection_retry_on_startup
    assert conf.broker_connection_max_retries is None
    assert settings.visibility_timeout_seconds > 2 * settings.longest_task_seconds


def test_a_busy_worker_listens_to_something_that_tells_when_redis_goes_away(settings: Settings) -> None:  # noqa: ARG001
    assert app.conf.worker_enable_remote_control


def test_every_task_goes_to_its_queue(settings: Settings) -> None:  # noqa: ARG001
    assert set(app.amqp.queues) == set(QueueName)
    for task, queue in QUEUE_OF_TASK.items():
        assert app.amqp.router.route({}, task)["queue"].name == queue


def test_every_task_has_limits_and_the_soft_one_comes_first(settings: Settings) -> None:  # noqa: ARG001
    for task in TaskName:
        limits = app.conf.task_annotations[task]
        assert 0 < limits["soft_time_limit"] < limits["time_limit"] <= 1_500


def test_periodic_messages_expire_before_their_successor(settings: Settings) -> None:
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["expires"] <= entry["schedule"].total_seconds()
    assert app.conf.beat_schedule_filename == str(settings.state_dir / "beat-schedule")


def test_nothing_else_is_sent_by_the_clock(settings: Settings) -> None:
    scheduler = Scheduler(app, schedule_filename=str(settings.state_dir / "beat-schedule"))
    sent = {entry.task for entry in scheduler.schedule.values()}
    scheduler.close()
    assert sent == {"orchestrator", "enqueue_analysis_tasks"}


def test_a_task_s_log_lines_name_it_and_what_it_is_about(settings: Settings, api: FakeApi) -> None:  # noqa: ARG001
    seen: dict[str, Any] = {}

    def spy(*_: Any) -> None:
        seen.update(structlog.contextvars.get_contextvars())

    api.store = spy  # type: ignore[method-assign,assignment]
    payload = '{"id":"game0001","createdAt":1700000000001,"variant":"standard","status":"mate","players":{}}'
    run_batch(workers.ingestion.tasks.process_game_data, ("alice", 7, 3, payload))
    assert seen == {
        "task": "process_game_data",
        "messages": [{"task_id": "task-1", "player": "alice", "run_id": 7, "line": 3}],
    }
    assert structlog.contextvars.get_contextvars() == {}


def test_a_failure_is_logged_once_with_its_cause_and_without_the_payload(
    settings: Settings,  # noqa: ARG001
    api: FakeApi,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The handler of `settings` was made before capsys: let it write where capsys looks.
    logging.getLogger().handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
    api.faults["store"] = [RuntimeError("the cause")]
    payload = '{"id":"game0001","createdAt":1700000000001,"variant":"standard","status":"PAYLOAD"}'
    run_batch(workers.ingestion.tasks.process_game_data, ("alice", 7, 3, payload))
    lines = [line for line in capsys.readouterr().err.splitlines() if "the cause" in line]
    (line,) = lines
    assert "task_failed" in line
    assert "alice" in line
    assert "PAYLOAD" not in line


class Loop:
    """A task that fails as it is told, in a child whose rests are only noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.board = Board()
        self.pauses: list[float] = []
        self.errors: list[Exception | None] = []
        monkeypatch.setattr(celery_app, "board", self.board)
        monkeypatch.setattr(failures, "rest", lambda _, seconds, *__: self.pauses.append(seconds))
        monkeypatch.setattr(workers.ingestion.tasks, "_producer", lambda: self)

    def fetch(self, _: str) -> bool:
        if (error := self.errors.pop(0)) is not None:
            raise error
        return False

    def run(self, *errors: Exception | None) -> None:
        """Run the task once for each."""
        self.errors = list(errors)
        for _ in errors:
            run(workers.ingestion.tasks.fetch_player_games, "alice")


def test_tasks_that_fail_one_after_another_slow_down_until_one_succeeds(
    settings: Settings,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch)
    loop.run(*[RuntimeError("gone")] * 10)
    assert loop.pauses == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert loop.board.slots(1)[0].failures == 10
    loop.run(None, RuntimeError("gone"))
    assert loop.pauses[10:] == [0]


def test_a_failure_that_repeats_itself_is_logged_in_a_line(
    settings: Settings,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger().handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]  # as above
    gone = RuntimeError("gone")
    Loop(monkeypatch).run(gone, gone, ValueError("other"), gone, None, gone)
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["event"] for line in logged} == {"task_failed"}
    assert [("exception" in line, line["in_a_row"]) for line in logged] == [
        (True, 1),
        (False, 2),
        (True, 3),
        (True, 4),
        (True, 1),
    ]
    assert logged[1]["error"] == "RuntimeError: gone"


def test_a_task_s_slot_says_that_it_is_busy_and_what_it_has_done(
    settings: Settings,  # noqa: ARG001
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = Board()
    for module in (celery_app, workers.ingestion.tasks, workers.ingestion.consumer):
        monkeypatch.setattr(module, "board", board)
    meanwhile: list[bool] = []
    store = api.store

    def note(observations: Observations) -> StoreAnswer:
        meanwhile.append(board.slots(1)[0].busy)
        return store(observations)

    api.store = note  # type: ignore[method-assign]
    payload = '{"id":"game0001","createdAt":1700000000001,"variant":"standard","status":"mate","players":{}}'
    run_batch(workers.ingestion.tasks.process_game_data, ("alice", 7, 3, payload))
    (slot,) = board.slots(1)
    assert meanwhile == [True]
    assert (slot.busy, slot.done, board.backlog) == (False, 1, 130)


def test_a_task_that_fails_leaves_its_slot_idle(
    settings: Settings,  # noqa: ARG001
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = Board()
    monkeypatch.setattr(celery_app, "board", board)
    api.faults["store"] = [RuntimeError("the cause")]
    payload = '{"id":"game0001","createdAt":1700000000001,"variant":"standard","status":"mate"}'
    run_batch(workers.ingestion.tasks.process_game_data, ("alice", 7, 3, payload))
    assert not board.slots(1)[0].busy


def test_a_closed_gate_is_told_until_it_opens(
    settings: Settings,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unwilling:
        def fetch(self, _: str) -> bool:
            raise GateClosedError(30)

    board = Board()
    for module in (celery_app, workers.ingestion.tasks):
        monkeypatch.setattr(module, "board", board)
    monkeypatch.setattr(workers.ingestion.tasks, "_producer", Unwilling)
    run(workers.ingestion.tasks.fetch_player_games, "alice")
    line = board.slots(1)[0].text
    assert line.startswith("waiting for Lichess until ")
    assert line.endswith(" UTC (429)")


def test_a_warm_stop_is_visible_to_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_app, "_stop_flag", bytearray(1))
    assert not celery_app.stop_requested()
    signals.worker_shutting_down.send(sender="test", sig="SIGTERM", how="Warm", exitcode=0)
    assert celery_app.stop_requested()


def test_a_child_whose_main_process_is_gone_counts_as_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_app, "_main_pid", 2**22)
    assert celery_app.stop_requested()


def test_the_orchestrator_sends_each_due_player_on_the_way(
    settings: Settings,  # noqa: ARG001
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    tasks = workers.ingestion.tasks
    monkeypatch.setattr(tasks, "get_settings", lambda: Settings(broker_url=SecretStr("redis://x/0")))
    monkeypatch.setattr(
        tasks.fetch_player_games, "apply_async", lambda args, **options: sent.append((args, options))
    )
    api.due = ["alice", "bob"]
    run(tasks.orchestrator)
    assert sent == [(("alice",), {"expires": 120}), (("bob",), {"expires": 120})]


@pytest.mark.parametrize(
    "reason", [GateBusyError("busy"), GateClosedError(30), redis.ConnectionError("no broker")]
)
def test_a_fetch_that_can_not_start_now_is_put_off_to_the_next_round(
    settings: Settings,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    reason: Exception,
) -> None:
    class Unwilling:
        def fetch(self, player: str) -> bool:
            assert player == "alice"
            raise reason

    tasks = workers.ingestion.tasks
    monkeypatch.setattr(tasks, "_producer", Unwilling)
    tasks.fetch_player_games.run("alice")


def test_what_remains_of_a_player_goes_behind_the_others(
    settings: Settings,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fruitful:
        def fetch(self, _: str) -> bool:
            return True

    sent: list[str] = []
    tasks = workers.ingestion.tasks
    monkeypatch.setattr(tasks, "_producer", Fruitful)
    monkeypatch.setattr(tasks, "_send_fetch", sent.append)
    tasks.fetch_player_games.run("alice")
    assert sent == ["alice"]
