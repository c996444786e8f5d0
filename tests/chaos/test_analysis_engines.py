"""What becomes of the games when the engine goes wrong, and of the positions that no engine may see?"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import chess
import pytest

from app.contract.games import GameRecord, Moves
from app.contract.positions import position_key
from app.games.store import is_analysable
from dev.binaries import find_binaries
from tests.chaos.analyses import BEAT, CONSUMER, PRODUCER, Bench, analysis_system, invented_game
from tests.e2e.histories import Game
from tests.fakes import engine as fake
from tests.fakes.stockfish import Fault, ScriptedStockfish
from workers.ingestion.parsing import parse

ATTEMPTS = 3
POISONED = {
    "segfault": ("4k3/8/8/8/8/8/3QK3/8", Fault.SEGFAULT, "engine_died"),
    "garbage0": ("4k3/8/8/8/8/8/3RK3/8", Fault.GARBAGE, "engine_garbage"),
}
"""Games by id: where they start, what the engine does there, and what the failure is called."""


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    with analysis_system(ANALYSIS_ATTEMPTS=ATTEMPTS) as bench:
        bench.on(PRODUCER)
        bench.on(BEAT)
        yield bench


@pytest.fixture
def bench(running: Bench) -> Bench:
    # The schedule goes on: nothing here depends on it.
    replace(running, switched=(CONSUMER,)).reset()
    return running


@pytest.fixture
def stockfish(bench: Bench, request: pytest.FixtureRequest) -> ScriptedStockfish:
    engine = ScriptedStockfish(bench.new_folder(request.node.name))
    engine.install(find_binaries().stockfish.path)
    return engine


def healthy(count: int) -> list[Game]:
    return [invented_game(f"healthy{n}", at=100 + n) for n in range(count)]


def poisoned(game_id: str, placement: str) -> Game:
    return invented_game(game_id, 6, fen=f"{placement} w - - 0 1")


def use_up_attempts(bench: Bench, game: str) -> None:
    """Leave a game its last attempt: engines that fail are started ever more slowly."""
    bench.system.execute(
        "UPDATE game_analyses a SET attempts = %s FROM games g WHERE g.id = game_id AND source_id = %s",
        ATTEMPTS - 1,
        game,
    )


def test_a_position_at_which_the_engine_dies_fails_its_game_alone(
    bench: Bench, stockfish: ScriptedStockfish
) -> None:
    bench.put([*healthy(6), *(poisoned(game, place) for game, (place, _, _) in POISONED.items())])
    use_up_attempts(bench, "garbage0")
    stockfish.script({place: fault for place, fault, _ in POISONED.values()})
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=4, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    bench.check_whole(dict.fromkeys(POISONED, "failed"))
    failures = bench.failures()
    assert failures.keys() == POISONED.keys()
    for game, (place, _, code) in POISONED.items():
        assert (failures[game]["error_code"], failures[game]["attempts"]) == (code, ATTEMPTS)
        assert place in failures[game]["error"]
    assert "exit status -11" in failures["segfault"]["error"]

    stockfish.script()
    assert bench.retry() == len(POISONED)
    bench.wait_settled()
    bench.check_whole()
    assert bench.failures() == {}
    bench.off(CONSUMER)
    bench.wait_no_engines()


PLACE = "4k3/8/8/8/8/8/3RK3/8"


def test_a_position_at_which_the_engine_hangs_fails_its_game(
    bench: Bench, stockfish: ScriptedStockfish
) -> None:
    bench.put([poisoned("hangs000", PLACE)])
    use_up_attempts(bench, "hangs000")
    stockfish.script({PLACE: Fault.HANG})
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    failure = bench.failures()["hangs000"]
    assert (failure["error_code"], failure["attempts"]) == ("engine_timeout", ATTEMPTS)
    assert "no answer in" in failure["error"]
    assert PLACE in failure["error"]

    stockfish.script()
    assert bench.retry() == 1
    bench.wait_settled()
    bench.check_whole()


def _break_start(stockfish: ScriptedStockfish) -> None:
    stockfish.script({PLACE: Fault.SEGFAULT}, on_start=Fault.EXIT)


def _remove(stockfish: ScriptedStockfish) -> None:
    stockfish.script({PLACE: Fault.SEGFAULT})
    stockfish.path.unlink()


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        (_break_start, "engine_died: exit status 3, last said 'info string no more'"),
        (_remove, "engine_missing: "),
    ],
    ids=["does_not_start", "is_gone"],
)
def test_games_wait_without_blame_while_the_engine_is_gone_and_go_on_when_it_is_back(
    bench: Bench,
    stockfish: ScriptedStockfish,
    *,
    lose: Callable[[ScriptedStockfish], None],
    reason: str,
) -> None:
    bench.put(healthy(3))
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=1, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    lose(stockfish)
    before = len(bench.log())
    bench.put([poisoned("waits000", PLACE), *(invented_game(f"later00{n}", at=-9 + n) for n in range(5))])

    def noted(event: str) -> list[dict[str, Any]]:
        return [entry for entry in bench.log()[before:] if entry["event"] == event]

    bench.wait_until(lambda: noted("game_handed_back") and noted("game_left_waiting"), "the engine is missed")
    assert reason in noted("game_handed_back")[0]["reason"]
    # The one that had begun, or nothing at all, was given back; no attempt is lost.
    assert [bench.analysis(game)["attempts"] for game in ("waits000", "later000")] == [0, 0]
    assert bench.failures() == {}

    stockfish.script()
    stockfish.install(find_binaries().stockfish.path)
    bench.wait_settled()
    bench.check_whole()
    assert bench.failures() == {}


@dataclass(frozen=True)
class Absurd:
    """A game from a position that cannot be, with moves that look as if they could."""

    fen: str
    uci: tuple[str, ...]


ABSURD = {
    "noking00": Absurd("4k3/8/8/8/8/8/8/R7 w - - 0 1", ("a1a2", "e8e7")),
    "noblack0": Absurd("8/8/8/8/8/8/8/R3K3 w - - 0 1", ("a1a2",)),
    "twokings": Absurd("4k3/8/8/8/8/8/8/K3K3 w - - 0 1", ("e1e2", "e8e7")),
    "incheck0": Absurd("4k3/4R3/8/8/8/8/8/4K3 w - - 0 1", ("e1d1", "e8e7")),
    "backrank": Absurd("4k3/8/8/8/8/8/8/P3K3 w - - 0 1", ("e1e2", "e8e7")),
    "lastrank": Absurd("P3k3/8/8/8/8/8/8/4K3 w - - 0 1", ("e1e2", "e8e7")),
    "ninequee": Absurd("4k3/8/8/8/8/PPPPPPPP/QQQQQQQQ/QQQQKQQQ w - - 0 1", ("e1d1",)),
    "threeche": Absurd("4k3/8/5N2/1B6/8/8/4R3/4K3 b - - 0 1", ("e8d8", "e1d1")),
    "notafen0": Absurd("blah", ("e2e4",)),
}
UNREPLAYABLE = {"noking00", "noblack0", "twokings", "backrank", "lastrank", "notafen0"}


def as_exported(game_id: str, absurd: Absurd) -> Game:
    return {**invented_game(game_id, 0, fen=chess.STARTING_FEN), "initialFen": absurd.fen}


def past_ingestion(game_id: str, absurd: Absurd) -> GameRecord:
    """Return a game as a consumer would store it that checks nothing."""
    harmless = parse(invented_game(game_id, 0, fen=chess.STARTING_FEN), "")
    assert isinstance(harmless, GameRecord)
    moves = Moves(
        san=list(absurd.uci),
        uci=list(absurd.uci),
        position_keys=[position_key(chess.Board())] * (len(absurd.uci) + 1),
    )
    return harmless.model_copy(update={"initial_fen": absurd.fen, "moves": moves})


def test_no_absurd_position_reaches_the_engine(bench: Bench, stockfish: ScriptedStockfish) -> None:
    for game_id, absurd in ABSURD.items():
        exported = as_exported(game_id, absurd)
        taken = parse(exported, json.dumps(exported))
        assert isinstance(taken, GameRecord)
        assert ("unreplayable:0" in taken.flags) == (game_id in UNREPLAYABLE)
        assert is_analysable(taken) == (game_id not in UNREPLAYABLE)

    bench.put(healthy(2))
    bench.put_records([past_ingestion(game_id, absurd) for game_id, absurd in ABSURD.items()])
    bench.on(CONSUMER, NODES=200, ANALYSIS_CONCURRENCY=2, ENGINE_PATH=stockfish.path)
    bench.wait_settled()
    bench.check_whole(dict.fromkeys(ABSURD, "failed"))
    for game_id, failure in bench.failures().items():
        assert (failure["error_code"], failure["attempts"]) == ("invalid_position", 1), game_id
        assert failure["error"]
    seen = stockfish.positions()
    assert len(seen) > 2 * 8
    assert [fen for fen in seen if fen != "startpos" and not chess.Board(fen).is_valid()] == []
    placements = {absurd.fen.split()[0] for absurd in ABSURD.values()}
    assert [fen for fen in seen if fen.split()[0] in placements] == []


def _missing(folder: Path) -> Path:
    return folder / "nothing"


def _not_executable(folder: Path) -> Path:
    path = folder / "engine"
    path.write_text("#!/bin/sh\n")
    return path


def _no_uci(folder: Path) -> Path:
    path = folder / "engine"
    path.write_text("#!/bin/sh\necho I play draughts\n")
    path.chmod(0o755)
    return path


def _wrong_cpu(folder: Path) -> Path:
    return fake.install(folder, fake.Fault.ILLEGAL_INSTRUCTION)


@pytest.mark.parametrize(
    ("install", "reason"),
    [
        (_missing, "no such program, or not executable"),
        (_not_executable, "no such program, or not executable"),
        (_no_uci, "I play draughts"),
        (_wrong_cpu, "built for another CPU"),
    ],
    ids=["missing", "not_executable", "no_uci", "wrong_cpu"],
)
@pytest.mark.parametrize("role", ["analysis-consumer", "check"])
def test_a_worker_does_not_start_without_an_engine_that_plays(
    bench: Bench, request: pytest.FixtureRequest, *, install: Callable[[Path], Path], reason: str, role: str
) -> None:
    folder = bench.new_folder(request.node.name)
    ended = bench.run_worker(role, ENGINE_PATH=install(folder))
    assert ended.returncode == 78
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith(f"scoresheet-worker {role}: SCORESHEET_ENGINE_PATH: no engine works: ")
    assert reason in ended.stderr
