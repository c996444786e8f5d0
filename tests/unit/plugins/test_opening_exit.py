"""Where does OpeningExit say that a player was on their own?"""

from app.contract.analyses import EARLIER_PLIES
from app.contract.games import Color
from plugins.api import EarlierGames
from plugins.opening_exit import OpeningExit, SideExit
from tests.unit.plugins.games import earlier, game

QUIET = ("e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6")
SCORES = [20, 20, 20, 20, 20, -180, -180]


def white_exit(*reached: int, complete: bool = True) -> SideExit:
    played = game(QUIET, SCORES, earlier_games={Color.WHITE: earlier(*reached, complete=complete)})
    result = OpeningExit().analyse(played)
    assert result.black is None
    assert result.white is not None
    return result.white


def test_the_exit_is_the_first_position_that_is_new() -> None:
    out = white_exit(30, 20, 12, 9, 4, 0, 0)
    assert (out.exit_ply, out.left_by, out.san) == (5, Color.WHITE, "Bb5")
    assert (out.earlier_games, out.known_games, out.complete) == (30, 4, True)
    assert (out.first_own_ply, out.first_own_loss) == (5, 17.83)
    assert (out.win_before, out.win_after) == (51.84, 34.01)
    assert out.aftermath_loss == 17.83


def test_the_opponent_may_lead_out() -> None:
    out = white_exit(30, 20, 12, 9, 0, 0, 0)
    assert (out.exit_ply, out.left_by) == (4, Color.BLACK)
    assert (out.win_before, out.win_after) == (51.84, 51.84)
    assert (out.first_own_ply, out.first_own_loss) == (5, 17.83)


def test_chances_are_those_of_the_side_itself() -> None:
    played = game(QUIET, SCORES, earlier_games={Color.BLACK: earlier(3, 3, 3, 3, 3, 0, 0)})
    out = OpeningExit().analyse(played).black
    assert out is not None
    assert (out.exit_ply, out.left_by, out.known_games) == (5, Color.WHITE, 3)
    assert (out.win_before, out.win_after) == (48.16, 65.99)
    assert (out.first_own_ply, out.first_own_loss) == (6, 0)


def test_a_game_that_is_known_to_its_end_has_no_exit() -> None:
    out = white_exit(30, 20, 12, 9, 4, 2, 1)
    assert (out.exit_ply, out.left_by, out.first_own_ply, out.known_games) == (None, None, None, 1)


def test_a_first_game_is_left_at_once() -> None:
    out = white_exit(0, 0, 0, 0, 0, 0, 0)
    assert (out.exit_ply, out.known_games, out.earlier_games) == (1, 0, 0)


def test_an_initial_position_that_no_earlier_game_began_from_was_not_known() -> None:
    history = EarlierGames(games=30, reached=(0, 0, 0, 0, 0, 0, 0), complete=True)
    out = OpeningExit().analyse(game(QUIET, SCORES, earlier_games={Color.WHITE: history})).white
    assert out is not None
    assert (out.exit_ply, out.known_games, out.earlier_games) == (1, 0, 30)


def test_an_incomplete_history_is_told() -> None:
    assert not white_exit(30, 20, 0, 0, 0, 0, 0, complete=False).complete


def test_a_return_by_transposition_does_not_hide_the_exit() -> None:
    assert white_exit(30, 20, 0, 9, 4, 2, 1).exit_ply == 2


def test_beyond_the_bound_nothing_is_said() -> None:
    shuffle = ("g1f3", "g8f6", "f3g1", "f6g8") * 20
    played = game(
        shuffle,
        [0] * (len(shuffle) + 1),
        earlier_games={Color.WHITE: earlier(*[1] * (EARLIER_PLIES + 1))},
    )
    out = OpeningExit().analyse(played).white
    assert out is not None
    assert (out.exit_ply, out.known_games) == (None, 1)


def test_without_earlier_games_nothing_is_said() -> None:
    result = OpeningExit().analyse(game(QUIET, SCORES))
    assert (result.white, result.black) == (None, None)


def test_a_game_without_moves_has_no_exit() -> None:
    result = OpeningExit().analyse(game((), [], earlier_games={Color.WHITE: earlier(5)}))
    assert result.white is not None
    assert (result.white.exit_ply, result.white.known_games) == (None, 5)
