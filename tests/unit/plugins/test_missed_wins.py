"""Which wins does MissedWins find that were let go?"""

from app.contract.games import Color
from plugins.missed_wins import Missed, MissedWins
from plugins.phases import Phase
from tests.unit.plugins.games import BLACK_STARTS, game, mate, needs_data, real_games

QUIET = ("e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6")


def test_a_win_that_the_opponent_had_just_allowed_is_a_missed_tactic() -> None:
    result = MissedWins().analyse(game(QUIET, [0, 0, 350, 20, 20, 20, 20], best={2: "d1h5"}))
    assert [(move.ply, move.side, move.kind) for move in result.missed] == [
        (3, Color.WHITE, Missed.TACTIC_MISSED)
    ]
    missed = result.missed[0]
    assert (missed.san, missed.best_uci, missed.best_san) == ("Nf3", "d1h5", "Qh5")
    assert (missed.winning_since_ply, missed.mate_in, missed.phase) == (2, None, Phase.OPENING)
    assert missed.win_before > 75 > missed.win_after
    assert (result.white.tactics_missed, result.white.wins_thrown) == (1, 0)
    assert (result.black.tactics_missed, result.black.wins_thrown) == (0, 0)


def test_a_win_of_some_standing_is_thrown_away() -> None:
    result = MissedWins().analyse(game(QUIET, [0, -350, -360, -400, 0, 0, 0], winner=Color.BLACK))
    assert [(move.ply, move.side, move.kind, move.winning_since_ply) for move in result.missed] == [
        (4, Color.BLACK, Missed.WIN_THROWN, 1)
    ]
    assert result.black.wins_thrown == 1
    assert (result.black.won, result.white.won) == (True, False)


def test_a_mate_that_was_there_is_told() -> None:
    result = MissedWins().analyse(game(QUIET, [0, 0, mate(3), 100, 0, 0, 0]))
    assert [move.mate_in for move in result.missed] == [3]


def test_a_winning_side_may_lose_much_and_still_win() -> None:
    assert MissedWins().analyse(game(QUIET, [0, 0, 900, 350, 350, 350, 350])).missed == []


def test_a_little_less_than_a_mistake_is_no_missed_win() -> None:
    # From 75.1 Win% to 68: seven lost.
    assert MissedWins().analyse(game(QUIET, [0, 0, 300, 205, 205, 205, 205])).missed == []


def test_a_position_won_from_the_start_was_not_given_by_the_opponent() -> None:
    result = MissedWins().analyse(game(("a7a6", "d2d4"), [-500, 0, 0], fen=BLACK_STARTS))
    assert [move.kind for move in result.missed] == [Missed.WIN_THROWN]


def test_a_mate_on_the_board_is_no_missed_win() -> None:
    result = MissedWins().analyse(game(("f2f3", "e7e5", "g2g4", "d8h4"), [0, -60, -70, mate(-1), mate(0)]))
    assert result.missed == []


def test_a_game_without_moves_has_none() -> None:
    assert MissedWins().analyse(game((), [])).missed == []


@needs_data
def test_in_real_games_a_missed_win_leaves_the_winning_zone() -> None:
    results = [MissedWins().analyse(played) for played in real_games(200)]
    missed = [move for result in results for move in result.missed]
    assert {move.kind for move in missed} == set(Missed)
    assert all(move.win_before >= 75 > move.win_after for move in missed)
    assert all(move.winning_since_ply < move.ply for move in missed)
    counted = sum(
        side.wins_thrown + side.tactics_missed for result in results for side in (result.white, result.black)
    )
    assert counted == len(missed) > 100
