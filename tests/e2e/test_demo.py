"""Does the demo bring every bundled game in, analysed, and say so to people and to programs?"""

import json
import os
import subprocess
import sys
from pathlib import Path

from dev.paths import CHECKOUT
from dev.pipeline import free_port
from tests.e2e.fixtures import fresh_folder
from tests.e2e.harness import processes_of
from tests.e2e.histories import bundled_games

# What Stockfish plays (python-chess's and Lichess's names of the variants).
_ANALYSABLE = {"standard", "chess960", "fromPosition"}


def test_the_demo_ends_with_every_game_analysed_and_a_second_one_stores_nothing_new() -> None:
    games = [json.loads(line) for line in bundled_games()]
    analysed = sum(game["variant"] in _ANALYSABLE for game in games)
    expected = (
        f"demo: seen={len(games)} stored={len(games)} refused=0 "
        f"analysed={analysed} unsupported={len(games) - analysed} failed=0"
    )
    with fresh_folder() as folder:
        for _ in range(2):
            demo = _demo(folder)
            assert demo.returncode == 0, demo.stdout + demo.stderr
            assert demo.stdout.splitlines()[-1] == expected
            assert "https://lichess.org/analysis" in demo.stdout
            assert processes_of(folder) == []
        assert _fetches(folder) == [(len(games), False), (_recent(games), True)]


def _demo(folder: Path) -> subprocess.CompletedProcess[str]:
    options = ("--once", "--nodes", "200", "--state", str(folder), "--port", str(free_port(None)))
    return subprocess.run(
        [sys.executable, "-m", "dev.demo", *options],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def _fetches(folder: Path) -> list[tuple[int, bool]]:
    """Return, for each look at Lichess, how many lines came and whether it asked from a moment on."""
    log = (folder / "log/producer.log").read_text()
    started = [json.loads(line) for line in log.splitlines() if '"fetch_started"' in line]
    finished = [json.loads(line) for line in log.splitlines() if '"fetch_finished"' in line]
    since = {event["run_id"]: event["since_ms"] is not None for event in started}
    return [(event["lines"], since[event["run_id"]]) for event in finished]


def _recent(games: list[dict[str, int]]) -> int:
    """Count the games within a day before the newest: those that a second look overlaps with."""
    newest_ms = max(game["createdAt"] for game in games)
    return sum(game["createdAt"] >= newest_ms - 24 * 3_600 * 1_000 for game in games)
