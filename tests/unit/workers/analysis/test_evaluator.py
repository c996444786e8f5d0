"""Is each position of a game searched once, and is no absurd game searched at all?"""

from typing import Any

import chess
import pytest

from app.contract.analyses import AnalysisClaim
from app.contract.positions import EngineIdentity, Evaluation, Score, position_key
from workers.analysis.evaluator import Budget, evaluate_game, replay
from workers.analysis.position import InvalidPosition, searchable

ENGINE = EngineIdentity(name="Counting 1", hash_mb=1)
BUDGET = Budget(ENGINE, 100)


def claim(**fields: Any) -> AnalysisClaim:
    defaults: dict[str, Any] = {
        "id": "abcdefgh",
        "fence": 1,
        "lease_seconds": 60,
        "attempt": 1,
        "variant": "standard",
        "initial_fen": None,
        "status": "resign",
        "winner": "white",
        "uci": [],
        "clocks_cs": None,
        "lichess_evaluations": None,
        "plugins": [],
        "evaluations": [],
    }
    return AnalysisClaim.model_validate(defaults | fields)


class CountingEvaluator:
    """Remembers what it was asked; each answer is worth its number."""

    def __init__(self) -> None:
        self.fens: list[str] = []

    async def evaluate(self, board: chess.Board, nodes: int, expected: EngineIdentity) -> Evaluation:
        assert (nodes, expected) == (100, ENGINE)
        self.fens.append(board.fen())
        return Evaluation(
            position_key=position_key(board),
            halfmove_clock=board.halfmove_clock,
            score=Score(cp=len(self.fens)),
            depth=1,
            nodes=nodes,
            pv=[],
        )


async def test_every_ply_gets_an_evaluation_and_the_initial_position_too() -> None:
    evaluator = CountingEvaluator()
    steps: list[tuple[int, int]] = []
    found = await evaluate_game(
        evaluator, replay(claim(uci=["e2e4", "e7e5"])), [], BUDGET, lambda done, of: steps.append((done, of))
    )
    assert [item.score.cp for item in found.by_ply] == [1, 2, 3]
    assert found.new == found.by_ply
    assert steps == [(1, 3), (2, 3), (3, 3)]


async def test_known_positions_are_not_searched_again() -> None:
    boards = replay(claim(uci=["e2e4", "e7e5"]))
    first = await evaluate_game(CountingEvaluator(), boards, [], BUDGET)
    second = CountingEvaluator()
    found = await evaluate_game(second, boards, first.new[:2], BUDGET)
    assert second.fens == [boards[2].fen()]
    assert found.by_ply[:2] == first.by_ply[:2]
    assert found.new == found.by_ply[2:]


async def test_a_position_is_searched_again_only_where_the_halfmove_clock_differs() -> None:
    shuffle = ["g1f3", "g8f6", "f3g1", "f6g8"]
    boards = replay(claim(uci=shuffle))
    evaluator = CountingEvaluator()
    found = await evaluate_game(evaluator, boards, [], BUDGET)
    assert position_key(boards[0]) == position_key(boards[4])
    assert len(found.new) == 5
    again = CountingEvaluator()
    assert (await evaluate_game(again, [boards[0], boards[0]], [], BUDGET)).by_ply[0].score.cp == 1
    assert len(again.fens) == 1


def test_two_ways_to_one_position_give_one_fen() -> None:
    one = replay(claim(uci=["e2e3", "e7e6", "d2d4"]))[-1]
    other = replay(claim(uci=["d2d4", "e7e6", "e2e3"]))[-1]
    assert position_key(one) == position_key(other)
    assert searchable(one).fen() == searchable(other).fen()


def test_the_move_number_and_an_idle_en_passant_square_do_not_reach_the_engine() -> None:
    board = replay(claim(uci=["e2e4"]))[-1]
    assert board.fen(en_passant="fen").split()[3] == "e3"
    assert searchable(board).fen(en_passant="fen").split()[3:] == ["-", "0", "1"]


def test_a_capturable_en_passant_square_does() -> None:
    board = replay(claim(uci=["e2e4", "a7a6", "e4e5", "d7d5"]))[-1]
    assert searchable(board).fen(en_passant="fen").split()[3] == "d6"


@pytest.mark.parametrize(
    "fen",
    [
        "blah",
        "4k3/8/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/8/4K3 w - - 0 1",
        "8/8/8/8/8/8/8/8 w - - 0 1",
        "4k3/8/8/8/8/8/8/8 w - - 0 1",
        "4k3/8/8/8/8/8/8/3KK3 w - - 0 1",
        "4k3/8/8/8/8/8/4R3/4K3 w - - 0 1",
        "P3k3/8/8/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/p3K3 w - - 0 1",
        "4k3/8/8/8/NNNNNNNN/NNNNNNNN/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/4P3/4K3 x - - 0 1",
        "4k3/8/8/8/8/8/4P3/4K3 w - - -1 1",
        "4k3/8/8/8/8/8/4P3/4K3 w - - 99999 1",
    ],
)
def test_an_absurd_initial_position_is_refused_with_its_fen(fen: str) -> None:
    with pytest.raises(InvalidPosition) as caught:
        replay(claim(variant="fromPosition", initial_fen=fen, uci=["e2e4"]))
    assert fen.split(maxsplit=1)[0] in str(caught.value)


@pytest.mark.parametrize("uci", ["e2e5", "0000", "nonsense", "e7e8q"])
def test_a_move_that_is_not_legal_is_refused_with_its_ply(uci: str) -> None:
    with pytest.raises(InvalidPosition, match="ply 2"):
        replay(claim(uci=["e2e4", uci]))


def test_a_variant_that_stockfish_does_not_play_is_refused() -> None:
    with pytest.raises(InvalidPosition, match="atomic"):
        replay(claim(variant="atomic"))


def test_chess960_castling_is_replayed() -> None:
    fen = "1k6/8/8/8/8/8/8/1K3R2 w F - 0 1"
    boards = replay(claim(variant="chess960", initial_fen=fen, uci=["b1f1"]))
    assert boards[-1].king(chess.WHITE) == chess.G1


def test_a_finished_position_is_a_legal_start() -> None:
    assert len(replay(claim(variant="fromPosition", initial_fen="7k/6Q1/6K1/8/8/8/8/8 b - - 0 1"))) == 1
