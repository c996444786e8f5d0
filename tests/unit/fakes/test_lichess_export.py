"""Does the fake Lichess export what lichess.org would?"""

import io

import chess.pgn
import httpx
import pytest

from tests.fakes.lichess.journal import Endpoint
from tests.fakes.lichess.site import Site
from tests.fakes.lichess.world import StoredGame
from tests.unit.fakes.conftest import Client, make_game

FIRST_MS = 1_700_000_000_000
ANALYSIS = [{"eval": 20}, {"mate": -3, "best": "g1f3", "variation": "Nf3"}]
PLAYERS_WITH_ANALYSIS = {
    "white": {
        "user": {"name": "Alice", "id": "alice"},
        "analysis": {"blunder": 1, "acpl": 30, "accuracy": 80},
    },
    "black": {},
}


def ids(games: list[dict[str, object]]) -> list[object]:
    return [game["id"] for game in games]


def put(site: Site, game: dict[str, object]) -> None:
    site.world.put(StoredGame.from_json(game))


async def test_newest_games_come_first_unless_asked_otherwise(client: Client) -> None:
    assert ids(await client.games()) == ["game0002", "game0001", "game0000"]
    assert ids(await client.games(sort="dateAsc")) == ["game0000", "game0001", "game0002"]


async def test_since_is_inclusive_and_until_exclusive(client: Client) -> None:
    games = await client.games(sort="dateAsc", since=str(FIRST_MS + 1000), until=str(FIRST_MS + 2000))
    assert ids(games) == ["game0001"]


async def test_seconds_for_milliseconds_return_everything(client: Client) -> None:
    assert len(await client.games(since=str(FIRST_MS // 1000))) == 3


async def test_max_counts_after_sorting(client: Client) -> None:
    assert ids(await client.games(max="1")) == ["game0002"]


async def test_usernames_are_case_insensitive(client: Client) -> None:
    assert len(await client.games("ALICE")) == 3


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"finished"}),
        ({"ongoing": "true"}, {"finished", "aborted1", "started1"}),
        ({"finished": "false"}, {"started1"}),
    ],
)
async def test_aborted_and_ongoing_games_come_only_when_asked_for(
    site: Site, client: Client, params: dict[str, str], expected: set[str]
) -> None:
    for game_id, status in (("finished", "mate"), ("aborted1", "aborted"), ("started1", "started")):
        put(site, make_game(game_id, FIRST_MS + 9000, status=status))
    games = await client.games(since=str(FIRST_MS + 9000), **params)
    assert set(ids(games)) == expected


async def test_newest_moves_of_an_ongoing_game_are_withheld(site: Site, client: Client) -> None:
    put(site, make_game("started1", FIRST_MS + 9000, status="started"))
    (game,) = await client.games(finished="false", clocks="true")
    assert game["moves"] == "e4 e5 Nf3 Nc6 Bb5"
    assert len(game["clocks"]) == 5


async def test_optional_fields_are_absent_by_default(client: Client) -> None:
    game = (await client.games())[0]
    assert {"moves", "clock", "players"} <= game.keys()
    assert not {"clocks", "opening", "division", "analysis", "pgn", "lastFen", "fullId"} & game.keys()


@pytest.mark.parametrize("field", ["clocks", "opening", "division"])
async def test_a_switch_brings_its_field(client: Client, field: str) -> None:
    assert field in (await client.games(**{field: "true"}))[0]


async def test_moves_can_be_left_out(client: Client) -> None:
    assert "moves" not in (await client.games(moves="false"))[0]


async def test_evaluations_and_accuracy_have_switches_of_their_own(site: Site, client: Client) -> None:
    put(site, make_game("game0009", FIRST_MS + 9000, analysis=ANALYSIS, players=PLAYERS_WITH_ANALYSIS))
    (plain,) = await client.games(max="1")
    (evals,) = await client.games(max="1", evals="true")
    (accuracy,) = await client.games(max="1", accuracy="true")
    assert "analysis" not in plain
    assert "analysis" not in plain["players"]["white"]
    assert evals["analysis"] == ANALYSIS
    assert evals["players"]["white"]["analysis"] == {"blunder": 1, "acpl": 30}
    assert "analysis" not in accuracy
    assert accuracy["players"]["white"]["analysis"] == {"blunder": 1, "acpl": 30, "accuracy": 80}


async def test_last_position_on_demand(client: Client) -> None:
    game = (await client.games(lastFen="true"))[0]
    assert game["lastFen"] == "r1bqkb1r/1ppp1ppp/p1n2n2/4p3/B3P3/5N2/PPPP1PPP/RNBQK2R w KQkq - 2 5"
    assert game["lastMove"] == "g8f6"


async def test_full_id_is_for_its_owner_alone(client: Client) -> None:
    client.http.headers["Authorization"] = "Bearer secret"
    mine = (await client.games("alice"))[0]
    assert mine["fullId"].startswith(mine["id"])
    assert len(mine["fullId"]) == 12
    del client.http.headers["Authorization"]
    assert "fullId" not in (await client.games("alice"))[0]


async def test_pgn_is_the_default_format(client: Client) -> None:
    client.http.headers["Accept"] = "*/*"
    response = await client.export(max="1", clocks="true", opening="true")
    assert response.headers["content-type"] == "application/x-chess-pgn"
    parsed = chess.pgn.read_game(io.StringIO(response.text))
    assert parsed is not None
    assert not parsed.errors
    assert parsed.headers["White"] == "Alice"
    assert parsed.headers["Opening"] == "King's Pawn Game"
    assert parsed.headers["Result"] == "1-0"
    assert parsed.next().clock() == 180  # type: ignore[union-attr]
    assert parsed.end().board().fullmove_number == 5


async def test_ndjson_has_its_media_type(client: Client) -> None:
    assert (await client.export()).headers["content-type"] == "application/x-ndjson"


async def test_pgn_in_json_follows_the_switches(client: Client) -> None:
    game = (await client.games(pgnInJson="true", tags="false"))[0]
    assert game["pgn"].startswith("1. e4 e5")


@pytest.mark.parametrize(
    "params",
    [
        {"max": "0"},
        {"max": "x"},
        {"since": "yesterday"},
        {"sort": "date"},
        {"clocks": "maybe"},
        {"clock": "true"},
        {"perfType": "blitz"},
    ],
)
async def test_parameters_that_lichess_would_ignore_are_refused(
    client: Client, params: dict[str, str]
) -> None:
    response = await client.export(**params)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert next(iter(params)) in response.json()["error"]


async def test_unknown_and_closed_accounts_look_alike(site: Site, client: Client) -> None:
    unknown = await client.export("nobody")
    site.world.set_closed("Alice", closed=True)
    closed = await client.export("alice")
    assert unknown.status_code == closed.status_code == httpx.codes.NOT_FOUND
    assert unknown.json() == closed.json() == {"error": "Not found"}


async def test_a_wrong_token_is_refused(client: Client) -> None:
    client.http.headers["Authorization"] = "Bearer guessed"
    response = await client.export()
    assert response.status_code == httpx.codes.UNAUTHORIZED
    assert "error" in response.json()


@pytest.mark.parametrize("agent", ["", "python-httpx/0.28.1"])
async def test_a_client_without_a_name_gets_a_page(client: Client, agent: str) -> None:
    client.http.headers["User-Agent"] = agent
    response = await client.export()
    assert response.status_code == httpx.codes.NOT_FOUND
    assert response.headers["content-type"].startswith("text/html")


async def test_export_by_ids_returns_the_known_ones_newest_first(client: Client) -> None:
    response = await client.http.post(
        "/api/games/export/_ids", content="game0000,unknown1,game0002", params={"clocks": "true"}
    )
    lines = response.text.splitlines()
    assert [line[7:15] for line in lines] == ["game0002", "game0000"]
    assert all('"clocks"' in line for line in lines)
    record = client.site.journal.requests[-1]
    assert record.endpoint is Endpoint.GAMES_BY_IDS
    assert record.ids == ["game0002", "game0000"]


@pytest.mark.parametrize(("count", "status"), [(300, 200), (301, 400)])
async def test_export_by_ids_takes_at_most_300(client: Client, count: int, status: int) -> None:
    body = ",".join(f"id{number:06d}" for number in range(count))
    response = await client.http.post("/api/games/export/_ids", content=body)
    assert response.status_code == status


async def test_a_finished_analysis_shows_in_the_next_export(site: Site, client: Client) -> None:
    assert "analysis" not in (await client.games(max="1", evals="true"))[0]
    put(site, make_game("game0002", FIRST_MS + 2000, analysis=ANALYSIS))
    assert (await client.games(max="1", evals="true"))[0]["analysis"] == ANALYSIS


@pytest.mark.parametrize(
    ("limit", "token", "username", "expected"),
    [
        (None, None, "alice", 20),
        (None, "secret", "bob", 30),
        (None, "secret", "alice", 60),
        (0, None, "alice", None),
        (7, "secret", "alice", 7),
    ],
)
async def test_the_pace_depends_on_who_asks_for_what(
    site: Site, limit: float | None, token: str | None, username: str, expected: float | None
) -> None:
    site.speed_limit = limit
    record = site.journal.open(Endpoint.GAMES_OF_USER)
    record.username = username
    viewer = site.tokens[token].lower() if token else None
    assert site._games_per_second(record, viewer) == expected


async def test_requests_are_recorded_with_what_they_asked(client: Client) -> None:
    await client.export("Alice", since=str(FIRST_MS), clocks="true")
    (record,) = client.site.journal.requests
    assert (record.username, record.status, record.games_sent) == ("Alice", 200, 3)
    assert record.params == {"since": str(FIRST_MS), "clocks": "true"}
    assert record.user_agent.startswith("scoresheet-tests")
    assert record.ended_s is not None
    assert record.started_s <= record.ended_s
