"""Does a game survive whoever is killed, stopped or paused while working on it?"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.contract.analyses import (
    AnalysisClaimRequest,
    AnalysisResults,
    BudgetMode,
    LeaseRenewal,
    PluginId,
    PluginResult,
    Provenance,
)
from app.contract.positions import EngineIdentity, EvaluationSource
from dev.binaries import find_binaries
from tests.chaos.analyses import (
    BUILT_IN,
    CONSUMER,
    RIVALS,
    Bench,
    analysis_system,
    invented_game,
    is_alive,
)
from tests.fakes.stockfish import Fault, ScriptedStockfish
from workers.api_client import StaleFence

LEASE_SECONDS = 6
ENGINE = EngineIdentity(name="Nobody 1", hash_mb=1)
PLUGIN = PluginId(name="accuracy", version=1)
LONG = invented_game("longgame", plies=40)
"""With LONG_NODES, a matter of minutes: nobody comes to its end before it is killed."""
LONG_NODES = 1_000_000
QUICK_NODES = 1_000


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system([CONSUMER], ANALYSIS_LEASE_SECONDS=LEASE_SECONDS, ANALYSIS_ATTEMPTS=100) as bench:
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.reset()
    return running


def worker_of(bench: Bench, game: str) -> int:
    """Return the process that holds the lease on a game, 0 if nobody does."""
    row = bench.analysis(game)
    return int(row["worker"].rpartition(":")[2]) if row["state"] == "running" and row["worker"] else 0


def wait_for_worker(bench: Bench, game: str, other_than: int = 0) -> int:
    """Wait until a living process works on a game; return its id."""

    def working() -> int:
        pid = worker_of(bench, game)
        return pid if pid != other_than and is_alive(pid) else 0

    return bench.wait_until(working, f"somebody works on {game}")


def wait_until_dead(bench: Bench, pids: list[int]) -> None:
    bench.wait_until(lambda: not any(map(is_alive, pids)), f"{pids} are gone")


def parent(pid: int) -> int:
    """Return who started a process, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def test_however_workers_are_killed_the_same_bytes_come_out(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    games = [
        *(invented_game(f"usual{n:03}", 12, at=n) for n in range(8)),
        invented_game("nomoves0", 0, at=20),
        invented_game("onemove0", 1, at=21),
        invented_game("position", 9, fen="6k1/5ppp/8/8/8/5Q2/5PPP/6K1 b - - 7 30", at=22),
    ]
    bench.put(games)
    bench.analyse(NODES=5_000, ANALYSIS_CONCURRENCY=1)
    bench.wait_settled()
    bench.check_whole()
    undisturbed = bench.dump()
    assert len(undisturbed[1]) == len(BUILT_IN) * len(games)

    bench.reset()
    bench.put(games[::-1])
    bench.analyse(NODES=5_000, ANALYSIS_CONCURRENCY=3)
    for kill in range(6):
        bench.wait_until(
            lambda: "running" in bench.states().values() or bench.settled(), "somebody works on a game"
        )
        time.sleep(rng.uniform(0, 0.15))
        main = bench.system.stack.pid(CONSUMER)
        victims = bench.children() if kill % 3 else [main]
        # Pid 0, a worker that just ended, would be this process group.
        if main and victims:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
    bench.wait_settled()
    bench.check_whole()
    assert bench.dump() == undisturbed
    attempts = sum(bench.analysis(game)["fence"] for game in bench.states())
    assert attempts > len(games), "no kill hit a game"
    bench.off(CONSUMER)
    bench.wait_no_engines()


def test_a_game_comes_back_through_its_lease_when_its_process_is_killed_again_and_again(
    bench: Bench, seed: int
) -> None:
    rng = random.Random(seed)
    bench.put([LONG])
    bench.analyse(NODES=LONG_NODES, ANALYSIS_CONCURRENCY=2)
    victim = 0
    for _ in range(3):
        victim = wait_for_worker(bench, "longgame", other_than=victim)
        engines = [pid for pid in bench.engines() if parent(pid) == victim]
        time.sleep(rng.uniform(0, 0.5))
        os.kill(victim, signal.SIGKILL)
        wait_until_dead(bench, [victim, *engines])
    bench.on(CONSUMER, NODES=QUICK_NODES)
    bench.wait_settled()
    bench.check_whole()
    assert bench.analysis("longgame")["fence"] >= 4
    bench.off(CONSUMER)
    bench.wait_no_engines()


def test_an_engine_that_hangs_dies_with_its_killed_worker(bench: Bench) -> None:
    stockfish = ScriptedStockfish(bench.new_folder("hanging"))
    stockfish.install(find_binaries().stockfish.path)
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.wait_until(
        lambda: stockfish.searches() == 1 and not bench.engines(), "the worker has tried its engine"
    )
    # In each but the initial one, at which it is tried: it does not even notice that its input ends.
    stockfish.script({"position fen": Fault.HANG})
    searches = stockfish.searches()
    bench.put([LONG])
    bench.deliver("longgame")
    victim = wait_for_worker(bench, "longgame")
    bench.wait_until(lambda: stockfish.searches() == searches + 3, "the engine was told to search")
    engines = [pid for pid in bench.engines() if parent(pid) == victim]
    assert len(engines) == 1
    os.kill(victim, signal.SIGKILL)
    wait_until_dead(bench, [victim, *engines])


def test_a_killed_worker_leaves_no_process_and_its_game_is_finished_by_the_next(
    bench: Bench, seed: int
) -> None:
    rng = random.Random(seed)
    bench.put([LONG])
    bench.analyse(NODES=LONG_NODES, ANALYSIS_CONCURRENCY=2)
    child = 0
    for _ in range(2):
        child = wait_for_worker(bench, "longgame", other_than=child)
        family = [*bench.children(), *bench.engines()]
        time.sleep(rng.uniform(0, 0.5))
        bench.system.stack.kill(CONSUMER)
        wait_until_dead(bench, family)
    bench.on(CONSUMER, NODES=QUICK_NODES)
    bench.wait_settled()
    bench.check_whole()


def test_a_warm_stop_hands_the_game_back_without_counting_an_attempt(bench: Bench) -> None:
    bench.put([LONG])
    bench.analyse(NODES=LONG_NODES, ANALYSIS_CONCURRENCY=2)
    wait_for_worker(bench, "longgame")
    family = [*bench.children(), *bench.engines()]
    handed_back = len([event for event in bench.log() if event["event"] == "game_handed_back"])
    bench.system.stack.stop(CONSUMER)
    end = bench.system.stack._supervisor.last_end(CONSUMER)
    assert end is not None
    assert end.cause.startswith("exit status 0"), end  # SIGKILL if it takes longer than its limit
    events = [event for event in bench.log() if event["event"] == "game_handed_back"]
    # A second process may have been about to claim the game when the first gave it back.
    assert len(events) > handed_back
    row = bench.analysis("longgame")
    assert (row["state"], row["attempts"], row["lease_until"], row["error"]) == ("pending", 0, None, None)
    wait_until_dead(bench, family)
    bench.on(CONSUMER, NODES=QUICK_NODES)
    bench.wait_settled()
    bench.check_whole()
    assert bench.analysis("longgame")["attempts"] == 1


def test_a_worker_paused_beyond_its_lease_changes_nothing_when_it_goes_on(bench: Bench) -> None:
    bench.put([LONG])
    bench.analyse(NODES=LONG_NODES, ANALYSIS_CONCURRENCY=1)
    paused = wait_for_worker(bench, "longgame")
    os.kill(paused, signal.SIGSTOP)
    try:
        bench.on(RIVALS[CONSUMER], NODES=QUICK_NODES, ANALYSIS_CONCURRENCY=1)
        bench.wait_settled()
        bench.check_whole()
        by_other, row = bench.dump(), bench.analysis("longgame")
        assert row["fence"] == 2
        assert int(row["worker"].rpartition(":")[2]) != paused
        lost = len([event for event in bench.log() if event["event"] == "lease_lost"])
    finally:
        os.kill(paused, signal.SIGCONT)
    bench.wait_until(
        lambda: len([event for event in bench.log() if event["event"] == "lease_lost"]) > lost,
        "the paused worker learns that it lost its lease",
    )
    # What it found with its larger budget is kept, as any evaluation is.
    evaluations, results = bench.dump()
    assert set(evaluations) >= set(by_other[0])
    assert results == by_other[1]
    assert bench.analysis("longgame") == row
    assert bench.children() == [paused]  # and it goes on to work


def test_no_report_under_an_old_fence_is_taken_and_a_repeated_one_changes_nothing(bench: Bench) -> None:
    bench.put([LONG])
    request = AnalysisClaimRequest(worker="first", plugins=[PLUGIN], engine=ENGINE, min_nodes=1)
    first = bench.api.claim_analysis("longgame", request)
    bench.system.execute("UPDATE game_analyses SET lease_until = now() - interval '1 second'")
    second = bench.api.claim_analysis("longgame", request)
    assert second.fence > first.fence
    late = AnalysisResults(
        fence=first.fence,
        provenance=Provenance(
            source=EvaluationSource.ENGINE,
            engine=ENGINE,
            nodes=1,
            mode=BudgetMode.FIXED,
            position_nodes=[],
            searched_positions=0,
            searched_nodes=0,
        ),
        results=[PluginResult(plugin=PLUGIN, result={"from": "first"})],
    )
    before = bench.analysis("longgame")
    with pytest.raises(StaleFence):
        bench.api.post_results("longgame", late)
    with pytest.raises(StaleFence):
        bench.api.renew_lease("longgame", LeaseRenewal(fence=first.fence))
    assert (bench.analysis("longgame"), bench.dump()) == (before, ([], []))

    timely = late.model_copy(
        update={
            "fence": second.fence,
            "results": [PluginResult(plugin=PLUGIN, result={"from": "second"})],
        }
    )
    bench.api.post_results("longgame", timely)
    stored = (bench.analysis("longgame"), bench.dump())
    assert stored[0]["state"] == "done"
    bench.api.post_results("longgame", timely)
    altered = timely.model_copy(update={"results": [PluginResult(plugin=PLUGIN, result={"from": "an echo"})]})
    bench.api.post_results("longgame", altered)
    assert (bench.analysis("longgame"), bench.dump()) == stored
