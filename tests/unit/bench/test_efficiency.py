"""Is the worker's efficiency that of each game, whichever side is the faster there?"""

from tests.bench.bench_engine import Cost, Tally, efficiencies


def test_games_are_compared_one_by_one_and_sums_weigh_by_time() -> None:
    worker = Tally([Cost(9, cpu_seconds=10, python_seconds=1, nodes=5), Cost(3, 2, 1, nodes=7)])
    bare = Tally([Cost(9, cpu_seconds=8, python_seconds=0, nodes=5), Cost(3, 3, 0, nodes=7)])
    assert efficiencies(worker, bare) == [0.8, 1.5]
    assert (worker.wall_seconds, worker.cpu_seconds, worker.python_seconds, worker.nodes) == (12, 12, 2, 12)
