"""Does the list of games show exactly what was asked for, whatever the filter, page by page?"""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from app.contract.games import DRAW_STATUSES, Opening
from app.contract.openings import NAMED_VARIANTS
from app.contract.rules import ANALYSABLE_VARIANTS
from tests.integration.api.driver import FIRST_MS, Game, Ledger, make_game, record_of
from tests.integration.conftest import Api

_BUNDLED: Final = Path(__file__).parents[2] / "fakes/lichess/games/selfplay.ndjson"
PLAYER: Final = "scoresheet-demo"


@pytest.fixture(scope="module")
def bundled() -> list[Game]:
    """Every bundled game: all speeds and statuses, several variants, AI and anonymous opponents."""
    return [json.loads(line) for line in _BUNDLED.read_text().splitlines()]


@pytest.fixture(scope="module")
def filled(api_server: Api, bundled: list[Game]) -> Api:
    """Give the API with the bundled games stored; no test below changes anything."""
    api_server.backend.clear()
    Ledger(api_server, PLAYER).track().store(1, bundled)
    return api_server


def _list(api: Api, limit: int = 7, /, **params: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        answer = api.reader.get("/v1/games", params={**params, **after, "limit": str(limit)})
        assert answer.is_success, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


def _side(game: Game, user_id: str) -> str | None:
    for color in ("white", "black"):
        if game["players"][color].get("user", {}).get("id") == user_id:
            return color
    return None


def _result(game: Game, user_id: str) -> str:
    if "winner" in game:
        return "win" if game["winner"] == _side(game, user_id) else "loss"
    return "draw" if game["status"] in DRAW_STATUSES else "unknown"


def _opening(game: Game) -> Opening:
    return record_of(game).opening or Opening(eco="", name="", ply=0)


def _moment(game: Game) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=game["createdAt"])


_FILTERS: Final[dict[str, tuple[list[str], Callable[[Game, str], bool]]]] = {
    "color": (["white", "black"], lambda game, value: _side(game, PLAYER) == value),
    "result": (["win", "loss", "draw", "unknown"], lambda game, value: _result(game, PLAYER) == value),
    "speed": (
        ["bullet", "blitz", "rapid", "correspondence", "nosuch"],
        lambda game, value: game["speed"] == value,
    ),
    "variant": (["standard", "chess960", "atomic"], lambda game, value: game["variant"] == value),
    "rated": (["true", "false"], lambda game, value: game["rated"] == (value == "true")),
    "eco": (
        ["A", "b", "C20"],
        lambda game, value: _opening(game).eco.startswith(value.upper()),
    ),
    "opening": (
        ["s", "KING", "%", "_"],
        lambda game, value: _opening(game).name.lower().startswith(value.lower()),
    ),
}
_SINGLE: Final = [(name, value) for name, (values, _) in _FILTERS.items() for value in values]


def _ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def _naive(games: list[Game], **params: str) -> list[str]:
    fitting = [
        game
        for game in games
        if _side(game, PLAYER) and all(_FILTERS[name][1](game, value) for name, value in params.items())
    ]
    return sorted(game["id"] for game in fitting)


def test_the_whole_list_is_every_game_newest_first(filled: Api, bundled: list[Game]) -> None:
    items = _list(filled)
    assert sorted(_ids(items)) == sorted(game["id"] for game in bundled)
    moments = [item["created_at"] for item in items]
    assert moments == sorted(moments, reverse=True)


def test_every_game_has_the_opening_that_lichess_names_or_one_of_ours(
    filled: Api, bundled: list[Game]
) -> None:
    exported = {game["id"]: game for game in bundled}
    sources = Counter[str | None]()
    for item in _list(filled):
        game, opening = exported[item["id"]], item["opening"]
        if "opening" in game:
            assert opening == {**game["opening"], "source": "lichess"}
        else:
            assert (opening is not None) == (game["variant"] in NAMED_VARIANTS and game["moves"] != "")
        sources[opening and opening["source"]] += 1
    assert min(sources["lichess"], sources["scoresheet"], sources[None]) > 0


@pytest.mark.parametrize(("name", "value"), _SINGLE)
def test_each_filter_is_what_a_naive_reading_gives(
    filled: Api, bundled: list[Game], name: str, value: str
) -> None:
    assert sorted(_ids(_list(filled, player=PLAYER, **{name: value}))) == _naive(bundled, **{name: value})


def test_filters_add_up(filled: Api, bundled: list[Game]) -> None:
    found = 0
    for (one, a), (other, b) in itertools.combinations(_SINGLE, 2):
        if one != other:
            expected = _naive(bundled, **{one: a, other: b})
            assert sorted(_ids(_list(filled, 100, player=PLAYER, **{one: a, other: b}))) == expected
            found += bool(expected)
    assert found > 50


def test_a_player_is_found_in_any_case_of_the_name(filled: Api, bundled: list[Game]) -> None:
    assert sorted(_ids(_list(filled, player=PLAYER.upper()))) == _naive(bundled)


def test_an_opponent_is_who_sat_on_the_other_side(filled: Api, bundled: list[Game]) -> None:
    opponents = {
        game["players"][color]["user"]["id"]
        for game in bundled
        for color in ("white", "black")
        if "user" in game["players"][color]
    } - {PLAYER}
    assert opponents
    for opponent in opponents:
        expected = sorted(game["id"] for game in bundled if _side(game, opponent) and _side(game, PLAYER))
        assert sorted(_ids(_list(filled, player=PLAYER, opponent=opponent.title()))) == expected
    assert _list(filled, player=PLAYER, opponent=PLAYER) == []


def test_dates_include_the_first_moment_and_exclude_the_last(filled: Api, bundled: list[Game]) -> None:
    moments = sorted({_moment(game) for game in bundled})
    since, until = moments[len(moments) // 4], moments[len(moments) // 2]
    expected = sorted(game["id"] for game in bundled if since <= _moment(game) < until)
    offset = timedelta(hours=5)
    for zone in ("+00:00", "+05:00"):
        shift = offset if zone == "+05:00" else timedelta()
        params = {
            name: (moment + shift).isoformat().replace("+00:00", zone)
            for name, moment in (("since", since), ("until", until))
        }
        assert sorted(_ids(_list(filled, **params))) == expected
    assert expected


def test_the_state_of_the_analysis_can_be_asked_for(filled: Api, bundled: list[Game]) -> None:
    pending = _ids(_list(filled, analysis="pending"))
    unsupported = _ids(_list(filled, analysis="unsupported", player=PLAYER))
    finished = [game for game in bundled if game["status"] not in {"created", "started"}]
    assert set(pending) == {game["id"] for game in finished if game["variant"] in ANALYSABLE_VARIANTS}
    assert set(unsupported) == {game["id"] for game in finished if game["variant"] not in ANALYSABLE_VARIANTS}
    assert _list(filled, analysis="done") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
@pytest.mark.parametrize("player", [{}, {"player": PLAYER}, {"player": PLAYER, "color": "white"}])
@pytest.mark.parametrize("sort", [{}, {"sort": "created_at"}, {"sort": "last_move_at"}])
def test_pages_of_any_size_show_the_same_list(
    filled: Api, limit: int, player: dict[str, str], sort: dict[str, str]
) -> None:
    items = _list(filled, limit, **player, **sort)
    assert _ids(items) == _ids(_list(filled, 100, **player, **sort))
    moments = [item[sort.get("sort", "created_at")] for item in items]
    assert moments == sorted(moments, reverse=True)


def test_every_bundled_game_is_shown_as_it_came(filled: Api, bundled: list[Game]) -> None:
    for game in bundled:
        record = record_of(game)
        shown = filled.reader.get(f"/v1/games/{game['id']}").json()
        assert [move["san"] for move in shown["moves"]] == record.moves.san
        assert [move["ply"] for move in shown["moves"]] == list(range(1, len(record.moves.san) + 1))
        clocks = record.moves.clocks_cs or []
        assert [move["clock_cs"] for move in shown["moves"] if move["clock_cs"] is not None] == (
            clocks[: len(record.moves.san)]
        )
        assert (shown["status"], shown["winner"]) == (game["status"], game.get("winner"))
        assert shown["url"] == f"https://lichess.org/{game['id']}"
        for color in ("white", "black"):
            player = game["players"][color]
            assert shown[color]["name"] == (player.get("user") or player).get("name")
            assert shown[color]["ai_level"] == player.get("aiLevel")


def test_games_of_the_same_moment_are_each_listed_once(api: Api) -> None:
    games = [make_game(number, createdAt=FIRST_MS, lastMoveAt=FIRST_MS) for number in range(9)]
    Ledger(api).track().store(1, games)
    sorts: list[dict[str, str]] = [{}, {"sort": "last_move_at"}]
    players: list[dict[str, str]] = [{}, {"player": "alice"}, {"player": "bob"}]
    for params in (sort | player for sort in sorts for player in players):
        assert sorted(_ids(_list(api, 2, **params))) == sorted(game["id"] for game in games)


def test_a_game_against_oneself_is_listed_once(api: Api) -> None:
    both = {"user": {"name": "Alice", "id": "alice"}}
    Ledger(api).track().store(1, [make_game(1, players={"white": both, "black": both})])
    assert _ids(_list(api, player="alice")) == ["game0001"]


def test_pages_stay_whole_while_games_arrive(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(number) for number in range(0, 40, 2)])
    before = _ids(_list(api, 100, player="alice"))
    seen: list[str] = []
    after: dict[str, str] = {}
    for arrival in itertools.count(1, 2):
        page = api.reader.get("/v1/games", params={"player": "alice", "limit": "3", **after}).json()
        seen += _ids(page["items"])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
        ledger.store(2, [make_game(arrival), make_game(arrival + 100)])
    assert len(seen) == len(set(seen))
    assert [game for game in seen if game in before] == before


def test_the_tournament_of_a_game_is_shown(api: Api) -> None:
    shown = {
        "arenaTour": {"id": "winter17", "name": "Marathon"},
        "tournament": "spring16",
        "swissTour": {"id": "3WtSFh4o"},
    }
    games = [make_game(number, **{name: value}) for number, (name, value) in enumerate(shown.items())]
    Ledger(api).track().store(1, [*games, make_game(3)])
    url = "https://lichess.org"
    winter = {"id": "winter17", "name": "Marathon", "url": f"{url}/tournament/winter17"}
    spring = {"id": "spring16", "name": None, "url": f"{url}/tournament/spring16"}
    swiss = {"id": "3WtSFh4o", "name": None, "url": f"{url}/swiss/3WtSFh4o"}
    expected = [(None, None), (None, swiss), (spring, None), (winter, None)]
    assert [(game["tournament"], game["swiss"]) for game in _list(api)] == expected
    assert api.reader.get("/v1/games/game0000").json()["tournament"] == winter


def test_a_name_that_comes_later_is_taken_up(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1, tournament="winter17")])
    ledger.store(2, [make_game(1, arenaTour={"id": "winter17", "name": "Marathon"})])
    assert [game["tournament"]["name"] for game in _list(api)] == ["Marathon"]


def test_lichess_s_accuracies_by_phase_are_shown_beside_its_counts(api: Api) -> None:
    game = make_game(1)
    counts = {"inaccuracy": 1, "mistake": 0, "blunder": 0, "acpl": 9, "accuracy": 97}
    phases = {"phases": {"opening": 99, "middlegame": 96.5}}
    game["players"]["white"]["analysis"] = counts | phases
    Ledger(api).track().store(1, [game])
    (shown,) = _list(api)
    assert shown["white"]["analysis"] == counts | {"by_phase": phases}
    assert shown["flags"] == []


def test_an_unknown_game_is_not_found(api: Api) -> None:
    assert api.reader.get("/v1/games/nothere0").json()["code"] == "not_found"
