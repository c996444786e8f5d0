"""Does a player's summary add up?"""

import json
from typing import Any

import pytest

from app.contract.analyses import PluginResult
from tests.integration.api.driver import ACCURACY, SWING, Analyst, Ledger, make_game
from tests.integration.api.test_games import _BUNDLED, PLAYER, _result, _side
from tests.integration.conftest import Api


def test_results_are_those_of_the_games_by_colour_and_speed(api: Api) -> None:
    games = [json.loads(line) for line in _BUNDLED.read_text().splitlines()]
    Ledger(api, PLAYER).track().store(1, games)
    summary = api.reader.get(f"/v1/players/{PLAYER}/summary").json()
    mine = [game for game in games if _side(game, PLAYER)]
    assert summary["total"]["games"] == len(mine)
    for color in ("white", "black"):
        for result in ("win", "draw", "loss", "unknown"):
            expected = sum(_side(game, PLAYER) == color and _result(game, PLAYER) == result for game in mine)
            assert summary["by_color"][color][result] == expected
    assert {speed: tally["games"] for speed, tally in summary["by_speed"].items()} == {
        speed: sum(game["speed"] == speed for game in mine) for speed in {game["speed"] for game in mine}
    }
    assert sum(summary["analyses"].values()) == sum(
        game["status"] not in {"created", "started"} for game in mine
    )


def test_every_number_is_that_of_the_list_and_a_game_against_oneself_is_one_game(api: Api) -> None:
    alice = {"user": {"name": "Alice", "id": "alice"}}
    drawn: dict[str, Any] = {"status": "draw", "winner": None}
    ends: list[dict[str, Any]] = [{}, {"winner": "black"}, drawn, {"status": "aborted", "winner": None}]
    alone = {"white": alice, "black": alice}
    games = [make_game(number, players=alone, **end) for number, end in enumerate(ends)]
    games += [make_game(10 + number, speed="rapid", **end) for number, end in enumerate(ends)]
    games.append(make_game(20, players=alone, speed="rapid"))
    Ledger(api).track().store(1, games)

    def listed(**wanted: str) -> int:
        answer = api.reader.get("/v1/games", params={"player": "alice", **wanted})
        return len(answer.json()["items"])

    def counted(**wanted: str) -> dict[str, int]:
        results = {name: listed(**wanted, result=name) for name in ("win", "draw", "loss", "unknown")}
        return {"games": listed(**wanted), **results}

    summary = api.reader.get("/v1/players/alice/summary").json()
    assert summary["total"] == counted() == {"games": 9, "win": 4, "draw": 2, "loss": 4, "unknown": 2}
    assert summary["by_color"] == {color: counted(color=color) for color in ("white", "black")}
    assert summary["by_speed"] == {speed: counted(speed=speed) for speed in ("blitz", "rapid")}
    assert summary["by_speed"]["blitz"] == {"games": 4, "win": 2, "draw": 1, "loss": 2, "unknown": 1}
    assert sum(summary["analyses"].values()) == listed(opponent="alice") + 4


def test_a_swing_of_a_game_against_oneself_is_shown_once(api: Api) -> None:
    alice = {"user": {"name": "Alice", "id": "alice"}}
    Ledger(api).track().store(1, [make_game(1, players={"white": alice, "black": alice})])
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        claim = analyst.claim("game0001")
        results = [
            PluginResult(plugin=ACCURACY, result={"white": {"accuracy": 90}, "black": {"accuracy": 80}}),
            PluginResult(plugin=SWING, result=_swing(0.5, 3)),
        ]
        analyst.client.post_results(claim.id, analyst.results(claim).model_copy(update={"results": results}))
    summary = api.reader.get("/v1/players/alice/summary").json()
    assert [swing["game"] for swing in summary["largest_swings"]] == ["game0001"]
    assert summary["accuracy"] == {
        "white": {"percent": 90.0, "games": 1},
        "black": {"percent": 80.0, "games": 1},
    }


def _swing(change: float, ply: int) -> dict[str, Any]:
    return {
        "swing": {"change": change, "ply": ply, "san": "Nf3", "side": "white", "before": 0.5, "after": -0.5}
    }


def test_accuracy_and_the_largest_swings_are_those_of_the_newest_version(api: Api) -> None:
    Ledger(api).track().store(1, [make_game(number) for number in range(5)])
    changes = [-0.1, 0.9, -0.95, 0.2, -0.3]
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        for number, change in enumerate(changes):
            claim = analyst.claim(f"game{number:04d}")
            report = analyst.results(claim)
            results = [
                PluginResult(
                    plugin=ACCURACY, result={"white": {"accuracy": 80 + number}, "black": {"accuracy": None}}
                ),
                PluginResult(plugin=SWING, result=_swing(change, 3)),
            ]
            analyst.client.post_results(claim.id, report.model_copy(update={"results": results}))
    summary = api.reader.get("/v1/players/alice/summary").json()
    assert summary["accuracy"] == {"white": {"percent": 82.0, "games": 5}}
    assert [swing["game"] for swing in summary["largest_swings"]] == ["game0002", "game0001", "game0004"]
    first = summary["largest_swings"][0]
    assert first["analysis_url"] == (
        "https://lichess.org/analysis/standard/rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR_w_KQkq_-_0_2"
    )
    assert (first["white"], first["black"], first["ply"]) == ("Alice", "Bob", 3)


@pytest.mark.parametrize(("player", "shown"), [({}, "Anonymous"), ({"aiLevel": 5}, "Stockfish level 5")])
def test_opponents_without_an_account_have_a_name(api: Api, player: dict[str, int], shown: str) -> None:
    players = {**make_game(1)["players"], "black": player}
    Ledger(api).track().store(1, [make_game(1, players=players)])
    with Analyst(api, [SWING]) as analyst:
        claim = analyst.claim("game0001")
        result = PluginResult(plugin=SWING, result=_swing(0.5, 1))
        analyst.client.post_results(claim.id, analyst.results(claim).model_copy(update={"results": [result]}))
    (swing,) = api.reader.get("/v1/players/alice/summary").json()["largest_swings"]
    assert swing["black"] == shown


def test_a_player_without_games_has_a_summary_of_zeros(api: Api) -> None:
    Ledger(api).track()
    summary = api.reader.get("/v1/players/alice/summary").json()
    assert summary["total"]["games"] == 0
    assert (summary["accuracy"], summary["largest_swings"]) == ({}, [])


def test_results_of_odd_shape_are_left_out(api: Api) -> None:
    Ledger(api).track().store(1, [make_game(number) for number in range(6)])
    odd: list[tuple[Any, Any]] = [
        ({"white": {"accuracy": 90}}, _swing(0.4, 3)),
        ({"white": {"accuracy": "ninety"}}, _swing(0.9, 99)),  # beyond the end of the game
        ({"white": None}, {"swing": {"change": "much"}}),
        ({"white": [80]}, {"swing": {"change": 0.8}}),
        ({}, {"swing": None}),
        ({"white": {"accuracy": {"of": 1}}}, {"swing": {**_swing(0.7, 1)["swing"], "side": "green"}}),
    ]
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        for number, (accuracy, swing) in enumerate(odd):
            claim = analyst.claim(f"game{number:04d}")
            results = [
                PluginResult(plugin=ACCURACY, result=accuracy),
                PluginResult(plugin=SWING, result=swing),
            ]
            analyst.client.post_results(
                claim.id, analyst.results(claim).model_copy(update={"results": results})
            )
    answer = api.reader.get("/v1/players/alice/summary")
    assert answer.status_code == 200, answer.text
    assert answer.json()["accuracy"] == {"white": {"percent": 90.0, "games": 1}}
    assert [swing["game"] for swing in answer.json()["largest_swings"]] == ["game0000"]
