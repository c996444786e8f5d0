"""Does a worker keep its lease while it works, and does another take the game once its time has passed?

All other tests move the end of a lease instead. Nobody is here to take a game from a worker that is late to
renew, as it may be on a busy machine.
"""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.chaos.analyses import Bench, analysis_system, invented_game, is_alive
from tests.chaos.searches import place, scripted, searching
from tests.fakes.stockfish import ScriptedStockfish

GAME = invented_game("leased00", plies=2)
PLACE = place(GAME, 2)
NODES = 200_000
"""In the fixed mode: the time that an engine has for them, 110 s, is far more than the renewals take."""
LEASE_SECONDS = 3
RENEWALS = 4
"""The first lease is over by then: they come at each third of it."""
_END = "SELECT lease_until FROM game_analyses WHERE lease_until IS NOT NULL"


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system(ANALYSIS_LEASE_SECONDS=LEASE_SECONDS) as bench:
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.reset()
    return running


def hold(bench: Bench, name: str) -> ScriptedStockfish:
    """Let one worker analyse the game up to a search that takes as long as the test likes."""
    stockfish = scripted(bench, name)
    stockfish.hold(PLACE)
    bench.put([GAME])
    bench.analyse(NODES=NODES, ANALYSIS_MODE="fixed", ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.system.wait_until(lambda: searching(bench, stockfish, [PLACE]), "the search is held")
    return stockfish


def test_a_game_that_outlasts_its_lease_stays_with_its_worker(bench: Bench) -> None:
    stockfish = hold(bench, "renewed")
    before = bench.analysis(GAME["id"])
    ends = [bench.system.value(_END)]

    def renewed() -> bool:
        row = bench.analysis(GAME["id"])
        assert (row["state"], row["fence"]) == ("running", 1), row
        if (end := bench.system.value(_END)) != ends[-1]:
            ends.append(end)
        return len(ends) > RENEWALS and bench.system.value("SELECT now() > %s", ends[0])

    bench.system.wait_until(renewed, f"the lease is renewed {RENEWALS} times, and the first is over")
    assert ends == sorted(ends)
    stockfish.script()
    bench.wait_settled()
    bench.check_whole()
    after = bench.analysis(GAME["id"])
    assert (after["fence"], after["attempts"], after["worker"]) == (1, 1, before["worker"])


def test_the_game_of_a_worker_that_died_is_taken_once_its_lease_is_over(bench: Bench) -> None:
    stockfish = hold(bench, "lapsed")
    victim = int(bench.analysis(GAME["id"])["worker"].rpartition(":")[2])
    os.kill(victim, signal.SIGKILL)
    bench.system.wait_until(lambda: not is_alive(victim), "the worker is dead")
    # Others are at work again long before its end: who took the game too early would be seen.
    bench.system.execute("UPDATE game_analyses SET lease_until = lease_until + interval '8 seconds'")
    end = bench.system.value(_END)

    def taken() -> bool:
        # The clock is read after the row: a claim that is seen is older.
        query = "SELECT fence, clock_timestamp() > %s FROM game_analyses"
        ((fence, over),) = bench.system.rows(query, end)
        assert over or fence == 1, "the game was taken before the lease was over"
        return bool(fence > 1)

    # Not by the bench, which would move the end of the lease.
    bench.system.wait_until(taken, "another worker takes the game")
    stockfish.script()
    bench.system.wait_until(bench.settled, "the game is done")
    bench.check_whole()
    row = bench.analysis(GAME["id"])
    assert (row["fence"], row["attempts"]) == (2, 2)
    assert int(row["worker"].rpartition(":")[2]) != victim
