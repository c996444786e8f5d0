"""Does a game survive whoever is killed, stopped or paused while working on it?"""

import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
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
from tests.chaos.analyses import (
    BEAT,
    BUILT_IN,
    CONSUMER,
    PRODUCER,
    RIVALS,
    Bench,
    analysis_system,
    invented_game,
    is_alive,
)
from tests.chaos.searches import place, scripted, searching
from tests.e2e.histories import Game
from tests.fakes.stockfish import Fault, ScriptedStockfish
from workers.api_client import StaleFence

ENGINE = EngineIdentity(name="Nobody 1", hash_mb=1)
PLUGIN = PluginId(name="accuracy", version=1)
LONG = invented_game("longgame", plies=40)
LONG_NODES = 10**12
"""A matter of weeks for one position: nobody comes to its end before it is killed."""
QUICK_NODES = 1_000
WORKERS = 3
KILLS = 8


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system([CONSUMER], ANALYSIS_ATTEMPTS=100) as bench:
        bench.on(PRODUCER)
        bench.on(BEAT)
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    forget_all(running)
    return running


def forget_all(bench: Bench) -> None:
    """Stop the consumers and forget all games; the schedule goes on, for nothing here depends on it."""
    replace(bench, switched=(CONSUMER, RIVALS[CONSUMER])).reset()


def worker_of(bench: Bench, game: str) -> int:
    """Return the process that holds the lease on a game, 0 if nobody does."""
    row = bench.analysis(game)
    return int(row["worker"].rpartition(":")[2]) if row["state"] == "running" and row["worker"] else 0


def wait_for_worker(bench: Bench, game: str, other_than: int = 0) -> int:
    """Wait until a living process works on a game; return its id."""

    def working() -> int:
        assert not bench.settled(), "it is done already"
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


def engines_of(bench: Bench, worker: int) -> list[int]:
    return [pid for pid in bench.engines() if parent(pid) == worker]


def hold_at(stockfish: ScriptedStockfish, *places: str) -> None:
    """Let every search in these places hang, and no other: who comes there stays at work."""
    stockfish.script(dict.fromkeys(places, Fault.HANG))


def wait_held(bench: Bench, stockfish: ScriptedStockfish, worker: int, position: str) -> list[int]:
    """Wait until an engine of a worker was told a position whose line holds a text; return the engine."""

    def held() -> list[int]:
        assert not bench.settled(), f"{worker} is done, and never came to {position}"
        there = {told.pid for told in stockfish.told() if position in told.line}
        return [pid for pid in engines_of(bench, worker) if pid in there]

    return bench.wait_until(held, f"{worker} searches {position}")


def computed_seconds(pid: int) -> float:
    """Return the processor time that a process has used, 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_at_work(bench: Bench, games: Sequence[Game]) -> list[int]:
    """Wait until living processes of the consumer hold some of these games; return them."""
    query = """SELECT worker FROM game_analyses a JOIN games g ON g.id = game_id
               WHERE a.state = 'running' AND source_id = ANY(%s)"""
    ids = [game["id"] for game in games]

    def at_work() -> list[int]:
        assert not bench.settled(), "nobody has anything to do any more"
        holders = {int(worker.rpartition(":")[2]) for (worker,) in bench.system.rows(query, ids)}
        return [pid for pid in bench.children() if pid in holders and is_alive(pid)]

    return bench.wait_until(at_work, "somebody works on a game")


def test_however_workers_are_killed_the_same_bytes_come_out(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    stockfish = scripted(bench, f"killed{seed}")
    usual = [invented_game(f"usual{n:03}", 12, at=n) for n in range(8)]
    games = [
        *usual,
        invented_game("nomoves0", 0, at=20),
        invented_game("onemove0", 1, at=21),
        invented_game("position", 9, fen="6k1/5ppp/8/8/8/5Q2/5PPP/6K1 b - - 7 30", at=22),
    ]
    bench.put(games)
    bench.on(CONSUMER, NODES=5_000, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    bench.check_whole()
    undisturbed = bench.dump()
    assert len(undisturbed[1]) == len(BUILT_IN) * len(games)

    forget_all(bench)
    bench.put(games[::-1])
    # No usual game gets past its last position: until all kills are done, somebody is at work.
    ends = [place(game, 12) for game in usual]
    stockfish.hold(*ends)
    bench.on(CONSUMER, NODES=5_000, ANALYSIS_CONCURRENCY=WORKERS, ENGINE_PATH=stockfish.path)
    for kill in range(KILLS):
        # Wherever they are in their work by then.
        wait_for_lines(bench, stockfish, rng.randrange(100), ends)
        victims = wait_at_work(bench, usual)
        kill_one(bench, victims if kill % 3 else [bench.system.stack.pid(CONSUMER)], rng)
    stockfish.script()
    bench.wait_settled()
    bench.check_whole()
    assert bench.dump() == undisturbed
    attempts = sum(bench.analysis(game)["fence"] for game in bench.states())
    assert attempts >= len(games) + KILLS, "a kill hit no game"
    bench.off(CONSUMER)
    bench.wait_no_engines()


def wait_for_lines(bench: Bench, stockfish: ScriptedStockfish, count: int, ends: list[str]) -> None:
    """Wait until engines were told so many more lines, or all workers are held at the ends of their games."""
    enough = len(stockfish.told()) + count
    bench.wait_until(
        lambda: len(stockfish.told()) >= enough or len(searching(bench, stockfish, ends)) >= WORKERS,
        f"{count} more lines",
    )


def kill_one(bench: Bench, pids: list[int], rng: random.Random) -> None:
    """Kill one of some processes that live."""
    victim = rng.choice(pids)
    assert victim, "it ended by itself"  # and pid 0 would be this process group
    os.kill(victim, signal.SIGKILL)
    wait_until_dead(bench, [victim])


def test_a_game_comes_back_through_its_lease_when_its_process_is_killed_again_and_again(
    bench: Bench, seed: int
) -> None:
    stockfish = scripted(bench, f"again{seed}")
    # In order: an attempt that the engine's time limit ends, on a slow machine, keeps what it has found.
    places = [place(LONG, ply) for ply in sorted(random.Random(seed).sample(range(1, 40), 3))]
    bench.put([LONG])
    hold_at(stockfish, places[0])
    bench.on(CONSUMER, NODES=QUICK_NODES, ANALYSIS_CONCURRENCY=2, ENGINE_PATH=stockfish.path)
    victim = 0
    for here, following in zip(places, [places[1:2], places[2:], []], strict=True):
        victim = wait_for_worker(bench, "longgame", other_than=victim)
        wait_held(bench, stockfish, victim, here)
        engines = engines_of(bench, victim)
        hold_at(stockfish, *following)
        os.kill(victim, signal.SIGKILL)
        wait_until_dead(bench, [victim, *engines])
    bench.wait_settled()
    bench.check_whole()
    assert bench.analysis("longgame")["fence"] >= 4
    bench.off(CONSUMER)
    bench.wait_no_engines()


def test_an_engine_that_hangs_dies_with_its_killed_worker(bench: Bench) -> None:
    stockfish = scripted(bench, "hanging")
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.wait_until(
        lambda: stockfish.searches() >= 1 and not bench.engines(), "the worker has tried its engine"
    )
    # In each but the initial one, at which it is tried: it does not even notice that its input ends.
    stockfish.script({"position fen": Fault.HANG})
    bench.put([LONG])
    bench.deliver("longgame")
    victim = wait_for_worker(bench, "longgame")
    engines = wait_held(bench, stockfish, victim, "position fen")
    assert len(engines) == 1
    os.kill(victim, signal.SIGKILL)
    wait_until_dead(bench, [victim, *engines])


def test_a_killed_worker_leaves_no_process_and_its_game_is_finished_by_the_next(
    bench: Bench, seed: int
) -> None:
    rng = random.Random(seed)
    bench.put([LONG])
    bench.on(CONSUMER, NODES=LONG_NODES, ANALYSIS_CONCURRENCY=2)
    child = 0
    for _ in range(2):
        child = wait_for_worker(bench, "longgame", other_than=child)
        seconds = rng.uniform(0, 0.3)
        bench.wait_until(
            lambda: max(map(computed_seconds, engines_of(bench, child)), default=-1) >= seconds,  # noqa: B023
            "its engine has computed for a while",
        )
        family = [*bench.children(), *bench.engines()]
        bench.system.stack.kill(CONSUMER)
        wait_until_dead(bench, family)
    bench.on(CONSUMER, NODES=QUICK_NODES)
    bench.wait_settled()
    bench.check_whole()


def test_a_warm_stop_hands_the_game_back_without_counting_an_attempt(bench: Bench) -> None:
    bench.put([LONG])
    bench.on(CONSUMER, NODES=LONG_NODES, ANALYSIS_CONCURRENCY=2)
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
    stockfish = scripted(bench, "paused")
    bench.put([LONG])
    hold_at(stockfish, place(LONG, 20))
    bench.on(CONSUMER, NODES=5 * QUICK_NODES, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    paused = wait_for_worker(bench, "longgame")
    (engine,) = wait_held(bench, stockfish, paused, place(LONG, 20))
    os.kill(paused, signal.SIGSTOP)
    bench.expire_lease("longgame")
    try:
        bench.on(RIVALS[CONSUMER], NODES=QUICK_NODES, ANALYSIS_CONCURRENCY=1)
        bench.wait_settled()
        bench.check_whole()
        by_other, row = bench.dump(), bench.analysis("longgame")
        assert row["fence"] == 2
        assert int(row["worker"].rpartition(":")[2]) != paused
        lost = len([event for event in bench.log() if event["event"] == "lease_lost"])
        # It will go on with another engine, and come to the end of the game.
        hold_at(stockfish)
        with suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
    finally:
        os.kill(paused, signal.SIGCONT)
    bench.wait_until(
        lambda: len([event for event in bench.log() if event["event"] == "lease_lost"]) > lost,
        "the paused worker learns that it lost its lease",
    )
    # What it found with its larger budget is kept, as any evaluation is.
    evaluations, results = bench.dump()
    assert set(evaluations) > set(by_other[0])
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
