"""What do the built-in plugins say of a game?"""

import pytest

from app.contract.games import Color
from app.contract.positions import Score
from plugins.accuracy import Accuracy, SideAccuracy
from plugins.api import AnalysedGame, PositionEvaluation
from plugins.largest_swing import LargestSwing
from plugins.lichess import winning_chances

BLACK_STARTS = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"
FOOLS_MATE = ("f2f3", "e7e5", "g2g4", "d8h4")


def game(
    uci: tuple[str, ...], scores: list[Score], best: dict[int, str] | None = None, fen: str | None = None
) -> AnalysedGame:
    """Build a game; `best` maps a ply to the engine's move there, a move of its own elsewhere."""
    return AnalysedGame(
        id="abcdefgh",
        variant="standard" if fen is None else "fromPosition",
        initial_fen=fen,
        status="mate",
        winner=Color.BLACK,
        uci=uci,
        evaluations=tuple(
            PositionEvaluation(score=score, depth=9, nodes=100, pv=((best or {}).get(ply, "a2a3"),))
            for ply, score in enumerate(scores)
        ),
    )


def fools_mate(best: dict[int, str] | None = None) -> AnalysedGame:
    scores = [Score(cp=30), Score(cp=-60), Score(cp=-70), Score(mate=-1), Score(mate=0)]
    return game(FOOLS_MATE, scores, best)


def test_the_largest_swing_is_named_from_both_views() -> None:
    swing = LargestSwing().analyse(fools_mate()).swing
    assert swing is not None
    assert (swing.ply, swing.san, swing.uci, swing.side) == (3, "g4", "g2g4", Color.WHITE)
    assert swing.before == swing.white_before == round(winning_chances(-70), 6)
    assert swing.after == swing.white_after == round(winning_chances(-1_000), 6)
    assert swing.change == pytest.approx(swing.after - swing.before)


def test_a_swing_by_black_is_seen_from_black_too() -> None:
    played = game(("e2e4", "e7e5"), [Score(cp=0), Score(cp=0), Score(cp=300)])
    swing = LargestSwing().analyse(played).swing
    assert swing is not None
    assert (swing.ply, swing.side) == (2, Color.BLACK)
    assert swing.white_after > 0 > swing.after == swing.change


def test_no_chances_are_written_as_minus_zero() -> None:
    played = game(("e7e5", "d2d4"), [Score(cp=0), Score(cp=0), Score(cp=0)], fen=BLACK_STARTS)
    assert "-0.0" not in LargestSwing().analyse(played).model_dump_json()


def test_of_equal_swings_the_earliest_counts() -> None:
    scores = [Score(cp=0), Score(cp=-100), Score(cp=0), Score(cp=-100)]
    swing = LargestSwing().analyse(game(("e2e4", "e7e5", "g1f3"), scores)).swing
    assert swing is not None
    assert swing.ply == 1


def test_a_mate_on_the_board_is_lost_for_the_side_to_move() -> None:
    played = game(("e2e4",), [Score(cp=0), Score(mate=0)])
    swing = LargestSwing().analyse(played).swing
    assert swing is not None
    assert swing.white_after == round(winning_chances(1_000), 6)


def test_a_game_without_moves_has_no_swing_and_no_numbers() -> None:
    nothing = game((), [])
    assert LargestSwing().analyse(nothing).swing is None
    result = Accuracy().analyse(nothing)
    empty = SideAccuracy(accuracy=None, acpl=None, inaccuracies=0, mistakes=0, blunders=0)
    assert (result.white, result.black) == (empty, empty)


def test_accuracy_leaves_out_the_move_that_mates() -> None:
    result = Accuracy().analyse(fools_mate())
    # White lost 75 and 930 centipawns, the first from +15; Black 0 in one move, the mate not counted.
    assert result.white.acpl == round((75 + 930) / 2 + 0.01)
    assert result.black.acpl == 0
    assert (result.white.inaccuracies, result.white.blunders) == (1, 1)
    assert result.black.accuracy == 100


def test_the_move_that_the_engine_prefers_is_not_judged() -> None:
    result = Accuracy().analyse(fools_mate(best={0: "f2f3", 2: "g2g4"}))
    assert (result.white.inaccuracies, result.white.mistakes, result.white.blunders) == (0, 0, 0)


def test_sides_follow_who_moves_first() -> None:
    played = game(("f7f6", "d2d4"), [Score(cp=20), Score(cp=115), Score(cp=115)], fen=BLACK_STARTS)
    result = Accuracy().analyse(played)
    assert (result.black.acpl, result.white.acpl) == (100, 0)


@pytest.mark.parametrize("plugin", [LargestSwing(), Accuracy()])
def test_results_are_the_same_bytes_each_time(plugin: LargestSwing | Accuracy) -> None:
    first, second = plugin.analyse(fools_mate()), plugin.analyse(fools_mate())
    assert first.model_dump_json() == second.model_dump_json()
