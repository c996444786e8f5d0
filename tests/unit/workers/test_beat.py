"""Does systemd hear that the schedule runs, and what comes next?"""

import re
import shelve
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from structlog.testing import capture_logs

from app.kit.systemd import ServiceManager
from workers.beat import Scheduler


@pytest.fixture
def said() -> list[str]:
    return []


def start(schedule_file: Path, said: list[str]) -> Scheduler:
    celery: Any = Celery("test", broker="memory://", set_as_current=False)
    celery.conf.beat_schedule = {
        name: {"task": name, "schedule": timedelta(seconds=seconds)}
        for name, seconds in (("orchestrator", 60), ("enqueue_analysis_tasks", 7_500))
    }
    return Scheduler(celery, schedule_filename=str(schedule_file), manager=ServiceManager(said.append))


@pytest.fixture
def scheduler(tmp_path: Path, said: list[str]) -> Iterator[Scheduler]:
    scheduler = start(tmp_path / "schedule", said)
    yield scheduler
    scheduler.close()
    assert said[-1] == "STOPPING=1"


def test_it_is_ready_once_the_schedule_is_loaded(scheduler: Scheduler, said: list[str]) -> None:
    assert said == ["READY=1"]
    assert "orchestrator" in scheduler.schedule


def test_it_stops_where_its_program_was_changed_beneath_it(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler._program, "change", lambda: "scoresheet was replaced")
    with pytest.raises(SystemExit):
        scheduler.tick()


def test_each_round_feeds_the_watchdog_and_names_what_comes_next(
    scheduler: Scheduler, said: list[str]
) -> None:
    scheduler.tick()
    assert said[1] == "WATCHDOG=1"
    assert re.fullmatch(r"STATUS=next: orchestrator in (\d+ s|1 min)", said[2])


def test_a_broker_that_is_away_is_no_hang(
    scheduler: Scheduler, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Connection:
        def ensure_connection(self, errback: Any, callback: Any) -> str:
            errback(OSError("refused"), 2)
            callback()
            return "connection"

    monkeypatch.setitem(scheduler.__dict__, "connection", Connection())
    assert scheduler._ensure_connected() == "connection"
    assert said[1:] == ["WATCHDOG=1", "STATUS=waiting for the broker"]


def test_a_clock_that_is_put_back_holds_nothing_up(scheduler: Scheduler, said: list[str]) -> None:
    scheduler.tick()
    for entry in scheduler.schedule.values():
        entry.last_run_at = entry.default_now() + timedelta(days=1)
    scheduler.tick()
    waits = {entry.task: entry.is_due()[1] for entry in scheduler.schedule.values()}
    assert 0 < waits["orchestrator"] <= 60
    assert 0 < waits["enqueue_analysis_tasks"] <= 7_500
    assert said[-1] in {f"STATUS=next: orchestrator in {time}" for time in ("59 s", "1 min")}


def test_what_was_next_by_the_old_clock_does_not_hold_up_the_rest(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.tick()  # the times of all are set, by the old clock
    sent: list[str] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, **_: sent.append(entry.task))
    orchestrator, analysis = (scheduler.schedule[name] for name in ("orchestrator", "enqueue_analysis_tasks"))
    orchestrator.last_run_at = orchestrator.default_now() + timedelta(days=1)
    analysis.last_run_at = analysis.default_now() - timedelta(days=1)
    scheduler.tick()
    assert sent == ["enqueue_analysis_tasks"]


@pytest.mark.parametrize("key", ["entries", "tz", "of an older release"])
@pytest.mark.parametrize("gone", ["class", "module"])
def test_a_schedule_of_classes_that_are_gone_is_begun_anew(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str, gone: str
) -> None:
    schedule_file = tmp_path / "schedule"
    start(schedule_file, said).close()
    module: Any = ModuleType("of_an_older_release")
    module.Entry = type("Entry", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with shelve.open(str(schedule_file)) as store:  # noqa: S301  our own
        store[key] = {"orchestrator": module.Entry()}
    if gone == "class":
        del module.Entry
    else:
        monkeypatch.delitem(sys.modules, module.__name__)
    said.clear()
    with capture_logs() as logs:
        scheduler = start(schedule_file, said)
    assert said == ["READY=1"]
    assert set(scheduler.schedule) >= {"orchestrator", "enqueue_analysis_tasks"}
    scheduler.tick()
    scheduler.close()
    (warning,) = logs
    assert (warning["event"], warning["log_level"]) == ("schedule_unreadable", "warning")
    assert "of_an_older_release" in warning["error"]
    with capture_logs() as logs:
        start(schedule_file, said).close()
    assert logs == []


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(16_384)])
def test_a_file_that_is_no_schedule_is_begun_anew(tmp_path: Path, said: list[str], content: bytes) -> None:
    schedule_file = tmp_path / "schedule"
    schedule_file.write_bytes(content)
    scheduler = start(schedule_file, said)
    assert said == ["READY=1"]
    assert "orchestrator" in scheduler.schedule
    scheduler.close()
