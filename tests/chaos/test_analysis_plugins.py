"""What becomes of the games when a plugin misbehaves, comes in a new version, or cannot be loaded?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.binaries import find_binaries
from tests.chaos.analyses import BEAT, BUILT_IN, CONSUMER, PRODUCER, Bench, analysis_system, invented_game
from tests.fakes import plugins
from tests.fakes.stockfish import ScriptedStockfish

ATTEMPTS = 2
TEMPERAMENTAL = {"temperamental": "tests.fakes.plugins.temperamental:Temperamental"}
FAILING = {
    "throws00": "temperamental: LookupError: no ply 99 in throws00",
    "exits000": "temperamental: SystemExit: 0",
    "nan00000": "temperamental: BrokenContract: plies: Input should be a finite number",
    "wrong000": "temperamental: BrokenContract: analyse() returned list, declared is Mood",
    "huge0000": "temperamental: BrokenContract: the result takes 20",
    "deep0000": "temperamental: BrokenContract: the result is nested 254 deep",
    "loops000": "temperamental: SoftTimeLimitExceeded",
}
"""Games by id, which tells the plugin what to do, and how the reason of the failure begins."""
ENDLESS = ("loops000", "deaf0000")
"""Games that the plugin would never be done with."""
KILLING = ("deaf0000", "dies0000")
"""Games in which the plugin takes its process with it."""
HARMLESS = ("prints00", "hoards00")
MEMORY_LIMIT_KIB = 650_000


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system(ANALYSIS_ATTEMPTS=ATTEMPTS) as bench:
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.reset()
    return running


def install(bench: Bench, name: str, installed: dict[str, str], distribution: str = "fakes") -> str:
    """Install plugins where the stack's user can read them; return the PYTHONPATH."""
    folder = bench.folder / name
    path = plugins.install(folder, installed, distribution)
    for item in (folder, *folder.rglob("*")):
        item.chmod(0o755 if item.is_dir() else 0o644)
    return path


def analyse(bench: Bench, path: str, **settings: object) -> None:
    bench.on(CONSUMER, NODES=200, PYTHONPATH=path, **settings)
    bench.on(PRODUCER, PYTHONPATH=path)
    bench.on(BEAT)


def put_in_order(bench: Bench, games: list[str]) -> None:
    """Store games, to be analysed in this order; one attempt is left to those that kill or take long."""
    bench.put([invented_game(game, 4, at=100 - place) for place, game in enumerate(games)])
    bench.system.execute(
        """UPDATE game_analyses a SET attempts = %s FROM games g
           WHERE g.id = game_id AND state = 'pending' AND source_id = ANY(%s)""",
        ATTEMPTS - 1,
        [*KILLING, *ENDLESS],
    )


def resident_kib(pid: int) -> int:
    """Return how much memory a process holds, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def test_a_plugin_that_misbehaves_costs_its_own_result_alone(bench: Bench) -> None:
    healthy = [f"healthy{n}" for n in range(6)]
    brief = [game for game in (*FAILING, *KILLING, *HARMLESS) if game not in ENDLESS]
    # The healthy ones come last: they wait behind all that goes wrong.
    put_in_order(bench, [*brief, *healthy[:4]])
    path = install(bench, "temperamental", TEMPERAMENTAL)
    analyse(bench, path, ANALYSIS_CONCURRENCY=4)
    bench.wait_settled()
    # The limit goes with the messages, and is less than what one plugin may take. Other games have none to
    # speak of: on a slow machine they would reach it, too.
    bench.off(PRODUCER)
    put_in_order(bench, [*ENDLESS])
    bench.on(PRODUCER, PYTHONPATH=path, ANALYSIS_TIME_LIMIT_SECONDS=10)
    bench.wait_until(
        lambda: "pending" not in {bench.states()[game] for game in ENDLESS}, "the endless games are begun"
    )
    bench.on(PRODUCER, PYTHONPATH=path)
    put_in_order(bench, healthy[4:])
    bench.wait_until(
        lambda: {bench.states()[game] for game in healthy} == {"done"}, "the healthy games are done"
    )
    bench.wait_settled()
    bench.check_whole(dict.fromkeys([*FAILING, *KILLING], "failed"))

    failures = bench.failures()
    for game, reason in FAILING.items():
        assert (failures[game]["error_code"], failures[game]["attempts"]) == ("plugin_failed", ATTEMPTS), game
        assert failures[game]["error"].startswith(reason), game
        assert bench.plugins_with_result(game) == BUILT_IN, game
    for game in KILLING:
        assert (failures[game]["error_code"], failures[game]["attempts"]) == ("worker_lost", ATTEMPTS), game
        assert bench.plugins_with_result(game) == set(), game
    for game in (*HARMLESS, *healthy):
        assert bench.plugins_with_result(game) == {*BUILT_IN, "temperamental"}, game
    bench.wait_until(
        lambda: max(map(resident_kib, bench.children())) < MEMORY_LIMIT_KIB, "who hoards memory is replaced"
    )

    # Without the plugin the games that it failed on lack nothing; those whose process it took lack all.
    bench.on(CONSUMER, NODES=200)
    bench.on(PRODUCER)
    bench.wait_until(lambda: {bench.states()[game] for game in FAILING} == {"done"}, "the games come back")
    bench.check_whole(dict.fromkeys(KILLING, "failed"))
    assert bench.retry() == len(KILLING)
    bench.wait_settled()
    bench.check_whole()
    bench.off(CONSUMER)
    bench.wait_no_engines()


def test_a_new_version_of_a_plugin_searches_nothing_again(bench: Bench) -> None:
    stockfish = ScriptedStockfish(bench.new_folder("journal"))
    stockfish.install(find_binaries().stockfish.path)
    bench.put([invented_game(f"healthy{n}", 10, at=n) for n in range(6)])
    first = install(bench, "first", {"mates": "tests.fakes.plugins.versions:First"})
    analyse(bench, first, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    bench.check_whole()
    evaluations, _ = bench.dump()
    searches = [told.line for told in stockfish.told() if told.line.startswith("go nodes 200")]
    assert len(searches) >= len(evaluations) > 6 * 9

    second = install(bench, "second", {"mates": "tests.fakes.plugins.versions:Second"})
    analyse(bench, second, ENGINE_PATH=stockfish.path)
    query = """SELECT source_id, result FROM plugin_results JOIN games g ON g.id = game_id
               WHERE plugin = 'mates'"""
    wanted = {(f"healthy{n}", 11) for n in range(6)}
    bench.wait_until(
        lambda: (
            {(game, result["plies"]) for game, result in bench.system.rows(f"{query} AND version = 2")}
            == wanted
        ),
        "every game has a result of the second version",
    )
    bench.wait_settled()
    bench.check_whole()
    assert len(bench.system.rows(f"{query} AND version = 1")) == 6  # kept
    assert [told.line for told in stockfish.told() if told.line.startswith("go nodes 200")] == searches
    assert bench.dump()[0] == evaluations


@pytest.mark.parametrize("role", [CONSUMER, PRODUCER])
@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        ({"gone": "no.such.module:Plugin"}, "plugin 'gone' (no.such.module:Plugin) cannot be imported"),
        ({"mates": "tests.fakes.plugins.versions:OfTheFuture"}, "is written for plugin API 2, this is 1"),
        ({"accuracy": "tests.fakes.plugins.versions:First"}, "plugin 'accuracy' is installed twice"),
        ({"other": "tests.fakes.plugins.versions:First"}, "calls itself 'mates'"),
    ],
    ids=["missing", "incompatible", "duplicate", "misnamed"],
)
def test_a_worker_does_not_start_with_a_plugin_that_it_cannot_use(
    bench: Bench, request: pytest.FixtureRequest, installed: dict[str, str], reason: str, role: str
) -> None:
    path = install(bench, request.node.name, installed)
    ended = bench.run_worker(role, PYTHONPATH=path)
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith(f"scoresheet-worker {role}: plugin ")
    assert reason in ended.stderr
