"""Do hot endpoints ask the database as often for many rows as for few?"""

import httpx
import pytest

from tests.integration.api.driver import Analyst, Game, Ledger, make_game
from tests.integration.conftest import Api


def _cost(queries: list[str]) -> int:
    """Count the queries, but for those after a token: what is known of one is forgotten within seconds."""
    return sum("api_tokens" not in query for query in queries)


def _count(api: Api, path: str) -> int:
    with api.queries() as queries:
        answer = api.reader.get(path, params={"limit": "100"} if "?" not in path else None)
    assert answer.status_code == httpx.codes.OK
    assert answer.json()["items"]
    return _cost(queries)


@pytest.mark.parametrize(
    "path", ["/v1/games", "/v1/games?player=alice&limit=100", "/v1/analyses?state=pending&limit=100"]
)
def test_lists_of_games_cost_the_same_queries_however_long(api: Api, path: str) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1)])
    one = _count(api, path)
    ledger.store(1, [make_game(number) for number in range(80)])
    assert _count(api, path) == one <= 2


def test_the_list_of_players_costs_the_same_queries_however_long(api: Api) -> None:
    Ledger(api).track()
    one = _count(api, "/v1/players")
    for number in range(30):
        Ledger(api, f"player{number}").track().store(1, [make_game(number)])
    assert _count(api, "/v1/players") == one <= 5


def test_lines_that_were_seen_cost_the_same_queries_however_many(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    costs = []
    for first, size in ((0, 1), (1, 100)):
        with api.queries() as queries:
            ledger.see(run_id, [make_game(first + number) for number in range(size)], first + 1)
        costs.append(_cost(queries))
    assert costs[0] == costs[1]


def _store(ledger: Ledger, games: list[Game]) -> int:
    with ledger.api.queries() as queries:
        ledger.store(1, games)
    return _cost(queries)


def test_storing_a_game_costs_the_same_queries_however_many_there_are(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(0)])
    first = _store(ledger, [make_game(1)])
    ledger.store(1, [make_game(number) for number in range(2, 90)])
    assert _store(ledger, [make_game(100)]) == first
    assert _store(ledger, [make_game(101), make_game(102)]) == 2 * first
    assert first == 1


def test_a_claim_costs_the_same_queries_however_long_the_game(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1), make_game(2, moves="Nf3 Nf6 Ng1 Ng8 " * 60)])
    costs = []
    with Analyst(api) as analyst:
        for game in ("game0001", "game0002"):
            with api.queries() as queries:
                analyst.claim(game)
            costs.append(_cost(queries))
    assert costs[1] <= costs[0]  # the first one enters the engine
