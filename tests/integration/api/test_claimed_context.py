"""What does a claim tell of a game beside its moves?"""

from app.contract.analyses import EARLIER_PLIES, AnalysisClaim, PluginId
from app.contract.games import Clock, Color
from plugins.opening_exit import OpeningExit
from tests.integration.api.driver import ACCURACY, SWING, Analyst, Game, Ledger, make_game
from tests.integration.conftest import Api

WHITE, BLACK = Color.WHITE, Color.BLACK
ALICE_BLACK = {
    "white": {"user": {"name": "Carol", "id": "carol"}, "rating": 1500},
    "black": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500},
}


def claim(api: Api, game: Game) -> AnalysisClaim:
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        return analyst.claim(game["id"], earlier_games_for=[SWING])


def test_time_control_and_division_come_as_lichess_gave_them(api: Api) -> None:
    blitz = make_game(
        1, clock={"initial": 180, "increment": 2, "totalTime": 260}, division={"middle": 2, "end": 4}
    )
    slow = make_game(2, speed="correspondence", daysPerTurn=3)
    Ledger(api).track().stream([blitz, slow])
    claimed = claim(api, blitz)
    assert (claimed.speed, claimed.clock) == ("blitz", Clock(initial_seconds=180, increment_seconds=2))
    assert (claimed.middlegame_ply, claimed.endgame_ply, claimed.days_per_turn) == (2, 4, None)
    claimed = claim(api, slow)
    assert (claimed.speed, claimed.clock, claimed.days_per_turn) == ("correspondence", None, 3)
    assert (claimed.middlegame_ply, claimed.endgame_ply) == (None, None)


def test_earlier_games_of_the_same_colour_are_counted_ply_by_ply(api: Api) -> None:
    games = [
        make_game(1, moves="e4 e5 Nf3 Nc6"),
        make_game(2, moves="Nf3 Nc6 e4 e5 Bb5"),  # comes to the same position by other moves
        make_game(3, moves="e4 c5"),
        make_game(4, moves="e4 e5 Nf3 Nc6", players=ALICE_BLACK),
        make_game(5, moves="e4 e5 Nf3 Nc6", variant="atomic"),
        make_game(6, moves="e4 e5 Nf3 Nc6 Bc4"),
        make_game(7, moves="e4 e5 Nf3 Nc6 Bc4"),
    ]
    Ledger(api).track().stream(games)
    earlier = claim(api, games[5]).earlier_games
    assert set(earlier) == {WHITE}  # nobody tracks Bob
    assert earlier[WHITE].games == 3
    assert earlier[WHITE].reached == [3, 2, 1, 1, 2, 0]
    assert earlier[WHITE].complete
    assert claim(api, games[3]).earlier_games[BLACK].reached == [0, 0, 0, 0, 0]


SET_UP = "r1bqkbnr/pppp1ppp/2n5/4p3/4P3/2N5/PPPP1PPP/R1BQKBNR w KQkq - 0 1"
SHUFFLED = "bqnrkrnb/pppppppp/8/8/8/8/PPPPPPPP/BQNRKRNB w KQkq - 0 1"


def test_an_earlier_game_had_the_initial_position_only_where_it_began_from_it(api: Api) -> None:
    games = [
        make_game(1, moves="e4 e5"),
        make_game(2, moves="d3 d6 d4 d5", variant="fromPosition", initialFen=SET_UP),
        make_game(3, moves="e4 e5", variant="chess960", initialFen=SHUFFLED),
        make_game(4, moves="d6 d3 d5", variant="fromPosition", initialFen=SET_UP.replace(" w ", " b ")),
        make_game(5, moves="d3 d6 f4", variant="fromPosition", initialFen=SET_UP),
        make_game(6, moves="e4 c5", variant="chess960", initialFen=SHUFFLED),
        make_game(7, moves="e4 e5"),
    ]
    Ledger(api).track().stream(games)
    expected = {
        2: [0, 0, 0, 0, 0],
        3: [0, 0, 0],
        4: [0, 0, 0, 0],
        5: [1, 1, 1, 0],
        6: [1, 1, 0],
        7: [1, 1, 1],
    }
    for number, reached in expected.items():
        earlier = claim(api, games[number - 1]).earlier_games[WHITE]
        assert (earlier.games, earlier.reached) == (number - 1, reached)


def test_what_was_computed_from_the_wrong_count_is_computed_again(api: Api) -> None:
    game = make_game(1)
    Ledger(api).track().stream([game])
    # Up to this version the claim said that every earlier game had had the initial position.
    with Analyst(api, [ACCURACY, PluginId(name=OpeningExit.name, version=1)]) as before:
        before.finish(before.claim(game["id"]))
    now = PluginId(name=OpeningExit.name, version=OpeningExit.version)
    with Analyst(api, [ACCURACY, now]) as upgraded:
        assert upgraded.pending() == [game["id"]]
        assert upgraded.claim(game["id"]).plugins == [now]


def test_each_side_of_a_game_against_oneself_has_its_own_history(api: Api) -> None:
    alone = {"white": ALICE_BLACK["black"], "black": ALICE_BLACK["black"]}
    games = [
        make_game(1, players=alone),
        make_game(2, moves="e4 c5", players=ALICE_BLACK),
        make_game(3, players=alone),
    ]
    Ledger(api).track().stream(games)
    earlier = claim(api, games[2]).earlier_games
    assert (earlier[WHITE].games, earlier[WHITE].reached) == (1, [1, 1, 1, 1, 1])
    assert (earlier[BLACK].games, earlier[BLACK].reached) == (2, [2, 2, 1, 1, 1])


def test_a_game_is_looked_up_only_so_far(api: Api) -> None:
    moves = " ".join(["Nf3 Nf6 Ng1 Ng8"] * 15)
    games = [make_game(number, moves=moves) for number in (1, 2)]
    Ledger(api).track().stream(games)
    assert claim(api, games[1]).earlier_games[WHITE].reached == [1] * (EARLIER_PLIES + 1)


def test_both_sides_are_told_of_where_both_are_tracked(api: Api) -> None:
    games = [make_game(1), make_game(2)]
    Ledger(api, "bob").track()
    Ledger(api).track().stream(games)
    earlier = claim(api, games[1]).earlier_games
    assert earlier[WHITE].complete
    assert earlier[BLACK].games == 1
    assert not earlier[BLACK].complete  # his own games were never asked for


def test_a_hole_before_the_game_makes_the_count_incomplete(api: Api) -> None:
    games = [make_game(number) for number in (1, 2, 3)]
    ledger = Ledger(api).track()
    plan = ledger.plan()
    ledger.see(plan.run_id, games)
    ledger.store(plan.run_id, games[1:], 2)
    ledger.finish(plan.run_id, 3)
    found = claim(api, games[2]).earlier_games[WHITE]
    assert (found.games, found.complete) == (1, False)


def test_a_hole_after_the_game_does_not_matter(api: Api) -> None:
    games = [make_game(number) for number in (1, 2, 3)]
    ledger = Ledger(api).track()
    plan = ledger.plan()
    ledger.see(plan.run_id, games)
    ledger.store(plan.run_id, games[:2], 1)
    ledger.finish(plan.run_id, 3)
    found = claim(api, games[1]).earlier_games[WHITE]
    assert (found.games, found.complete) == (1, True)


def test_earlier_games_are_counted_only_for_plugins_that_lack_a_result(api: Api) -> None:
    game = make_game(1)
    Ledger(api).track().stream([game])
    with Analyst(api, [SWING]) as analyst:
        analyst.finish(analyst.claim(game["id"], earlier_games_for=[SWING]))
    assert claim(api, game).plugins == [ACCURACY]
    api.execute("UPDATE game_analyses SET lease_until = now() - interval '1 s'")
    assert claim(api, game).earlier_games == {}
