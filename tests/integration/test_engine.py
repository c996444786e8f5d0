"""Does the real Stockfish do what the analysis relies on?"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import chess
import pytest

from app.contract.analyses import BudgetMode
from app.contract.positions import EngineIdentity, Evaluation, Score
from dev.binaries import find_binaries
from tests.unit.workers.analysis.conftest import alive
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.budget import Budget
from workers.analysis.engine import Engine, EngineDied, EngineOptions, EngineOutOfMemory, EngineTimeout
from workers.analysis.engine_slot import EngineSlot
from workers.analysis.evaluator import GameSearch, replay
from workers.analysis.known import KnownEvaluations, Place

NODES = 3_000
# A short game with castling, checks and mate (Morphy against two amateurs, Paris 1858).
_OPERA_MOVES = (
    "e2e4 e7e5 g1f3 d7d6 d2d4 c8g4 d4e5 g4f3 d1f3 d6e5 f1c4 g8f6 f3b3 d8e7 b1c3 c7c6 c1g5 b7b5 "
    "c3b5 c6b5 c4b5 b8d7 e1c1 a8d8 d1d7 d8d7 h1d1 e7e6 b5d7 f6d7 b3b8 d7b8 d1d8"
)
OPERA = _OPERA_MOVES.split()


@pytest.fixture(scope="module")
def stockfish() -> Path:
    return find_binaries().stockfish.path


@pytest.fixture
def options(stockfish: Path) -> EngineOptions:
    return EngineOptions(stockfish, hash_mb=2, patience_seconds=60)


@pytest.fixture
async def engine(options: EngineOptions) -> AsyncIterator[Engine]:
    engine = await Engine.launch(options)
    yield engine
    await engine.close()
    assert not alive(engine.pid)


async def evaluations(options: EngineOptions, plies: list[int]) -> dict[int, Evaluation]:
    """Evaluate some positions of the game on an engine of their own, in the order given."""
    engine = await Engine.launch(options)
    boards = replay(claim(uci=OPERA))
    found = {ply: await engine.evaluate(boards[ply], NODES) for ply in plies}
    await engine.close()
    return found


@pytest.mark.smoke
async def test_the_identity_names_version_and_net(engine: Engine) -> None:
    assert engine.identity.name.startswith("Stockfish ")
    assert engine.identity.net.startswith("nn-")
    assert engine.identity == EngineIdentity(
        name=engine.identity.name, net=engine.identity.net, hash_mb=2, threads=1
    )


async def test_a_process_searches_one_position_after_another(engine: Engine) -> None:
    pid = engine.pid
    for board in replay(claim(uci=OPERA))[:5]:
        evaluation = await engine.evaluate(board, NODES)
        assert NODES <= evaluation.nodes <= 1.2 * NODES
        assert evaluation.depth > 0
        assert board.is_legal(board.parse_uci(evaluation.pv[0]))
    assert engine.pid == pid


async def test_neither_order_nor_process_nor_load_changes_a_byte(options: EngineOptions) -> None:
    plies = list(range(0, len(OPERA), 3))
    forward, backward, alone = await asyncio.gather(
        evaluations(options, plies), evaluations(options, plies[::-1]), evaluations(options, plies[4:5])
    )
    assert {ply: forward[ply].model_dump_json() for ply in plies} == {
        ply: backward[ply].model_dump_json() for ply in plies
    }
    assert alone[plies[4]] == forward[plies[4]]


async def test_a_game_is_evaluated_to_its_mate(options: EngineOptions) -> None:
    slot = EngineSlot(options)
    budget = Budget(NODES, BudgetMode.FIXED)
    search = GameSearch(slot, await slot.ready(), budget, replay(claim(uci=OPERA)), OPERA, known=[])
    await search.search()
    await slot.close()
    found = search.evaluations()
    assert len(found) == len(OPERA) + 1
    assert (found[-2].score, found[-2].pv) == (Score(mate=1), ("d1d8",))
    assert found[-1].score == Score(mate=0)


@pytest.mark.parametrize(
    ("fen", "score"),
    [
        ("6k1/5ppp/8/8/8/8/8/R3K3 w Q - 0 1", Score(mate=1)),
        ("r3k3/8/8/8/8/8/5PPP/6K1 b q - 0 1", Score(mate=-1)),
        ("8/8/8/8/8/1k6/7r/K7 w - - 0 1", Score(mate=-1)),
        ("8/8/3k4/8/8/3K4/4R3/8 w - - 100 80", Score(cp=0)),
    ],
    ids=["white_mates", "black_mates", "white_is_mated", "fifty_moves_are_over"],
)
async def test_scores_are_from_whites_view(engine: Engine, fen: str, score: Score) -> None:
    assert (await engine.evaluate(chess.Board(fen), NODES)).score == score


async def test_the_nearer_the_fifty_move_rule_the_less_the_same_position_is_worth(engine: Engine) -> None:
    fen = "8/8/3k4/8/8/3K4/4R3/8 w - - {} 80"
    found = [await engine.evaluate(chess.Board(fen.format(clock)), NODES) for clock in (0, 80, 99)]
    worth = [item.score.cp or 0 for item in found]
    assert worth[0] > worth[1] > worth[2] == 0
    assert len({item.position_key for item in found}) == 1
    known = KnownEvaluations(found)
    for item in found:
        assert known.find(Place(item.position_key, item.halfmove_clock), NODES, richer_from=NODES) == item
    assert known.find(Place(found[0].position_key, 1), NODES, richer_from=NODES) is None


async def test_several_lines_come_best_first_and_are_no_more_than_there_are_moves(engine: Engine) -> None:
    board = chess.Board("r1bqkbnr/pppp1ppp/2n5/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4")
    found = await engine.evaluate(board, NODES, 3)
    scores = [found.score, *(line.score for line in found.further)]
    assert scores[0] == Score(mate=1)
    assert len({found.pv[0], *(line.pv[0] for line in found.further)}) == len(scores) == 3
    assert (scores[1].cp or 0) >= (scores[2].cp or 0)
    cornered = await engine.evaluate(chess.Board("7k/8/6K1/8/8/8/8/6R1 b - - 0 1"), NODES, 3)
    assert (cornered.lines, cornered.further) == (3, [])
    assert (await engine.evaluate(board, NODES)).lines == 1


async def test_bare_kings_are_a_draw_up_to_the_engines_noise(engine: Engine) -> None:
    score = (await engine.evaluate(chess.Board("8/8/3k4/8/8/3K4/8/8 w - - 0 1"), NODES)).score
    assert score.cp is not None
    assert abs(score.cp) <= 2


@pytest.mark.parametrize("nodes", [1, 2, 10, 100])
async def test_even_the_smallest_budget_yields_a_score(engine: Engine, nodes: int) -> None:
    evaluation = await engine.evaluate(chess.Board(), nodes)
    assert evaluation.score.cp is not None
    assert evaluation.pv


async def test_chess960_castling_is_written_king_takes_rook(engine: Engine) -> None:
    board = chess.Board("6k1/5ppp/8/8/8/8/5PPP/4RK1R w H - 0 1", chess960=True)
    assert chess.Move.from_uci("f1h1") in board.legal_moves
    evaluation = await engine.evaluate(board, NODES)
    assert evaluation.score == Score(mate=1)
    standard = chess.Board("6k1/5ppp/8/8/8/8/5PPP/4R1K1 w - - 0 1")
    assert (await engine.evaluate(standard, NODES)).score == Score(mate=1)


async def test_an_engine_that_is_killed_is_replaced(options: EngineOptions) -> None:
    slot = EngineSlot(options)
    identity = await slot.ready()
    before = await slot.evaluate(chess.Board(), NODES, identity)
    engine = slot._engine
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    assert await slot.evaluate(chess.Board(), NODES, identity) == before
    await slot.close()


@pytest.mark.parametrize("kib", [60_000, 100_000])
async def test_an_engine_that_gets_no_memory_says_so(stockfish: Path, tmp_path: Path, kib: int) -> None:
    # Stockfish 15.1 maps 50 MB of network, then asks for the hash: the first limit ends it in C++'s hands
    # ("bad_alloc"), the second in its own ("Failed to allocate").
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -v {kib}\nexec "{stockfish}"\n')
    limited.chmod(0o755)
    with pytest.raises(EngineOutOfMemory):
        await Engine.launch(EngineOptions(limited, hash_mb=64, patience_seconds=60))


async def test_an_engine_that_is_stopped_ends_at_its_deadline(options: EngineOptions) -> None:
    engine = await Engine.launch(options)
    os.kill(engine.pid, signal.SIGSTOP)
    engine._options = replace(options, patience_seconds=1.0, slowest_nodes_per_second=1e6)
    with pytest.raises(EngineTimeout):
        await engine.evaluate(chess.Board(), NODES)
    assert not alive(engine.pid)


async def test_a_position_that_would_crash_it_is_why_positions_are_checked(options: EngineOptions) -> None:
    engine = await Engine.launch(options)
    kingless = chess.Board("8/8/8/8/8/8/8/8 w - - 0 1")
    with pytest.raises(EngineDied):
        await engine._within(60, engine._search(kingless, NODES, 1))
    await engine.close()


@pytest.fixture(autouse=True)
def _no_engine_left() -> Iterator[None]:
    before = _children()
    yield
    assert _children() <= before


def _children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
