"""Do Lichess's evaluations become those of positions, and only where they are complete?"""

from typing import Any

import chess
import pytest

from app.contract.games import LichessEvaluation
from app.contract.positions import Score
from plugins.accuracy import Accuracy
from plugins.api import PositionEvaluation
from plugins.moves import rated_moves
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.evaluator import analysed_game, replay
from workers.analysis.lichess_evaluations import lichess_evaluations, over_lichess_evaluations

FOOLS_MATE = ["f2f3", "e7e5", "g2g4", "d8h4"]


def given(*evaluations: dict[str, Any]) -> list[LichessEvaluation]:
    return [LichessEvaluation.model_validate(item) for item in evaluations]


def converted(
    uci: list[str], exported: list[LichessEvaluation] | None, **game: Any
) -> tuple[PositionEvaluation, ...] | None:
    return lichess_evaluations(replay(claim(uci=uci, **game)), exported)


CP = {"score": {"cp": -50}}


def test_each_score_belongs_to_the_position_after_its_move_and_the_first_is_lichesss_constant() -> None:
    found = converted(["e2e4", "e7e5"], given({"score": {"cp": 30}}, {"score": {"mate": 4}}))
    assert found is not None
    assert [item.score for item in found] == [Score(cp=15), Score(cp=30), Score(mate=4)]
    assert {(item.depth, item.nodes, item.budget_nodes, item.pv) for item in found} == {(0, 0, 0, ())}


def test_a_better_line_belongs_to_the_position_before_the_move_that_was_judged() -> None:
    judged = {"score": {"mate": -1}, "best": "d2d4", "variation": "d4 exd4 Qxd4 Nc6", "judgement": "Blunder"}
    found = converted(FOOLS_MATE, given(CP, CP, judged))
    assert found is not None
    assert [item.pv for item in found] == [(), (), ("d2d4", "e5d4", "d1d4", "b8c6"), (), ()]


def test_the_mate_that_lichess_leaves_out_is_added() -> None:
    found = converted(FOOLS_MATE, given(CP, CP, {"score": {"mate": -1}}))
    assert found is not None
    assert found[4].score == Score(mate=0)


def test_an_analysis_that_is_missing_or_has_gaps_or_stops_early_does_not_serve() -> None:
    assert converted(["e2e4", "e7e5"], None) is None
    assert converted(["e2e4", "e7e5"], []) is None
    assert converted(["e2e4", "e7e5"], given(CP)) is None
    assert converted(["e2e4", "e7e5"], given({}, CP)) is None


def test_entries_beyond_the_moves_are_left_out() -> None:
    found = converted(["e2e4"], given(CP, CP, CP))
    assert found is not None
    assert len(found) == 2


@pytest.mark.parametrize(
    ("best", "line"),
    [(None, ()), ("e7e5", ()), ("0000", ()), ("e1h1", ("e1g1",)), ("e1g1", ("e1g1",)), ("b1c3", ("b1c3",))],
)
def test_of_a_line_that_cannot_be_read_the_better_move_is_left_if_it_can(
    best: str | None, line: tuple[str, ...]
) -> None:
    judged = {**CP, "best": best, "variation": "Qh5 and wins"}
    moves = ["e2e4", "e7e5", "g1f3", "g8f6", "f1c4", "f8c5", "a2a3"]
    found = converted(moves, given(*[CP] * 6, judged))
    assert found is not None
    assert found[6].pv == line


def test_chess960_castling_is_written_king_takes_rook() -> None:
    fen = "nrbbqkrn/pppppppp/8/8/8/8/PPPPPPPP/NRBBQKRN w KQkq - 0 1"
    found = converted(["a2a3"], given({**CP, "variation": "O-O"}), variant="chess960", initial_fen=fen)
    assert found is not None
    assert found[0].pv == ("f1g1",)
    assert chess.Move.from_uci("f1g1") in chess.Board(fen, chess960=True).legal_moves


def test_a_position_that_was_set_up_is_worth_what_lichess_does_not_say() -> None:
    fens = {
        "rnbqkbnr/ppp1pppp/8/3p4/3PP3/8/PPP2PPP/RNBQKBNR b KQkq - 1 1": False,
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 1": False,
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKB1R w KQkq - 0 1": False,
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1": True,
    }
    for fen, usual in fens.items():
        uci = ["e7e6" if " b " in fen else "a2a3"]
        found = converted(uci, given(CP), variant="fromPosition", initial_fen=fen)
        assert (found is not None) is usual


STALEMATE = "e2e3 a7a5 d1h5 a8a6 h5a5 h7h5 h2h4 a6h6 a5c7 f7f6 c7d7 e8f7 d7b7 d8d3 b7b8 d3h7 b8c8 f7g6 c8e6"


def test_a_dead_position_that_lichess_did_not_rate_is_no_part_of_its_numbers() -> None:
    uci = STALEMATE.split()
    # As after its cut at 200 plies. The move that stalemates would lose White 1,000 centipawns.
    exported = given(*[{"score": {"cp": 1_000}}] * (len(uci) - 1))
    played = claim(uci=uci, status="stalemate", lichess_evaluations=exported)
    game = over_lichess_evaluations(analysed_game(played), replay(played))
    assert game is not None
    assert game.evaluations[-1].score == Score(cp=0)
    assert Accuracy().analyse(game).white.acpl == 0
    assert [move.scores.after for move in rated_moves(game)][-2:] == [Score(cp=1_000), None]
