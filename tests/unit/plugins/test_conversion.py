"""What does Conversion say of advantages?"""

from app.contract.games import Color, GameResult
from plugins.api import Division
from plugins.conversion import Conversion
from plugins.phases import Phase
from tests.unit.plugins.games import fools_mate, game, needs_data, real_games

QUIET = ("e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6")


def test_a_win_that_was_converted() -> None:
    result = Conversion().analyse(game(QUIET, [0, 0, 320, 400, 350, 380, 390], winner=Color.WHITE))
    winning = result.white.winning
    assert winning is not None
    assert (result.white.result, winning.since_ply, winning.peak_ply) == (GameResult.WIN, 2, 3)
    assert (winning.let_go_ply, winning.let_go_phase) == (None, None)
    assert result.black.losing == winning
    assert result.black.winning is result.white.losing is None
    assert result.black.result is GameResult.LOSS


def test_a_win_that_was_let_go_in_the_endgame() -> None:
    played = game(
        QUIET,
        [0, 0, 320, 400, 350, 0, 0],
        status="draw",
        division=Division(middlegame_ply=1, endgame_ply=4),
    )
    result = Conversion().analyse(played)
    winning = result.white.winning
    assert winning is not None
    assert result.white.result is result.black.result is GameResult.DRAW
    assert (winning.phase, winning.let_go_ply, winning.let_go_phase) == (Phase.MIDDLEGAME, 4, Phase.ENDGAME)
    saved = result.black.losing
    assert saved is not None
    assert saved.peak == 81.35
    assert [(course.phase, course.from_ply, course.to_ply) for course in result.phases] == [
        (Phase.OPENING, 0, 1),
        (Phase.MIDDLEGAME, 1, 4),
        (Phase.ENDGAME, 4, 6),
    ]
    assert result.phases[1].white_win_from == 50
    assert result.phases[2].white_win_to == 50


def test_a_game_that_ended_without_an_outcome() -> None:
    result = Conversion().analyse(game(QUIET[:1], [0, 0], status="aborted"))
    assert result.white.result is GameResult.UNKNOWN


def test_a_mate_counts_for_the_mating_side() -> None:
    result = Conversion().analyse(fools_mate())
    winning = result.black.winning
    assert winning is not None
    assert (winning.since_ply, winning.let_go_ply) == (3, None)


def test_a_game_without_moves_has_no_phases() -> None:
    result = Conversion().analyse(game((), [], status="draw"))
    assert (result.phases, result.white.winning, result.black.winning) == ([], None, None)


@needs_data
def test_in_real_games_phases_follow_each_other() -> None:
    saved = 0
    for played in real_games(200):
        result = Conversion().analyse(played)
        assert result.phases[0].from_ply == 0
        assert result.phases[-1].to_ply == played.plies
        for one, next_one in zip(result.phases, result.phases[1:], strict=False):
            assert (one.to_ply, one.white_win_to) == (next_one.from_ply, next_one.white_win_from)
        for side in (result.white, result.black):
            if side.winning is not None:
                assert side.winning.peak >= 75
                assert (side.winning.let_go_ply is None) == (side.result is GameResult.WIN)
            saved += side.losing is not None and side.result is not GameResult.LOSS
    assert saved > 20
