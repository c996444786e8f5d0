"""Are Lichess's formulas ours, each of their thresholds and quirks included?"""

import pytest

from app.contract.games import Color
from app.contract.positions import Score
from plugins.lichess import (
    Judgement,
    MoveScores,
    average_centipawn_loss,
    capped_cp,
    game_accuracies,
    judge,
    move_accuracy,
    threshold_distance,
    win_percent,
    winning_chances,
)

WHITE, BLACK = Color.WHITE, Color.BLACK
INACCURACY, MISTAKE, BLUNDER = Judgement.INACCURACY, Judgement.MISTAKE, Judgement.BLUNDER


def cp(value: int) -> Score:
    return Score(cp=value)


def mate(value: int) -> Score:
    return Score(mate=value)


def mirrored(score: Score | None) -> Score | None:
    if score is None:
        return None
    return mate(-score.mate) if score.mate is not None else cp(-(score.cp or 0))


def test_winning_chances_are_odd_and_bounded() -> None:
    assert winning_chances(0) == 0
    assert winning_chances(100) == pytest.approx(0.182052, abs=1e-6)
    assert winning_chances(-100) == pytest.approx(-winning_chances(100))
    assert winning_chances(100_000) <= 1


def test_win_percent_is_capped_at_ten_pawns_and_mates_are_worth_that() -> None:
    assert win_percent(cp(15)) == pytest.approx(51.38, abs=0.005)
    assert win_percent(cp(1_000)) == win_percent(cp(15_414)) == win_percent(mate(1)) == win_percent(mate(40))
    assert win_percent(mate(-7)) == pytest.approx(100 - win_percent(mate(7)))


def test_a_mate_on_the_board_has_no_sign() -> None:
    with pytest.raises(ValueError, match="no sign"):
        capped_cp(mate(0))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(50, 50, 100), (50, 80, 100), (60, 50, 64.6), (90, 10, 1.0), (100, 0, 0)],
)
def test_move_accuracy_falls_with_the_win_percent(before: float, after: float, expected: float) -> None:
    assert move_accuracy(before, after) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        # wc(0) - wc(-54) = 0.0991, wc(-55) 0.1009; -110 0.1998, -111 0.2015; -168 0.2999, -169 0.3015
        (cp(0), cp(-54), None),
        (cp(0), cp(-55), INACCURACY),
        (cp(0), cp(-110), INACCURACY),
        (cp(0), cp(-111), MISTAKE),
        (cp(0), cp(-168), MISTAKE),
        (cp(0), cp(-169), BLUNDER),
        (cp(0), cp(500), None),
        (cp(1_244), cp(713), INACCURACY),  # not capped at 1,000
        (cp(0), mate(-3), BLUNDER),
        (cp(-700), mate(-3), BLUNDER),
        (cp(-701), mate(-3), MISTAKE),
        (cp(-999), mate(-3), MISTAKE),
        (cp(-1_000), mate(-3), INACCURACY),
        (mate(3), cp(0), BLUNDER),
        (mate(3), cp(700), BLUNDER),
        (mate(3), cp(701), MISTAKE),
        (mate(3), cp(999), MISTAKE),
        (mate(3), cp(1_000), INACCURACY),
        (mate(3), mate(-1), BLUNDER),
        (mate(3), mate(8), None),
        (mate(-3), mate(-1), None),
        (mate(-3), cp(0), None),
        (cp(0), mate(3), None),
        (None, cp(0), None),
        (cp(0), None, None),
    ],
)
@pytest.mark.parametrize("mover", [WHITE, BLACK])
def test_moves_are_judged_as_lichess_does(
    mover: Color, before: Score | None, after: Score | None, label: Judgement | None
) -> None:
    if mover is BLACK:
        before, after = mirrored(before), mirrored(after)
    assert judge(MoveScores(mover, before, after, better_known=True)) is label


def test_the_engines_own_move_is_never_judged() -> None:
    assert judge(MoveScores(WHITE, cp(0), mate(-1), better_known=False)) is None


@pytest.mark.parametrize(
    ("before", "after", "distance"),
    [
        (cp(0), cp(-169), 0.0015),  # 0.3015: just a blunder
        (cp(0), cp(-54), 0.0009),  # 0.0991: not quite an inaccuracy
        (cp(0), cp(0), 0.1),
        (cp(0), cp(1_000), 1.0509),
        (mate(3), cp(701), 0.0005),
        (cp(-701), mate(-3), 0.0005),
        (mate(3), mate(8), 2),
        (mate(3), mate(-1), 2),
        (mate(-3), cp(0), 2),
        (None, cp(0), 2),
        (cp(0), None, 2),
    ],
)
@pytest.mark.parametrize("mover", [WHITE, BLACK])
def test_the_distance_to_a_threshold_is_that_of_the_loss(
    mover: Color, before: Score | None, after: Score | None, distance: float
) -> None:
    if mover is BLACK:
        before, after = mirrored(before), mirrored(after)
    found = threshold_distance(MoveScores(mover, before, after, better_known=True))
    assert found == pytest.approx(distance, abs=0.0005)


def losses(*pairs: tuple[int, int]) -> list[MoveScores]:
    return [MoveScores(WHITE, cp(before), cp(after), better_known=True) for before, after in pairs]


def test_centipawn_loss_is_capped_and_halves_are_rounded_up() -> None:
    assert average_centipawn_loss(losses((0, -5), (0, 0)), WHITE) == 3
    assert average_centipawn_loss(losses((0, -1), (0, 0)), WHITE) == 1
    assert average_centipawn_loss(losses((15_000, 900)), WHITE) == 100
    assert average_centipawn_loss(losses((0, 80)), WHITE) == 0
    assert average_centipawn_loss(losses((0, 80)), BLACK) is None


def test_moves_without_a_score_do_not_count() -> None:
    moves = [*losses((0, -10)), MoveScores(WHITE, None, cp(0), better_known=True)]
    assert average_centipawn_loss(moves, WHITE) == 10


def test_accuracy_needs_a_move_of_both_sides() -> None:
    assert game_accuracies([], WHITE) is None
    assert game_accuracies([cp(20)], WHITE) is None
    assert game_accuracies([cp(20), cp(20)], WHITE) == {WHITE: 100, BLACK: 100}


def test_accuracy_belongs_to_who_moves_first() -> None:
    thrown_away: list[Score | None] = [cp(900), cp(900)]
    assert game_accuracies(thrown_away, BLACK) == {BLACK: 12, WHITE: 100}
    assert game_accuracies(thrown_away, WHITE) == {BLACK: 100, WHITE: 100}


def test_a_blunder_in_a_quiet_game_costs_more_than_the_mean_of_its_moves() -> None:
    quiet: list[Score | None] = [cp(20)] * 40
    blunder: list[Score | None] = [*quiet[:20], *([cp(-600)] * 20)]
    rated = game_accuracies(blunder, WHITE)
    assert rated is not None
    assert rated[BLACK] == 100
    assert rated[WHITE] < 95
