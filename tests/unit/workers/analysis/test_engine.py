"""Is every way in which an engine can fail noticed, named, and left without a process behind?"""

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import chess
import pytest

from app.contract.positions import EngineIdentity, Score, position_key
from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from tests.unit.workers.analysis.conftest import alive
from workers.analysis.engine import (
    Engine,
    EngineDied,
    EngineError,
    EngineGarbage,
    EngineMissing,
    EngineOptions,
    EngineOutOfMemory,
    EngineTimeout,
)
from workers.analysis.position import InvalidPosition

HASTY = 1.0
"""Patience where a test waits for its end; a start may take longer on a busy machine."""


def options(path: Path, patience_seconds: float = 60.0) -> EngineOptions:
    return EngineOptions(
        path=path, hash_mb=4, patience_seconds=patience_seconds, slowest_nodes_per_second=1e6
    )


async def evaluate_with(folder: Path, fault: Fault, patience_seconds: float = 60.0) -> None:
    """Search one position with a faulty engine; raises what the engine's failure becomes."""
    path = fake.install(folder, fault)
    engine = await Engine.launch(options(path))
    engine._options = options(path, patience_seconds)
    try:
        await engine.evaluate(chess.Board(), 100)
    finally:
        assert not engine.usable
        await engine.close()


async def test_a_position_is_evaluated_from_whites_view(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder)))
    white = chess.Board("4k3/8/8/8/8/8/4P3/4K3 w - - 3 40")
    black = chess.Board("4k3/8/8/8/8/8/4P3/4K3 b - - 3 40")
    by_white, by_black = await engine.evaluate(white, 100), await engine.evaluate(black, 100)
    await engine.close()
    assert by_white.position_key == position_key(white)
    assert by_white.halfmove_clock == 3
    assert (by_white.depth, by_white.nodes, by_white.pv) == (7, 100, ["e1d1"])
    said = fake.commands(folder)
    assert f"position fen {white.fen()[:-2]}1" in said
    assert by_white.score == Score(cp=_score_of(f"{white.fen()[:-2]}1"))
    assert by_black.score == Score(cp=-_score_of(f"{black.fen()[:-2]}1"))


def _score_of(fen: str) -> int:
    # The fake's own arithmetic.
    return zlib.crc32(fen.encode()) % 400 - 200


async def test_the_identity_holds_all_that_could_change_a_result(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder, name="Fake 2.5")))
    await engine.close()
    assert engine.identity == EngineIdentity(name="Fake 2.5", net="nn-fake.nnue", hash_mb=4, threads=1)
    assert "setoption name Hash value 4" in fake.commands(folder)


async def test_the_hash_is_cleared_before_each_position_and_no_history_sent(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder)))
    board = chess.Board()
    for move in ("e2e4", "e7e5"):
        await engine.evaluate(board, 10)
        board.push_uci(move)
    await engine.close()
    said = [line for line in fake.commands(folder) if line.startswith(("ucinewgame", "position", "go"))]
    after_e4 = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"
    assert said == [
        *("ucinewgame", "position startpos", "go nodes 10"),
        *("ucinewgame", f"position fen {after_e4}", "go nodes 10"),
    ]


async def test_chess960_is_announced_to_the_engine(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder)))
    fen = "bqnbnrkr/pppppppp/8/8/8/8/PPPPPPPP/BQNBNRKR w HFhf - 0 1"
    await engine.evaluate(chess.Board(fen, chess960=True), 10)
    await engine.close()
    assert "setoption name UCI_Chess960 value true" in fake.commands(folder)
    assert f"position fen {fen}" in fake.commands(folder)


async def test_the_last_exact_score_counts_not_a_bound(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder, Fault.BOUND_AT_END)))
    evaluation = await engine.evaluate(chess.Board(), 100)
    await engine.close()
    assert evaluation.score == Score(cp=11)
    assert evaluation.nodes == 100


async def test_a_huge_line_is_cut_to_what_is_stored(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder, Fault.HUGE_LINE)))
    evaluation = await engine.evaluate(chess.Board(), 100)
    await engine.close()
    assert len(evaluation.pv) == 64


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.EXIT_AT_START, EngineDied, "exit status 3, last said 'info string no network here'"),
        (Fault.ILLEGAL_INSTRUCTION, EngineDied, "exit status -4: built for another CPU"),
        (Fault.NAMELESS, EngineGarbage, "does not say its name"),
    ],
)
async def test_an_engine_that_does_not_start_is_named(
    folder: Path, fault: Fault, error: type[EngineError], words: str
) -> None:
    with pytest.raises(error) as caught:
        await Engine.launch(options(fake.install(folder, fault)))
    assert type(caught.value) is error
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.DIE_ON_GO, EngineDied, "exit status -11"),
        (Fault.DIE_ON_NEW_GAME, EngineDied, "exit status 1"),
        (Fault.LEAVE_CHILD, EngineDied, "exit status -11"),
        (Fault.GARBAGE, EngineGarbage, "bestmove"),
        (Fault.ILLEGAL_BEST_MOVE, EngineGarbage, "bestmove a1h8"),
        (Fault.ILLEGAL_LINE, EngineGarbage, "without a legal line"),
        (Fault.NO_SCORE, EngineGarbage, "without a score"),
        (Fault.ABSURD_SCORE, EngineGarbage, "2000000000"),
        (Fault.MATE_IN_ZERO, EngineGarbage, "mate in 0"),
        (Fault.ENDLESS_LINE, EngineGarbage, "4000000 bytes"),
    ],
)
async def test_a_failing_engine_is_named_with_the_fen_before_any_deadline(
    folder: Path, fault: Fault, error: type[EngineError], words: str
) -> None:
    # Were a fault noticed by its deadline alone, this would end as EngineTimeout, after a minute.
    with pytest.raises(error) as caught:
        await evaluate_with(folder, fault)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert chess.STARTING_FEN in str(caught.value)


async def test_an_engine_that_hangs_ends_at_its_deadline(folder: Path) -> None:
    with pytest.raises(EngineTimeout, match=r"no answer in 1\.0001 s .*FEN rnbqkbnr/"):
        await evaluate_with(folder, Fault.HANG_ON_GO, HASTY)


async def test_an_engine_that_never_says_uciok_ends_at_its_deadline(folder: Path) -> None:
    with pytest.raises(EngineTimeout):
        await Engine.launch(options(fake.install(folder, Fault.NO_UCIOK), HASTY))


@pytest.mark.parametrize("kind", ["absent", "not_executable", "no_program"])
async def test_an_engine_that_cannot_be_executed_is_missing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "engine"
    if kind != "absent":
        path.write_bytes(b"\x7fELF nonsense")
    if kind == "no_program":
        path.chmod(0o755)
    with pytest.raises(EngineMissing, match=str(path)):
        await Engine.launch(options(path))


@pytest.mark.parametrize(
    "fen",
    [
        "4k3/8/8/8/8/8/8/8 w - - 0 1",
        "4k3/8/8/8/8/8/8/4KK2 w - - 0 1",
        "4k3/8/8/8/8/8/8/4RK2 w - - 0 1",
        "P3k3/8/8/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/p3K3 w - - 0 1",
        "4k3/8/8/8/QQQQQQQQ/QQQQQQQQ/8/4K3 w - - 0 1",
    ],
    ids=[
        *("no_black_king", "two_white_kings", "opponent_in_check", "pawn_on_rank_8", "pawn_on_rank_1"),
        "too_many_pieces",
    ],
)
async def test_no_engine_sees_an_absurd_position(folder: Path, fen: str) -> None:
    engine = await Engine.launch(options(fake.install(folder)))
    with pytest.raises(InvalidPosition):
        await engine.evaluate(chess.Board(fen), 100)
    assert engine.usable
    await engine.close()
    assert not any(line.startswith("position") for line in fake.commands(folder))


@pytest.mark.parametrize(
    ("fen", "sent"),
    [
        ("4k3/8/8/8/8/8/4P3/4K3 w KQkq - 0 1", "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1"),
        ("4k2r/8/8/8/8/8/4P3/4K3 w KQkq - 0 9", "4k2r/8/8/8/8/8/4P3/4K3 w k - 0 1"),
        ("4k3/8/8/8/8/8/4P3/4K3 w - e6 0 1", "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1"),
        ("4r2k/8/8/3pP3/8/8/8/3K4 w - d6 0 1", "4r2k/8/8/3pP3/8/8/8/3K4 w - d6 0 1"),
        # The pawn that could capture is pinned: the key knows of the square, the engine need not.
        ("k7/8/8/r2pP2K/8/8/8/8 w - d6 0 1", "k7/8/8/r2pP2K/8/8/8/8 w - - 0 1"),
    ],
    ids=["no_rook_at_all", "one_rook", "en_passant_of_nothing", "legal_capture", "pinned_capture"],
)
async def test_rights_that_mean_nothing_do_not_reach_the_engine(folder: Path, fen: str, sent: str) -> None:
    engine = await Engine.launch(options(fake.install(folder)))
    evaluation = await engine.evaluate(chess.Board(fen), 100)
    await engine.close()
    assert f"position fen {sent}" in fake.commands(folder)
    assert evaluation.position_key == position_key(chess.Board(fen))


def test_no_engine_outlives_a_worker_that_is_killed(folder: Path) -> None:
    path = fake.install(folder, Fault.DEAF_ON_GO)
    program = (
        "import asyncio, chess, pathlib\n"
        "from workers.analysis.engine import Engine, EngineOptions\n"
        "async def main():\n"
        f"    options = EngineOptions(pathlib.Path({str(path)!r}), 4, patience_seconds=60)\n"
        "    engine = await Engine.launch(options)\n"
        "    await engine.evaluate(chess.Board(), 10**9)\n"
        "asyncio.run(main())\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program])
    _wait_until(lambda: "go nodes 1000000000" in fake.commands(folder))
    [engine] = fake.pids(folder)
    assert alive(engine)
    assert os.getpgid(engine) == engine
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    _wait_until(lambda: not alive(engine))


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_kill_for_want_of_memory_is_told_from_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = 0
    monkeypatch.setattr("workers.analysis.engine.oom_kills", lambda: kills)
    for more, kind in ((0, EngineDied), (1, EngineOutOfMemory)):
        engine = await Engine.launch(options(fake.install(folder)))
        kills += more
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="exit status -9: killed") as caught:
            await engine.evaluate(chess.Board(), 100)
        assert caught.type is kind


async def test_of_several_lines_the_last_report_without_a_bound_counts(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder, Fault.BOUND_IN_REPORT)))
    evaluation = await engine.evaluate(chess.Board(), 100, 2)
    await engine.close()
    assert (evaluation.score, evaluation.pv) == (Score(cp=30), ["g1f3"])
    assert [(line.score, line.pv) for line in evaluation.further] == [(Score(cp=20), ["e2e4"])]
    assert (evaluation.lines, evaluation.nodes) == (2, 100)


async def test_two_lines_with_the_same_move_are_garbage(folder: Path) -> None:
    engine = await Engine.launch(options(fake.install(folder, Fault.TWIN_LINES)))
    with pytest.raises(EngineGarbage, match="the same move"):
        await engine.evaluate(chess.Board(), 100, 2)
