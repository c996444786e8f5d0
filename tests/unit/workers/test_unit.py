"""Is systemd's watchdog fed while a worker gets on, and only then?"""

from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from celery.worker import state

from app.kit.systemd import ServiceManager
from tests.unit.workers.test_progress import Clock
from workers.progress import Board
from workers.unit import Notices, PatientConsumer, PoolWatch, Unit, end_worker

SILENCE_SECONDS = 60.0


class Bench:
    """A unit with a pool of two children, whose notes a test writes, and a systemd that only listens."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.board = Board(self.clock)
        self.said: list[str] = []
        for index in (1, 0):
            self.board.take_slot(index)
        watch = PoolWatch(self.board, 2, SILENCE_SECONDS, clock=self.clock)
        self.unit = Unit(ServiceManager(self.said.append), watch, lambda: "busy", 5.0)

    def fed(self, *handed_over: str) -> bool:
        """Tell whether a tick feeds the watchdog."""
        del self.said[:]
        self.unit.tick(handed_over)
        return "WATCHDOG=1" in self.said


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_idle_worker_is_no_hang(bench: Bench) -> None:
    bench.clock.now += 86_400
    assert bench.fed()
    assert bench.said == ["WATCHDOG=1", "STATUS=busy"]


def test_a_task_that_moves_is_no_hang_however_long_it_takes(bench: Bench) -> None:
    bench.board.begin()
    for _ in range(100):
        bench.clock.now += SILENCE_SECONDS
        assert bench.fed()
        bench.board.advance()


def test_a_task_that_does_not_move_is_and_is_said_so(bench: Bench) -> None:
    bench.board.begin()
    bench.clock.now += SILENCE_SECONDS + 1
    assert not bench.fed()
    assert bench.said == ["STATUS=hangs: process 1 has not moved for 61 s; the watchdog will restart it"]
    bench.board.advance()
    assert bench.fed()


def test_a_step_may_ask_for_patience_which_ends_with_the_step(bench: Bench) -> None:
    bench.board.begin()
    bench.board.advance(patience_seconds=300)
    bench.clock.now += SILENCE_SECONDS + 300
    assert bench.fed()
    bench.clock.now += 1
    assert not bench.fed()
    bench.board.advance()
    bench.clock.now += SILENCE_SECONDS + 1
    assert not bench.fed()


def test_an_idle_child_that_takes_up_no_task_hangs(bench: Bench) -> None:
    bench.clock.now += 1_000
    assert bench.fed("task-1")
    bench.clock.now += SILENCE_SECONDS
    assert not bench.fed("task-1")
    assert "takes up no task" in bench.said[0]
    assert bench.fed()


def test_a_task_may_wait_while_every_child_works(bench: Bench) -> None:
    for index in (0, 1):
        bench.board.take_slot(index)
        bench.board.begin()
    for _ in range(10):
        assert bench.fed("task-1")
        bench.clock.now += SILENCE_SECONDS
        for index in (0, 1):
            bench.board.take_slot(index)
            bench.board.begin()


def test_a_broker_that_is_away_is_no_hang_but_hides_none(bench: Bench) -> None:
    bench.board.begin()
    bench.unit.without_broker()
    assert bench.said == ["WATCHDOG=1", "STATUS=waiting for the broker\nEXTEND_TIMEOUT_USEC=120000000"]
    del bench.said[:]
    bench.clock.now += SILENCE_SECONDS + 1
    bench.unit.without_broker()
    assert "WATCHDOG=1" not in bench.said


def test_a_unit_that_stops_says_nothing_more(bench: Bench) -> None:
    bench.unit.stopping()
    assert bench.said[0] == "STOPPING=1"
    assert not bench.fed()
    assert bench.said == []


def test_a_unit_that_systemd_does_not_watch_hangs_in_silence() -> None:
    said: list[str] = []
    Unit(ServiceManager(said.append), None, lambda: "busy", 5.0).tick(["task-1"])
    assert said == ["WATCHDOG=1", "STATUS=busy"]


def test_a_worker_whose_program_was_changed_beneath_it_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    changes = iter([None, "scoresheet was replaced", "scoresheet was replaced"])
    unit = Unit(
        ServiceManager(said.append),
        None,
        lambda: "busy",
        5.0,
        changed=lambda: next(changes),
        end=end_worker,
    )
    monkeypatch.setattr(state, "should_stop", None)
    told: list[int] = []

    def shutting_down(exitcode: int, **_: Any) -> None:
        told.append(exitcode)
        unit.stopping()

    signals.worker_shutting_down.connect(shutting_down)
    unit.tick(())
    assert (told, state.should_stop) == ([], None)
    for _ in range(2):
        unit.tick(())
    assert told == [75]  # after which systemd starts it anew
    assert state.should_stop == 75
    assert said[-2:] == ["STOPPING=1", "STATUS=stopping: ends or hands back what is under way"]


class Hub:
    """Celery's event loop, run by hand."""

    def __init__(self) -> None:
        self.soon: list[Any] = []
        self.timers: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.soon.append(callback)

    def call_repeatedly(self, seconds: float, callback: Any) -> Any:
        timer = SimpleNamespace(seconds=seconds, callback=callback, cancelled=False)
        timer.cancel = lambda: setattr(timer, "cancelled", True)
        self.timers.append(timer)
        return timer


def test_a_worker_is_ready_in_the_first_round_of_its_loop_and_has_one_timer_after_each_reconnect(
    bench: Bench,
) -> None:
    consumer = SimpleNamespace(hub=Hub())
    step = Notices(consumer, bench.unit)
    step.start(consumer)
    assert bench.said == []
    consumer.hub.soon.pop()()
    assert bench.said[-1] == "READY=1"
    step.stop(consumer)
    step.start(consumer)
    assert [(timer.seconds, timer.cancelled) for timer in consumer.hub.timers] == [(5.0, True), (5.0, False)]


def test_a_message_counts_as_left_lying_until_a_child_has_taken_it_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _Request("taken"), _Request("lying")
    monkeypatch.setattr(state, "reserved_requests", {first, second})
    monkeypatch.setattr(state, "active_requests", {first})
    handed_over: list[str] = []
    monkeypatch.setattr(bench.unit, "tick", handed_over.extend)
    consumer = SimpleNamespace(hub=Hub())
    Notices(consumer, bench.unit).start(consumer)
    consumer.hub.timers[0].callback()
    assert handed_over == ["lying"]


class _Request:
    def __init__(self, request_id: str) -> None:
        self.id = request_id


def test_the_wait_for_the_broker_speaks_up_each_second(bench: Bench) -> None:
    tries: list[str] = []

    class Connection:
        def as_uri(self) -> str:
            return "redis://localhost"

        def ensure_connection(self, errback: Any, callback: Any) -> None:
            for _ in range(3):
                errback(OSError("refused"), 2)
                callback()
                tries.append(bench.said[-2])

    consumer = PatientConsumer.__new__(PatientConsumer)
    consumer.unit = bench.unit
    connection = Connection()
    assert consumer.ensure_connected(connection) is connection
    assert tries == ["WATCHDOG=1"] * 3
