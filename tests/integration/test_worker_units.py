"""What does systemd hear of a worker: when it is ready, that it lives, and when it does not?"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.access.service import Scope
from app.contract.names import TaskName
from dev.binaries import find_binaries
from dev.paths import CHECKOUT
from tests.fakes.stockfish import Fault, ScriptedStockfish
from tests.fakes.systemd import NotifiedProcess
from tests.integration.api.driver import Ledger, make_game
from tests.integration.conftest import Api
from workers.settings import Role

WATCHDOG_SECONDS = 1.0
"""A busy machine may keep a child from its work for longer, which then counts as hung until it moves again:
so food is counted and never timed, and only food that stays out tells of a hang."""
_AFTER_E4 = "4P3/8/PPPP1PPP"
WORKER = Path(sys.executable).with_name("scoresheet-worker")


@pytest.fixture
def environment(api: Api, tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "worker-token"
    token.write_text(api.tokens[Scope.WORKER])
    (tmp_path / "state").mkdir()
    return {
        **api.backend.services.environment,
        "SCORESHEET_API_SOCKET": "",
        "SCORESHEET_API_URL": api.url,
        "SCORESHEET_WORKER_TOKEN_FILE": str(token),
        "SCORESHEET_STATE_DIR": str(tmp_path / "state"),
        "SCORESHEET_CONSUMER_CONCURRENCY": "2",
        "SCORESHEET_ANALYSIS_CONCURRENCY": "2",
        "SCORESHEET_LOG_FORMAT": "json",
        "TMPDIR": str(tmp_path),  # a worker that is killed leaves its temporary files
        "PYTHONPATH": str(CHECKOUT),
    }


@contextmanager
def running(role: Role, folder: Path, environment: Mapping[str, str]) -> Iterator[NotifiedProcess]:
    with NotifiedProcess(
        folder / role.value, [WORKER, role.value], environment, watchdog_seconds=WATCHDOG_SECONDS
    ) as unit:
        yield unit


def send(api: Api, task: TaskName, *args: str) -> None:
    """Send a task as the API does."""
    api.app.state.broker._send(task, args)


def feeding_ends(unit: NotifiedProcess) -> None:
    """Wait until, for the watchdog's whole time, it gets no food but word of a hang."""

    def starves() -> bool:
        notices = [line for line in unit.messages if line.startswith(("WATCHDOG=1", "STATUS=hangs: "))]
        newest = notices[-4:]
        return len(newest) == 4 and all(line.startswith("STATUS=") for line in newest)

    unit.wait_until(starves, "food that stays out")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_says_that_it_is_ready_lives_and_stops(
    role: Role, tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(role, tmp_path, environment) as unit:
        unit.wait_ready()
        unit.wait_fed(5)
        assert unit.status.startswith("next: " if role is Role.BEAT else "idle")
        assert unit.stop() == 0
        assert "STOPPING=1" in unit.messages


def test_a_role_is_ready_only_when_it_takes_tasks_and_an_absent_broker_is_no_hang(
    api: Api, tmp_path: Path, environment: dict[str, str]
) -> None:
    stack = api.backend.stack
    stack.stop("redis")
    try:
        with running(Role.CONSUMER, tmp_path, environment) as unit:
            unit.wait_status("waiting for the broker")
            unit.wait_fed(3)
            assert not unit.ready
            stack.start(["redis"])
            unit.wait_ready()
            unit.wait_status("idle")
            stack.stop("redis")
            unit.wait_status("waiting for the broker")
            unit.wait_fed(3)
            stack.start(["redis"])
            unit.wait_status("idle")
            unit.wait_fed()
    finally:
        stack.restart("redis")


def test_a_worker_whose_plugins_are_uninstalled_beneath_it_ends_to_start_anew(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    info = tmp_path / "site" / "swings-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: swings\nVersion: 1.0\n")
    # An entry point of our own once more, which is no conflict.
    (info / "entry_points.txt").write_text(
        "[scoresheet.plugins]\nlargest_swing = plugins.largest_swing:LargestSwing\n"
    )
    environment["PYTHONPATH"] = f"{info.parent}:{CHECKOUT}"
    with running(Role.ANALYSIS_PRODUCER, tmp_path, environment) as unit:
        unit.wait_ready()
        shutil.rmtree(info)
        unit.wait_until(lambda: unit.process.poll() is not None, "its end")
        assert unit.process.returncode == os.EX_TEMPFAIL
        assert "STOPPING=1" in unit.finish()
    assert "swings was removed" in unit.log_path.read_text()


def test_an_idle_child_that_is_stopped_is_noticed_when_it_takes_up_no_task(
    api: Api, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment["SCORESHEET_CONSUMER_CONCURRENCY"] = "1"
    with running(Role.CONSUMER, tmp_path, environment) as unit:
        unit.wait_ready()
        unit.wait_fed()
        (child,) = unit.children
        os.kill(child, signal.SIGSTOP)
        unit.wait_fed(5)
        send(api, TaskName.ORCHESTRATOR)
        feeding_ends(unit)
        os.kill(child, signal.SIGCONT)
        unit.wait_status("idle")
        unit.wait_fed()


def test_an_engine_that_is_silent_is_no_hang_before_its_deadline_but_a_child_that_is_stopped_is(
    api: Api, tmp_path: Path, environment: dict[str, str]
) -> None:
    games = [make_game(number) for number in range(2)]
    Ledger(api).track().stream(games)
    stockfish = ScriptedStockfish(tmp_path)
    stockfish.install(find_binaries().stockfish.path)
    stockfish.script({_AFTER_E4: Fault.HANG})
    environment |= {"SCORESHEET_ENGINE_PATH": str(stockfish.path), "SCORESHEET_NODES": "1000000"}
    with running(Role.ANALYSIS_CONSUMER, tmp_path, environment) as unit:
        unit.wait_ready()
        send(api, TaskName.ANALYZE_GAME, games[0]["id"])
        unit.wait_status("analysing 1 game, 2 waiting")
        unit.wait_until(lambda: any(_AFTER_E4 in fen for fen in stockfish.positions()), "the hang")
        unit.wait_fed(10)
        for child in unit.children:
            os.kill(child, signal.SIGSTOP)
        feeding_ends(unit)


@pytest.mark.smoke
def test_the_kinds_of_work_are_told(api: Api, tmp_path: Path, environment: dict[str, str]) -> None:
    ledger = Ledger(api).track()
    run = ledger.plan()
    game = make_game(1)
    ledger.see(run.run_id, [game])
    with (
        running(Role.CONSUMER, tmp_path, environment) as consumer,
        running(Role.ANALYSIS_PRODUCER, tmp_path, environment) as analysis_producer,
    ):
        consumer.wait_ready()
        api.app.state.broker._send(
            TaskName.PROCESS_GAME_DATA, (ledger.player, run.run_id, 1, json.dumps(game))
        )
        consumer.wait_until(lambda: any("storing 0." in line for line in consumer.messages), "storing")
        analysis_producer.wait_ready()
        send(api, TaskName.ENQUEUE_ANALYSIS_TASKS)
        analysis_producer.wait_status("UTC 1 games sent")
