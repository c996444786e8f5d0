"""Is a batch of messages treated as Celery treats single ones: limits, acknowledgement, lost processes?"""

from dataclasses import dataclass, field
from queue import Queue
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workers.batches import BatchTask
from workers.celery_app import app

GATHERING_SECONDS = 0.5


@dataclass
class FakePool:
    """Keeps what it was given."""

    jobs: list[dict[str, Any]] = field(default_factory=list)

    def apply_async(self, _: Any, args: tuple[Any, ...], **options: Any) -> None:
        ((_, (requests,), *_),) = (args,)
        self.jobs.append({"names": [request.id for request in requests], **options})


@dataclass
class FakeRequest:
    """Remembers what it was told."""

    id: str
    delivery_info: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[Any, ...]] = field(default_factory=list)
    eta: None = None

    name = hostname = "test"
    request_dict: Any = None
    reply_to = correlation_id = None

    @property
    def _payload(self) -> tuple[Any, ...]:
        return ((self.id,), {}, None)

    def __hash__(self) -> int:
        return hash(self.id)

    def on_accepted(self, *arguments: Any) -> None:
        self.told.append(("accepted", *arguments))

    def on_timeout(self, *arguments: Any) -> None:
        self.told.append(("timed out", *arguments))

    def on_success(self, *arguments: Any) -> None:
        self.told.append(("succeeded", *arguments))

    def on_failure(self, *arguments: Any) -> None:
        self.told.append(("failed", *arguments))


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def task(pool: FakePool) -> Any:
    class Gathered(BatchTask):
        name = "gathered"
        time_limit, soft_time_limit = 20, 18
        flush_every, flush_interval = 3, GATHERING_SECONDS

    task = Gathered()
    task.bind(cast("Any", app))
    task._pool = pool
    return task


def test_a_batch_has_the_task_s_limits(task: Any, pool: FakePool) -> None:
    task.flush([FakeRequest("a"), FakeRequest("b")])
    (job,) = pool.jobs
    assert (job["names"], job["timeout"], job["soft_timeout"]) == (["a", "b"], 20, 18)


@pytest.mark.parametrize(
    ("callback", "arguments", "told"),
    [
        ("accept_callback", (7, 1.5), ("accepted", 7, 1.5)),
        ("timeout_callback", (True, 18), ("timed out", True, 18)),
        ("callback", (None,), ("succeeded", (False, None, 0.0))),
        ("error_callback", ("lost",), ("failed", "lost")),
    ],
)
def test_each_message_learns_what_becomes_of_its_batch(
    task: Any, pool: FakePool, callback: str, arguments: tuple[Any, ...], told: tuple[Any, ...]
) -> None:
    requests = [FakeRequest("a"), FakeRequest("b")]
    task.flush(requests)
    pool.jobs[0][callback](*arguments)
    assert [request.told for request in requests] == [[told], [told]]


def test_what_was_delivered_before_goes_alone(task: Any, pool: FakePool) -> None:
    again = {"redelivered": True}
    task.flush([FakeRequest("a"), FakeRequest("b", again), FakeRequest("c"), FakeRequest("d", again)])
    assert [job["names"] for job in pool.jobs] == [["b"], ["d"], ["a", "c"]]


def test_what_was_gathered_when_the_broker_went_away_is_worked_off(task: Any, pool: FakePool) -> None:
    timers: list[tuple[float, Any]] = []
    timer = SimpleNamespace(call_repeatedly=lambda *arguments: timers.append(arguments))
    consumer = SimpleNamespace(
        pool=pool, hostname="test", connection_errors=(), event_dispatcher=None, timer=timer, app=app
    )
    task._tref = "a timer that Celery has cleared"
    assert callable(task.Strategy(task, app, consumer))
    assert timers == []
    task._buffer = Queue()
    task._buffer.put(FakeRequest("a"))
    task._tref = "a timer that Celery has cleared"
    task.Strategy(task, app, consumer)
    ((seconds, flush),) = timers
    assert seconds == GATHERING_SECONDS
    flush()
    assert [job["names"] for job in pool.jobs] == [["a"]]
