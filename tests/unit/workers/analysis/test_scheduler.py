"""Is the analysis queue kept short, in the right order, and without sending games twice?"""

from collections import deque

from tests.unit.workers.analysis.bad_plugins import Good
from tests.unit.workers.analysis.fake_api import FakeApi
from workers.analysis.plugin_registry import PluginRegistry
from workers.analysis.scheduler import Scheduler

PENDING = [f"game{number:04}" for number in range(100)]


class Queue:
    """First in, first out; a consumer that takes a game takes it off the pending list too."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.games: deque[str] = deque()

    def take(self, count: int) -> None:
        for _ in range(count):
            self.api.pending.remove(self.games.popleft())


def scheduler(api: FakeApi, queue: Queue, full: int = 10) -> Scheduler:
    return Scheduler(
        api.client,
        PluginRegistry([Good()]),
        waiting=lambda: len(queue.games),
        send=queue.games.append,
        full=full,
    )


def test_games_are_sent_in_the_order_of_the_api_up_to_the_bound() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    assert scheduler(api, queue).enqueue() == 10
    assert list(queue.games) == PENDING[:10]
    assert api.bodies("pending") == [{"plugins": [{"name": "good", "version": 1}], "limit": 10}]


def test_a_full_queue_asks_nothing() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    scheduler(api, queue).enqueue()
    assert scheduler(api, queue).enqueue() == 0
    assert api.endpoints == ["pending"]


def test_games_that_still_wait_are_not_sent_again() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    subject = scheduler(api, queue)
    subject.enqueue()
    queue.take(7)
    assert subject.enqueue() == 7
    assert list(queue.games) == PENDING[7:17]


def test_a_requested_game_is_sent_next() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    subject = scheduler(api, queue)
    subject.enqueue()
    queue.take(1)
    api.pending.insert(0, "request1")
    subject.enqueue()
    assert queue.games[-1] == "request1"


def test_after_a_flush_of_the_broker_the_games_are_sent_again() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    subject = scheduler(api, queue)
    subject.enqueue()
    queue.games.clear()
    assert subject.enqueue() == 10
    assert list(queue.games) == PENDING[:10]


def test_the_whole_backlog_passes_through_once_each() -> None:
    api = FakeApi(pending=[*PENDING])
    queue = Queue(api)
    subject = scheduler(api, queue)
    sent = 0
    while api.pending:
        sent += subject.enqueue()
        queue.take(min(3, len(queue.games)))
    assert sent == len(PENDING)
