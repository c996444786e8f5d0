"""Does a new plugin get the whole history without one search, in the adaptive mode and with wishes?"""

import json
from collections.abc import Iterator

import pytest

from app.contract.rules import ANALYSABLE_VARIANTS
from dev.binaries import find_binaries
from tests.chaos.analyses import BEAT, CONSUMER, PRODUCER, Bench, analysis_system
from tests.e2e.histories import bundled_games
from tests.fakes import plugins
from tests.fakes.stockfish import ScriptedStockfish

SETTINGS = {"NODES": 20_000, "ANALYSIS_MODE": "adaptive"}
GAMES = 8
WITHOUT_WISHES = "accuracy,largest_swing,move_judgements"


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system() as bench:
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.reset()
    return running


def analyse(bench: Bench, stockfish: ScriptedStockfish, **settings: object) -> None:
    bench.on(CONSUMER, ENGINE_PATH=stockfish.path, **SETTINGS, **settings)
    bench.on(PRODUCER, **settings)
    bench.on(BEAT)


def told(stockfish: ScriptedStockfish, budgets: set[int]) -> int:
    """Count the searches with these budgets; each start of a worker tries its engine with others."""
    lines = {f"go nodes {nodes}" for nodes in budgets}
    return sum(told.line in lines for told in stockfish.told())


def results(bench: Bench, plugin: str, version: int) -> dict[str, dict[str, object]]:
    query = """SELECT source_id, result FROM plugin_results JOIN games g ON g.id = game_id
               WHERE plugin = %s AND version = %s AND result IS NOT NULL"""
    return dict(bench.system.rows(query, plugin, version))


def test_a_new_plugin_gets_the_history_without_a_search(bench: Bench) -> None:
    stockfish = ScriptedStockfish(bench.new_folder("journal"))
    stockfish.install(find_binaries().stockfish.path)
    exported = [json.loads(line) for line in bundled_games()]
    playable = [game for game in exported if game["variant"] in ANALYSABLE_VARIANTS][:GAMES]
    bench.put(playable)
    names = {game["id"] for game in playable}
    analyse(bench, stockfish)
    bench.wait_settled()
    bench.check_whole()
    before, _ = bench.dump()
    depths = {budget for (budget,) in bench.system.rows("SELECT DISTINCT budget_nodes FROM evaluations")}
    assert len(depths) > 1  # something was at stake
    assert bench.system.rows("SELECT count(*) FROM evaluations WHERE lines > 1")[0][0] > 0  # and wished for
    searches = told(stockfish, depths)
    assert searches > 100

    folder = bench.new_folder("installed")
    path = plugins.install(folder, {"mates": "tests.fakes.plugins.versions:First"})
    for item in (folder, *folder.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)
    analyse(bench, stockfish, PYTHONPATH=path)
    bench.wait_until(lambda: results(bench, "mates", 1).keys() == names, "every game has the new result")
    bench.wait_settled()

    assert bench.dump()[0] == before
    assert told(stockfish, depths) == searches
    # The row of each game tells so, too: what the last pass over it searched.
    searched = bench.system.rows("SELECT DISTINCT searched_positions, searched_nodes FROM game_analyses")
    assert searched == [(0, 0)]
    # It saw every position: a score of each, of whatever budget.
    mates = results(bench, "mates", 1)
    assert any(result["plies"] for result in mates.values())


def test_a_plugin_that_is_selected_later_gets_the_history_as_well(bench: Bench) -> None:
    stockfish = ScriptedStockfish(bench.new_folder("later"))
    stockfish.install(find_binaries().stockfish.path)
    exported = [json.loads(line) for line in bundled_games()]
    playable = [game for game in exported if game["variant"] in ANALYSABLE_VARIANTS][:4]
    bench.put(playable)
    analyse(bench, stockfish, PLUGINS=WITHOUT_WISHES)
    bench.wait_settled()
    assert results(bench, "conversion", 1) == {}
    assert len(results(bench, "accuracy", 3)) == 4
    analyse(bench, stockfish, PLUGINS=f"{WITHOUT_WISHES},conversion,missed_wins")
    bench.wait_until(lambda: len(results(bench, "conversion", 1)) == 4, "every game has the new result")
    bench.wait_settled()
    assert len(results(bench, "missed_wins", 2)) == 4
    assert bench.system.rows("SELECT DISTINCT searched_positions FROM game_analyses") == [(0,)]
