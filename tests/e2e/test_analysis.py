"""Are the bundled games analysed from Lichess to the summary, every ply of every one that Stockfish plays?"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pytest

from app.contract.names import QueueName
from app.contract.positions import exact_score, position_key
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import ROLES, Player, System
from tests.e2e.histories import BUNDLED_PLAYER, Game, bundled_games
from workers.analysis.plugin_registry import load_plugins
from workers.broker import queue_length

NODES = 300
CONSUMER = "analysis-consumer"
CONCURRENCY = 2
IN_QUEUE = 4 * CONCURRENCY
"""How many games the scheduler lets wait in the queue."""
UNDER_WAY = 2 * CONCURRENCY
"""How many more a worker may hold: at work and fetched ahead."""


@dataclass(frozen=True)
class Analysed:
    """The bundled games, analysed, and how they came to be."""

    system: System
    player: Player
    requested: str
    """The oldest game, asked for when the queue was full already."""

    def game(self, game_id: str) -> dict[str, Any]:
        """Return a game as the API shows it."""
        detail: dict[str, Any] = self.system.owner.get(f"/v1/games/{game_id}").raise_for_status().json()
        return detail


def states(system: System) -> dict[str, str]:
    query = "SELECT source_id, a.state FROM game_analyses a JOIN games g ON g.id = game_id"
    return dict(system.rows(query))


def wait_analysed(system: System) -> None:
    """Wait for one game after the other: how long all take together, the machine decides."""

    def left() -> int:
        return sum(state in {"pending", "running"} for state in states(system).values())

    while count := left():
        system.wait_until(lambda: left() < count, f"another of {count} games is analysed")


@pytest.fixture(scope="module")
def analysed() -> Iterator[Analysed]:
    player = Player(BUNDLED_PLAYER, [json.loads(line) for line in bundled_games()])
    settings = {"SCORESHEET_NODES": str(NODES), "SCORESHEET_ANALYSIS_CONCURRENCY": str(CONCURRENCY)}
    with system_on_fresh_state(roles=ROLES, settings=settings) as system:
        # What has only just been started does not hear a stop.
        system.wait_until(lambda: system.children(CONSUMER), "the worker has begun")
        system.stack.stop(CONSUMER)
        system.track(player)
        system.wait_whole(player)
        with system.redis() as client:
            queue = QueueName.ANALYSIS
            system.wait_until(lambda: queue_length(client, queue) >= IN_QUEUE, "the queue is full")
        analysable = [game for game in player.games if game["variant"] in ANALYSABLE_VARIANTS]
        requested = min(analysable, key=lambda game: int(game["createdAt"]))["id"]
        system.owner.post(f"/v1/games/{requested}/analysis").raise_for_status()
        system.stack.start([CONSUMER])
        wait_analysed(system)
        yield Analysed(system, player, requested)


def test_every_game_is_done_that_stockfish_plays_and_none_failed(analysed: Analysed) -> None:
    assert states(analysed.system) == {
        game["id"]: "done" if game["variant"] in ANALYSABLE_VARIANTS else "unsupported"
        for game in analysed.player.games
    }
    plies = {len(game["moves"].split()) for game in analysed.player.games}
    assert {0, 1, 2} <= plies
    assert max(plies) > 200


def test_every_ply_has_its_evaluation_and_the_api_shows_it(analysed: Analysed) -> None:
    rows = {
        (key, clock): (cp, mate, pv)
        for key, clock, cp, mate, pv in analysed.system.rows(
            "SELECT position_key, halfmove_clock, cp, mate, pv FROM evaluations"
            " WHERE budget_nodes = %s AND lines = 1",
            NODES,
        )
    }
    used = set()
    for game in analysed.player.games:
        shown = analysed.game(game["id"])
        sans = game["moves"].split()
        if game["variant"] not in ANALYSABLE_VARIANTS or not sans:
            assert {move["score"] is None for move in shown["moves"]} <= {True}
            continue
        board = initial_board(game["variant"], game.get("initialFen"))
        scores = [shown["initial_score"], *(move["score"] for move in shown["moves"])]
        for ply, score in enumerate(scores):
            if ply:
                board.push_san(sans[ply - 1])
            exact = exact_score(board)
            if exact is not None:
                assert score == exact.model_dump(), (game["id"], ply)
                continue
            place = (position_key(board), board.halfmove_clock)
            cp, mate, pv = rows[place]
            assert score == {"cp": cp, "mate": mate}, (game["id"], ply)
            assert pv, (game["id"], ply)
            used.add(place)
        assert ply == len(sans)
    assert used == rows.keys()


def test_every_plugin_has_a_result_for_each_analysed_game(analysed: Analysed) -> None:
    installed = {(plugin.name, plugin.version) for plugin in load_plugins()}
    for game in analysed.player.games:
        shown = analysed.game(game["id"])
        if game["variant"] not in ANALYSABLE_VARIANTS:
            assert shown["results"] == []
            continue
        results = {item["plugin"]: item for item in shown["results"]}
        assert {(item["plugin"], item["version"]) for item in results.values()} == installed
        sans = game["moves"].split()
        # A game without moves has no evaluations that anything could rest on.
        basis = ("engine", NODES) if sans else (None, 0)
        assert {(item["error"], item["source"], item["nodes"]) for item in results.values()} == {
            (None, *basis)
        }
        swing = results["largest_swing"]["result"]["swing"]
        assert (swing is None) == (not sans)
        if swing is not None:
            assert sans[swing["ply"] - 1].rstrip("+#") == swing["san"].rstrip("+#")
        engine = shown["details"]["engine"]
        assert {json.dumps(item["engine"]) for item in results.values()} == {json.dumps(engine)}
        assert (engine is None) == (not sans)
        if engine is not None:
            assert engine["name"].startswith("Stockfish ")
            assert engine["net"].startswith("nn-")


def test_a_game_that_a_user_asks_for_goes_before_the_rest(analysed: Analysed) -> None:
    order = [
        game
        for (game,) in analysed.system.rows(
            "SELECT source_id FROM game_analyses JOIN games g ON g.id = game_id"
            " WHERE state = 'done' ORDER BY analysed_at"
        )
    ]
    # By date it would be the last. Only what was in the queue already may come before it.
    assert order.index(analysed.requested) <= IN_QUEUE + UNDER_WAY < len(order) // 2


def test_the_summary_is_what_the_rows_add_up_to(analysed: Analysed) -> None:
    summary = analysed.system.owner.get(f"/v1/players/{BUNDLED_PLAYER}/summary").raise_for_status().json()
    games = {game["id"]: game for game in analysed.player.games}
    colors = {
        game_id: next(
            color for color in ("white", "black") if user_of(game["players"][color]) == BUNDLED_PLAYER
        )
        for game_id, game in games.items()
    }
    assert summary["total"] == tally(list(games.values()), colors)
    for color in ("white", "black"):
        theirs = [game for game in games.values() if colors[game["id"]] == color]
        assert summary["by_color"][color] == tally(theirs, colors)
    by_speed = defaultdict(list)
    for game in games.values():
        by_speed[game["speed"]].append(game)
    assert summary["by_speed"] == {speed: tally(found, colors) for speed, found in by_speed.items()}
    assert Counter({state: n for state, n in summary["analyses"].items() if n}) == Counter(
        states(analysed.system).values()
    )

    results: dict[str, dict[str, Any]] = defaultdict(dict)
    for game_id, plugin, result in analysed.system.rows(
        "SELECT source_id, plugin, result FROM plugin_results JOIN games g ON g.id = game_id"
    ):
        results[plugin][game_id] = result
    for color in ("white", "black"):
        percents = [
            result[color]["accuracy"]
            for game_id, result in results["accuracy"].items()
            if colors[game_id] == color and result[color]["accuracy"] is not None
        ]
        shown = summary["accuracy"][color]
        assert shown["games"] == len(percents) > 5
        assert shown["percent"] == pytest.approx(mean(percents), abs=0.051)

    changes = {
        game_id: abs(result["swing"]["change"])
        for game_id, result in results["largest_swing"].items()
        if result["swing"] is not None
    }
    top = summary["largest_swings"]
    assert [changes[swing["game"]] for swing in top] == sorted(changes.values(), reverse=True)[:3]
    for swing in top:
        game = games[swing["game"]]
        board = initial_board(game["variant"], game.get("initialFen"))
        for san in game["moves"].split()[: swing["ply"] - 1]:
            board.push_san(san)
        assert swing["fen"] == board.fen()
        assert swing["san"] == board.san(board.parse_san(game["moves"].split()[swing["ply"] - 1]))
        place = board.fen().replace(" ", "_")
        assert swing["analysis_url"] == f"https://lichess.org/analysis/{game['variant']}/{place}"


def user_of(side: dict[str, Any]) -> str | None:
    user: str | None = side.get("user", {}).get("id")
    return user


def tally(games: list[Game], colors: dict[str, str]) -> dict[str, int]:
    """Count results as the rules of Lichess have them: an unfinished or unknown end is none."""
    counts = Counter({"games": len(games), "win": 0, "draw": 0, "loss": 0, "unknown": 0})
    for game in games:
        if winner := game.get("winner"):
            counts["win" if winner == colors[game["id"]] else "loss"] += 1
        elif game["status"] in {"noStart", "unknownFinish", "aborted"}:
            counts["unknown"] += 1
        else:
            counts["draw"] += 1
    return dict(counts)
