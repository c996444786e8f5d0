"""Is the worker's efficiency that of each game, whichever side is the faster there?"""

import time
from contextlib import closing

from dev.binaries import find_binaries
from tests.bench.bare_engine import BareEngine
from tests.bench.bench_engine import Cost, Tally, analyse, efficiencies
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.engine import EngineOptions
from workers.analysis.workbench import Workbench

UCI = ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5"]


def test_games_are_compared_one_by_one_and_sums_weigh_by_time() -> None:
    worker = Tally([Cost(9, cpu_seconds=10, python_seconds=1, nodes=5), Cost(3, 2, 1, nodes=7)])
    bare = Tally([Cost(9, cpu_seconds=8, python_seconds=0, nodes=5), Cost(3, 3, 0, nodes=7)])
    assert efficiencies(worker, bare) == [0.8, 1.5]
    assert (worker.wall_seconds, worker.cpu_seconds, worker.python_seconds, worker.nodes) == (12, 12, 2, 12)


def test_what_worker_and_bare_engine_use_is_kept_apart() -> None:
    path = find_binaries().stockfish.path
    with (
        closing(Workbench(EngineOptions(path, 1, patience_seconds=60))) as bench,
        closing(BareEngine(path, 1)) as bare,
    ):
        bench.ready()
        begun, python = time.perf_counter(), time.process_time()
        costs = analyse(bench, bare, claim(uci=UCI), 2_000)
        wall, python = time.perf_counter() - begun, time.process_time() - python
    assert [cost.nodes >= 2_000 * (len(UCI) + 1) for cost in costs] == [True, True]
    assert 0 < sum(cost.wall_seconds for cost in costs) <= wall
    assert 0 < sum(cost.python_seconds for cost in costs) <= python
    assert all(0 < cost.python_seconds <= cost.cpu_seconds for cost in costs)
