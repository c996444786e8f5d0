"""Do the tasks carry the names that others send them by, and keep the slots busy?"""

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from app.contract.analyses import AnalysisState
from app.contract.names import QUEUE_OF_TASK, QueueName, TaskName
from app.kit.environment import ConfigurationError
from tests.unit.workers.analysis.fake_api import FakeApi
from workers.analysis import preflight, tasks
from workers.celery_app import app
from workers.progress import Board
from workers.settings import Settings


class Lengths:
    """A Redis that knows the lengths of lists."""

    def __init__(self, **lengths: int) -> None:
        self.lengths = lengths

    def llen(self, name: str) -> int:
        return self.lengths.get(name, 0)


class OneAnswer:
    """An analyst whose every game ends alike."""

    def __init__(self, answer: AnalysisState | None) -> None:
        self.answer = answer

    def analyze(self, _game: str) -> AnalysisState | None:
        return self.answer


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Give the tasks a page of their own for their notes."""
    board = Board()
    monkeypatch.setattr(tasks, "board", board)
    return board


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """Give the tasks an API with three games to analyse."""
    api = FakeApi(pending=["game0001", "game0002", "game0003"])
    monkeypatch.setattr(tasks, "get_api_client", lambda: api.client)
    return api


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, board: Board, api: FakeApi) -> list[object]:  # noqa: ARG001
    """Return what is sent as `enqueue_analysis_tasks`."""
    messages: list[object] = []
    settings = Settings.model_validate({"broker_url": "redis://127.0.0.1:1/0", "analysis_concurrency": 4})
    monkeypatch.setattr(tasks, "get_settings", lambda: settings)
    monkeypatch.setattr(
        tasks.enqueue_analysis_tasks, "apply_async", lambda **options: messages.append(options)
    )
    return messages


def analyze(monkeypatch: pytest.MonkeyPatch, answer: AnalysisState | None, **lengths: int) -> None:
    monkeypatch.setattr(tasks, "_analyst", lambda: OneAnswer(answer))
    monkeypatch.setattr(tasks, "_redis", lambda: Lengths(**lengths))
    tasks.analyze_game.run("abcdefgh")


@pytest.mark.parametrize("task", [TaskName.ENQUEUE_ANALYSIS_TASKS, TaskName.ANALYZE_GAME])
def test_tasks_are_registered_under_their_names(task: TaskName) -> None:
    assert str(task) in app.tasks
    assert app.conf.task_routes[str(task)] == {"queue": str(QUEUE_OF_TASK[task])}


def test_a_queue_that_runs_low_is_filled_before_beats_next_round(
    monkeypatch: pytest.MonkeyPatch, sent: list[object]
) -> None:
    analyze(monkeypatch, AnalysisState.DONE, analysis_queue=3)
    assert sent == [{"expires": 30}]


@pytest.mark.parametrize(
    "lengths", [{QueueName.ANALYSIS: 4}, {QueueName.ANALYSIS_SCHEDULING: 1}], ids=["enough", "asked_already"]
)
def test_nothing_is_asked_for_twice(
    monkeypatch: pytest.MonkeyPatch, sent: list[object], lengths: dict[QueueName, int]
) -> None:
    analyze(monkeypatch, AnalysisState.DONE, **{str(name): length for name, length in lengths.items()})
    assert sent == []


def test_games_that_are_done_are_noted_and_now_and_then_how_many_are_left(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[object],  # noqa: ARG001
    board: Board,
    api: FakeApi,
) -> None:
    analyze(monkeypatch, None)
    for _ in range(2):
        analyze(monkeypatch, AnalysisState.DONE)
    assert [slot.done for slot in board.slots(1)] == [2]
    assert board.backlog == 3
    assert api.endpoints == ["backlog"]


def test_a_backlog_that_can_not_be_asked_for_hinders_no_game(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[object],  # noqa: ARG001
    board: Board,
    api: FakeApi,
) -> None:
    api.refuse["backlog"] = (503, "unavailable")
    analyze(monkeypatch, AnalysisState.DONE)
    assert (board.backlog, board.slots(1)[0].done) == (None, 1)


def test_a_backlog_of_plugins_that_are_gone_hinders_no_game(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[object],  # noqa: ARG001
    board: Board,
) -> None:
    def gone(_: Settings) -> None:
        raise ConfigurationError("no plugin is installed")

    monkeypatch.setattr(preflight, "plugins", gone)
    analyze(monkeypatch, AnalysisState.DONE)
    assert (board.backlog, board.slots(1)[0].done) == (None, 1)


def test_a_time_limit_that_ends_a_count_ends_the_task(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[object],  # noqa: ARG001
) -> None:
    def slow(_: Settings) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(preflight, "plugins", slow)
    with pytest.raises(SoftTimeLimitExceeded):
        analyze(monkeypatch, AnalysisState.DONE)


def test_a_game_that_nobody_could_claim_asks_for_no_more(
    monkeypatch: pytest.MonkeyPatch, sent: list[object]
) -> None:
    analyze(monkeypatch, None)
    assert sent == []
