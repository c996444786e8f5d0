"""Is every line of real Lichess exports stored?"""

from collections import Counter
from itertools import chain

from tests.e2e.harness import Player, System
from tests.e2e.realdata import adopted, real_games, usual_player


def test_every_edge_case_is_stored_and_nothing_in_it_is_odd_to_us(system: System) -> None:
    player = system.new_player(games=[])
    player.games.extend(adopted(real_games("edge_cases.ndjson"), player.name))
    system.show(player.games)
    system.track(player)
    system.wait_whole(player)
    flags = Counter(chain.from_iterable(row[0] for row in system.rows("SELECT flags FROM games")))
    assert not {flag for flag in flags if flag.startswith(("unknown_", "missing_"))}, flags


def test_a_players_whole_history_of_six_years_is_stored(system: System) -> None:
    games = real_games("whole_history_1341.ndjson.gz")
    player = Player(usual_player(games), games)
    system.show(games)
    system.track(player)
    system.wait_whole(player)
    completeness = system.view(player)["completeness"]
    assert completeness["seen"] == completeness["stored"] == len(games)
    assert completeness["refused"] == 0
    assert system.value("SELECT count(*) FROM games WHERE extra::text LIKE '%%fullId%%'") == 0
    nameless = "SELECT count(*) FROM games WHERE variant = 'standard' AND plies > 0 AND eco IS NULL"
    assert system.value(nameless) == 0
    system.check_requests()
