"""Does the demo bring every bundled game in, analysed, and say so to people and to programs?"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.contract.rules import ANALYSABLE_VARIANTS
from dev.paths import CHECKOUT
from dev.pipeline import free_port
from tests.e2e.fixtures import fresh_folder
from tests.e2e.harness import processes_of
from tests.e2e.histories import bundled_games
from tests.e2e.waiting import LIMIT_SECONDS, wait_until

_FEW = 10
"""With many nodes, enough of the bundled games for some to be left when the first is analysed."""


def test_the_demo_brings_every_game_in_and_ends_with_all_analysed() -> None:
    games = [json.loads(line) for line in bundled_games()]
    with fresh_folder() as folder:
        _assert_complete(_demo(folder), games)
        assert processes_of(folder) == []


def test_ctrl_c_amid_the_analyses_ends_all_and_the_next_demo_completes_them_and_stores_nothing_new() -> None:
    lines = bundled_games()[:_FEW]
    games = [json.loads(line) for line in lines]
    with fresh_folder() as folder:
        few = folder / "few.ndjson"
        few.write_text("\n".join(lines) + "\n")
        demo = subprocess.Popen(
            _command(folder, "--nodes", "30000", "--games", str(few)),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            wait_until(
                lambda: _fetches(folder) and _analysed(folder), "all games came in, and one is analysed"
            )
            # As a terminal does: to every process of the group.
            os.killpg(demo.pid, signal.SIGINT)
            stdout, stderr = demo.communicate(timeout=LIMIT_SECONDS)
        finally:
            if demo.poll() is None:
                os.killpg(demo.pid, signal.SIGKILL)  # the stack ends with its driver
                demo.communicate()
        assert (demo.returncode, stderr) == (130, "")
        assert "Largest swings" not in stdout
        assert _analysed(folder) < _analysable(games)
        assert processes_of(folder) == []
        _assert_complete(_demo(folder, "--games", str(few)), games)
        assert processes_of(folder) == []
        first, *later = _fetches(folder)
        assert first == (len(games), False)
        assert set(later) == {(_recent(games), True)}


def _command(folder: Path, *options: str) -> list[str]:
    settings = ("--state", str(folder), "--port", str(free_port(None)))
    return [sys.executable, "-m", "dev.demo", *options, *settings]


def _demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(folder, "--once", "--nodes", "200", *options),
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def _assert_complete(demo: subprocess.CompletedProcess[str], games: list[dict[str, Any]]) -> None:
    analysed = _analysable(games)
    expected = (
        f"demo: seen={len(games)} stored={len(games)} refused=0 "
        f"analysed={analysed} unsupported={len(games) - analysed} failed=0"
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.splitlines()[-1] == expected
    assert "https://lichess.org/analysis" in demo.stdout


def _analysable(games: list[dict[str, Any]]) -> int:
    return sum(game["variant"] in ANALYSABLE_VARIANTS for game in games)


def _analysed(folder: Path) -> int:
    """Count the games that the worker says it has analysed, in all demos so far."""
    with suppress(FileNotFoundError):
        return (folder / "log/analysis-consumer.log").read_text().count('"game_analysed"')
    return 0


def _fetches(folder: Path) -> list[tuple[int, bool]]:
    """Return, for each look at Lichess, how many lines came and whether it asked from a moment on."""
    try:
        log = (folder / "log/producer.log").read_text()
    except FileNotFoundError:
        return []
    started = [json.loads(line) for line in log.splitlines() if '"fetch_started"' in line]
    finished = [json.loads(line) for line in log.splitlines() if '"fetch_finished"' in line]
    since = {event["run_id"]: event["since_ms"] is not None for event in started}
    return [(event["lines"], since[event["run_id"]]) for event in finished]


def _recent(games: list[dict[str, Any]]) -> int:
    """Count the games within a day before the newest: those that a second look overlaps with."""
    newest_ms = max(game["createdAt"] for game in games)
    return sum(game["createdAt"] >= newest_ms - 24 * 3_600 * 1_000 for game in games)
