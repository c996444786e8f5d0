"""What does TimeManagement make of clocks?"""

from typing import Any

import pytest

from app.contract.games import Clock
from plugins.time_management import Pace, TimeManagement, berserk, trouble_seconds
from tests.unit.plugins.games import BLACK_STARTS, fools_mate, game, needs_data, real_clocks

QUIET = ("e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6", "b5a4", "g8f6")
BLITZ = Clock(initial_seconds=180, increment_seconds=2)


def test_time_is_what_left_the_clock_and_the_increment() -> None:
    clocks = (18_000, 18_000, 17_700, 18_100, 17_400, 18_200, 15_000, 17_000)
    scores = [0, 0, 0, 0, 0, 0, 0, -600, -600]
    result = TimeManagement().analyse(game(QUIET, scores, clock=BLITZ, clocks_cs=clocks))
    assert result.trouble_seconds == 22
    white, black = result.white, result.black
    assert white is not None
    assert black is not None
    # White: 5, 5 and 26 s; the first move counts as none. Black: 1 and 1 s, and 12 without an increment,
    # since the last clock of a game has none.
    assert (white.all.moves, white.all.mean_seconds) == (3, 12.0)
    assert (black.all.moves, black.all.mean_seconds) == (3, 4.67)
    assert [(think.ply, think.seconds, think.seconds_left) for think in white.longest] == [
        (7, 26.0, 150.0),
        (3, 5.0, 177.0),
        (5, 5.0, 174.0),
    ]
    assert white.longest[0].san == "Ba4"
    assert white.longest[0].win_lost == 40.11
    assert {pace: moves.moves for pace, moves in white.by_pace.items()} == {
        Pace.QUICK: 2,
        Pace.USUAL: 0,
        Pace.LONG: 1,
    }
    assert white.by_pace[Pace.LONG].mean_win_lost == 40.11
    assert white.by_pace[Pace.LONG].blunders == 1
    assert white.by_pace[Pace.USUAL].mean_win_lost is None
    assert (white.lowest_seconds, white.trouble_since_ply) == (150.0, None)


def test_what_happens_in_time_trouble_is_counted_apart() -> None:
    clocks = (18_000, 18_000, 2_000, 17_800, 1_500, 17_600, 1_000, 17_400)
    scores = [0, 0, 0, 0, 0, -600, -600, -600, -600]
    white = TimeManagement().analyse(game(QUIET, scores, clock=BLITZ, clocks_cs=clocks)).white
    assert white is not None
    assert white.trouble_since_ply == 5
    assert (white.in_trouble.moves, white.in_trouble.blunders) == (2, 1)
    assert white.lowest_seconds == 10


@pytest.mark.parametrize(
    ("initial", "first_cs", "expected"),
    [
        (180, 9_000, True),
        (180, 9_003, True),  # as Lichess stores clocks
        (180, 18_000, False),
        (180, 18_003, False),
        (180, 18_200, False),
        (15, 750, True),
        (15, 800, True),
        (15, 1_500, False),
        (600, 30_003, True),
        (180, 10_600, False),  # seen in a rated game that was no tournament's
        (180, 2_000, False),
        (0, 0, False),
    ],
)
def test_berserk_is_half_of_the_initial_time_on_the_first_clock(
    initial: int, first_cs: int, expected: bool
) -> None:
    assert berserk(Clock(initial_seconds=initial, increment_seconds=2), first_cs) is expected


def test_berserk_is_seen_in_clocks_as_lichess_stores_them() -> None:
    clocks = (9_003, 18_003, 8_507, 18_107, 8_003, 18_203, 7_507, 18_203)
    result = TimeManagement().analyse(game(QUIET, [0] * 9, clock=BLITZ, clocks_cs=clocks))
    assert result.white is not None
    assert result.black is not None
    assert (result.white.berserk, result.black.berserk) == (True, False)
    assert result.white.all.mean_seconds == pytest.approx(5, abs=0.1)


def test_who_goes_berserk_has_half_the_time_and_no_increment() -> None:
    clocks = (9_000, 18_000, 8_500, 18_100, 8_000, 18_200, 7_500, 18_200)
    result = TimeManagement().analyse(game(QUIET, [0] * 9, clock=BLITZ, clocks_cs=clocks))
    assert result.white is not None
    assert result.black is not None
    assert (result.white.berserk, result.white.all.mean_seconds) == (True, 5.0)
    assert (result.black.berserk, result.black.lowest_seconds) == (False, 181.0)


@pytest.mark.parametrize(
    ("initial", "seconds"), [(15, 10), (60, 10), (180, 22), (300, 37), (600, 60), (5_400, 60)]
)
def test_time_trouble_begins_where_lichess_shows_red(initial: int, seconds: int) -> None:
    assert trouble_seconds(Clock(initial_seconds=initial, increment_seconds=0)) == seconds


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"clock": BLITZ},
        {"clock": BLITZ, "clocks_cs": ()},
        {"clocks_cs": (100, 100, 100, 100)},
        {"days_per_turn": 3},
    ],
)
def test_without_clocks_there_is_nothing_to_say(fields: dict[str, Any]) -> None:
    result = TimeManagement().analyse(fools_mate(**fields))
    assert (result.trouble_seconds, result.white, result.black) == (None, None, None)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_clocks_may_be_fewer_or_more_than_the_moves(count: int) -> None:
    result = TimeManagement().analyse(fools_mate(clock=BLITZ, clocks_cs=(18_000,) * count))
    timed = sum(side.all.moves for side in (result.white, result.black) if side is not None)
    assert timed == max(0, min(4, count) - 2)


def test_the_side_that_moves_first_has_the_first_clock() -> None:
    played = game(
        ("e7e5", "g1f3", "b8c6"),
        [0, 0, 0, 0],
        fen=BLACK_STARTS,
        clock=BLITZ,
        clocks_cs=(18_000, 18_000, 17_000),
    )
    result = TimeManagement().analyse(played)
    assert result.white is None
    assert result.black is not None
    assert result.black.all.moves == 1


@needs_data
def test_real_games_take_the_time_that_their_clocks_show() -> None:
    games = 0
    for uci, clocks_cs, clock in real_clocks(40):
        played = game(uci, [0] * (len(uci) + 1), clock=clock, clocks_cs=clocks_cs)
        result = TimeManagement().analyse(played)
        for side, first in ((result.white, 0), (result.black, 1)):
            if side is None or side.berserk:
                continue
            assert side.all.mean_seconds is not None
            assert side.all.moves == sum(moves.moves for moves in side.by_pace.values())
            own = clocks_cs[first::2]
            spent = (own[0] - own[-1]) / 100 + clock.increment_seconds * (len(own) - 1)
            # The clocks of PGN are whole seconds; the last one of all has no increment, and what Lichess
            # gives for lag can make a time negative, which counts as none.
            allowed = clock.increment_seconds + len(own)
            assert side.all.mean_seconds * side.all.moves == pytest.approx(spent, abs=allowed)
            games += 1
    assert games > 50


def test_colours_are_not_mixed_up() -> None:
    clocks = (18_000, 18_000, 10_000, 18_100, 5_000, 18_100)
    result = TimeManagement().analyse(game(QUIET[:6], [0] * 7, clock=BLITZ, clocks_cs=clocks))
    assert result.white is not None
    assert result.black is not None
    assert result.white.lowest_seconds == 50
    assert result.black.lowest_seconds == 181
    assert {think.ply % 2 for think in result.white.longest} == {1}
