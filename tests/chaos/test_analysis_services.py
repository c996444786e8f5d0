"""Does analysis recover when what it stands on fails, and is nothing done twice that comes twice?"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

import pytest

from tests.chaos.analyses import (
    BEAT,
    BUILT_IN,
    CONSUMER,
    PRODUCER,
    RIVALS,
    Bench,
    analysis_system,
    invented_game,
)
from tests.chaos.searches import place, scripted, searching
from tests.e2e.database import Database
from tests.fakes import plugins
from tests.fakes.plugins import patient
from tests.fakes.stockfish import ScriptedStockfish

GAMES = [
    *(invented_game(f"usual{n:03}", 12, at=n) for n in range(12)),
    invented_game("nomoves0", 0, at=20),
    invented_game("onemove0", 1, at=21),
]
NODES = 2_000
CONCURRENCY = 2

Rows = tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    # Who can't report for as long as the API is retried loses the game, and it is taken up again.
    with analysis_system([PRODUCER, CONSUMER, BEAT], ANALYSIS_LEASE_SECONDS=60) as bench:
        yield bench


@pytest.fixture(scope="module")
def stockfish(running: Bench) -> ScriptedStockfish:
    return scripted(running, "held")


@pytest.fixture(scope="module")
def settings(running: Bench, stockfish: ScriptedStockfish) -> Mapping[str, object]:
    """Install the plugin that holds games; return the settings of a worker that has it, and the engine."""
    folder = running.folder / "installed"
    path = plugins.install(folder, {"patient": patient.WHERE})
    for item in (folder, *folder.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)
    return {
        "NODES": NODES,
        "ANALYSIS_CONCURRENCY": CONCURRENCY,
        "ENGINE_PATH": stockfish.path,
        "PYTHONPATH": path,
    }


@pytest.fixture(scope="module")
def undisturbed(running: Bench, settings: Mapping[str, object]) -> Rows:
    """Return what is found when nothing goes wrong."""
    running.reset()
    running.put(GAMES)
    running.analyse(**settings)
    running.wait_settled()
    return running.dump()


def let_all_go(bench: Bench, stockfish: ScriptedStockfish) -> None:
    """Let go on whom engine or plugin hold."""
    stockfish.script()
    patient.release(bench.folder)


@pytest.fixture
def bench(running: Bench, stockfish: ScriptedStockfish, undisturbed: Rows) -> Bench:
    assert len(undisturbed[1]) == (len(BUILT_IN) + 1) * len(GAMES)
    let_all_go(running, stockfish)
    running.reset()
    return running


def fences(bench: Bench) -> set[int]:
    """Return how often games were claimed."""
    return {fence for (fence,) in bench.system.rows("SELECT fence FROM game_analyses")}


def done(bench: Bench) -> int:
    return sum(state == "done" for state in bench.states().values())


def wait_held(bench: Bench, held: Callable[[], int], count: int) -> None:
    """Wait until so many workers are held, each in the midst of a game."""

    def enough() -> bool:
        assert not bench.settled(), "all are done, and none was held"
        return held() >= count

    bench.wait_until(enough, f"{count} games are under way")


def held_by_plugin(bench: Bench) -> int:
    return len(patient.waiting(bench.folder))


def _flush(bench: Bench) -> None:
    with bench.system.redis() as client:
        client.flushall()


def _restart_redis(bench: Bench) -> None:
    bench.system.stack.stop("redis")
    bench.system.stack.start(["redis"])


@dataclass(frozen=True)
class Blow:
    """What hits the system in the middle of its work."""

    name: str
    strike: Callable[[Bench], object]


BLOWS = [
    Blow("flushall", _flush),
    Blow("redis_restart", _restart_redis),
    Blow("redis_kill", lambda bench: bench.system.stack.kill("redis")),
    Blow("postgres_kill", lambda bench: bench.system.stack.kill("postgres")),
    Blow("pgbouncer_kill", lambda bench: bench.system.stack.kill("pgbouncer")),
    Blow("api_kill", lambda bench: bench.system.stack.kill("api")),
]


class Stage(StrEnum):
    """What the workers are at when the blow falls."""

    SEARCH = "search"
    EVALUATIONS = "report of the evaluations"
    PLUGIN = "plugin"
    RESULTS = "report of the plugins' results"


_REPORTED_TO = {Stage.EVALUATIONS: "evaluations", Stage.RESULTS: "plugin_results"}
"""Tables that the reports are written to."""
_WAITING = "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


@contextmanager
def held_at(
    stage: Stage, bench: Bench, stockfish: ScriptedStockfish, places: Mapping[str, str]
) -> Iterator[None]:
    """Put all games; inside, each worker is at this stage of one of these, which are named by their ids.

    `places` are where the engine is to be held in each game.
    """
    by_engine = stage in {Stage.SEARCH, Stage.EVALUATIONS}
    if by_engine:
        stockfish.hold(*places.values())
    else:
        patient.hold(bench.folder, places)
    bench.put(GAMES)

    def held() -> int:
        if by_engine:
            return len(searching(bench, stockfish, places.values()))
        return held_by_plugin(bench)

    wait_held(bench, held, CONCURRENCY)
    assert done(bench) == len(GAMES) - len(places)
    with ExitStack() as locked:
        if table := _REPORTED_TO.get(stage):
            locker = locked.enter_context(closing(Database(bench.system.services.state.run)))
            locker.run("BEGIN")
            locker.run(f"LOCK TABLE {table} IN SHARE MODE")
            let_all_go(bench, stockfish)
            wait_held(bench, lambda: int(bench.system.value(_WAITING, table)), CONCURRENCY)
        yield
    let_all_go(bench, stockfish)


@pytest.fixture
def at_work(
    running: Bench, stockfish: ScriptedStockfish, undisturbed: Rows, settings: Mapping[str, object]
) -> Bench:
    """Forget all games; the workers that found the undisturbed results go on, or begin."""
    assert len(undisturbed[1]) == (len(BUILT_IN) + 1) * len(GAMES)
    # Whom a failed test has left amid a game must not count in the next.
    switched = () if running.settled() else running.switched
    let_all_go(running, stockfish)
    replace(running, switched=switched).reset()
    if not running.children():
        running.analyse(**settings)
    return running


@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.name)
def test_analysis_recovers_by_itself_and_finds_the_same(
    at_work: Bench, stockfish: ScriptedStockfish, undisturbed: Rows, blow: Blow, seed: int
) -> None:
    bench = at_work
    rng = random.Random(f"{seed} {blow.name}")  # another stage for each
    stage = rng.choice(list(Stage))
    newest_first = sorted(GAMES, key=lambda game: -int(game["createdAt"]))
    # The two newest are too short to be held in a search, and all share their first positions.
    held = newest_first[rng.randrange(2, len(GAMES) - 4) :]
    places = {game["id"]: place(game, rng.randrange(3, 13)) for game in held}
    with held_at(stage, bench, stockfish, places):
        blow.strike(bench)
    bench.wait_settled()
    bench.system.stack.wait_ready("api")
    bench.check_whole()
    assert bench.dump() == undisturbed
    assert {bench.analysis(game["id"])["error"] for game in GAMES} == {None}


def test_a_task_delivered_three_times_is_done_once(
    bench: Bench, undisturbed: Rows, settings: Mapping[str, object]
) -> None:
    bench.put(GAMES)
    for game in GAMES:
        bench.deliver(game["id"], times=3)
    bench.on(CONSUMER, **{**settings, "ANALYSIS_CONCURRENCY": 3})
    bench.wait_settled()
    bench.wait_delivered()
    for game in GAMES:
        bench.deliver(game["id"])
    bench.wait_delivered()
    assert fences(bench) == {1}
    bench.check_whole()
    assert bench.dump() == undisturbed


def test_two_of_every_role_do_the_work_of_one(
    bench: Bench, undisturbed: Rows, settings: Mapping[str, object]
) -> None:
    bench.put(GAMES)
    # Nobody gets on before all are at work.
    patient.hold(bench.folder, [game["id"] for game in GAMES])
    for name in (CONSUMER, RIVALS[CONSUMER]):
        bench.on(name, **settings)
    rival_state = bench.folder / "rival"
    if not rival_state.exists():
        bench.new_folder("rival")
    bench.on(PRODUCER)
    bench.on(RIVALS[PRODUCER])
    bench.on(BEAT)
    bench.on(RIVALS[BEAT], STATE_DIR=rival_state)
    wait_held(bench, lambda: held_by_plugin(bench), 2 * CONCURRENCY)
    patient.release(bench.folder)
    bench.wait_settled()
    bench.wait_delivered()
    workers = {bench.analysis(game["id"])["worker"] for game in GAMES}
    assert len(workers) == 2 * CONCURRENCY
    assert fences(bench) == {1}
    bench.check_whole()
    assert bench.dump() == undisturbed


def test_a_game_that_its_owner_asks_for_goes_before_newer_ones(bench: Bench) -> None:
    games = [invented_game(f"usual{n:03}", 6, at=n) for n in range(40)]
    bench.put(games)
    oldest = games[0]["id"]
    answer = bench.system.owner.post(f"/v1/games/{oldest}/analysis")
    assert (answer.status_code, answer.json()) == (202, {"state": "pending"})
    bench.wait_until(lambda: bench.waiting() == 1, "the workers have their hint")
    _flush(bench)  # what counts is what stands in PostgreSQL
    bench.analyse(NODES=200, ANALYSIS_CONCURRENCY=1)
    bench.wait_settled()
    order = bench.system.rows(
        "SELECT source_id FROM game_analyses JOIN games g ON g.id = game_id ORDER BY analysed_at"
    )
    assert [game for (game,) in order] == [oldest, *(game["id"] for game in games[:0:-1])]
