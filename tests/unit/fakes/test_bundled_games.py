"""Are the bundled games what Lichess could have sent, and do they cover what it can send?"""

from collections import Counter
from pathlib import Path
from typing import Any

import chess
import pytest

from tests.fakes.lichess import selfplay
from tests.fakes.lichess.pgn import VARIANT_TAGS, replay
from tests.fakes.lichess.selfplay.plan import Status, TimeControl
from tests.fakes.lichess.selfplay.writing import FIELD_ORDER, PLAYER
from tests.fakes.lichess.world import World, load_games
from tests.unit.fakes.conftest import decode

GAMES_FILE = Path(selfplay.__file__).parents[1] / "games" / "selfplay.ndjson"
GAMES = [decode(game.line) for game in load_games(GAMES_FILE)]
MAX_FILE_BYTES = 400 * 1024
LOSER_IS_TO_MOVE = {Status.RESIGN, Status.TIMEOUT, Status.CHEAT, Status.NO_START}
NOBODY_WON = {
    Status.DRAW,
    Status.STALEMATE,
    Status.UNKNOWN_FINISH,
    Status.INSUFFICIENT_MATERIAL_CLAIM,
    Status.ABORTED,
}

each_game = pytest.mark.parametrize("game", GAMES, ids=[f"{game['id']}-{game['status']}" for game in GAMES])


def plies(game: dict[str, Any]) -> int:
    return len(game["moves"].split())


@each_game
def test_the_moves_are_legal_and_written_as_lichess_writes_them(game: dict[str, Any]) -> None:
    final = replay(game)
    board = final.root()
    sans = []
    for move in final.move_stack:
        san = board.san(move)
        sans.append(f"P{san}" if san.startswith("@") else san)
        board.push(move)
    assert game["moves"] == " ".join(sans)
    assert game.get("initialFen", final.root().fen()) == final.root().fen()


@each_game
def test_status_and_winner_agree_with_the_final_position(game: dict[str, Any]) -> None:
    board = replay(game)
    status = Status(game["status"])
    outcome = board.outcome()
    opponent = chess.COLOR_NAMES[not board.turn]
    winner = game.get("winner")
    assert (status is Status.MATE) == (board.is_checkmate() and not board.is_variant_end())
    assert (status is Status.STALEMATE) == board.is_stalemate()
    assert (status is Status.VARIANT_END) == board.is_variant_end()
    if outcome is not None:
        assert winner == (None if outcome.winner is None else chess.COLOR_NAMES[outcome.winner])
    elif status is Status.OUT_OF_TIME:
        assert winner == (None if board.has_insufficient_material(not board.turn) else opponent)
    elif status in LOSER_IS_TO_MOVE:
        assert winner == opponent
    else:
        assert status in NOBODY_WON
        assert winner is None


@each_game
def test_clocks_and_times_fit_the_moves(game: dict[str, Any]) -> None:
    clock = game.get("clock")
    assert game["createdAt"] <= game["lastMoveAt"]
    assert ("clocks" in game) == (clock is not None)
    if clock is None:
        assert game["speed"] == "correspondence"
        return
    control = TimeControl(clock["initial"], clock["increment"])
    assert (clock["totalTime"], game["speed"]) == (control.total_seconds, control.speed)
    ended_by_move = replay(game).outcome() is not None
    assert len(game["clocks"]) == plies(game) + (not ended_by_move)
    assert all(isinstance(left_cs, int) and left_cs >= 0 for left_cs in game["clocks"])
    assert (game["clocks"][-1] == 0) == (game["status"] == Status.OUT_OF_TIME)


@each_game
def test_fields_and_players_have_lichess_s_shape(game: dict[str, Any]) -> None:
    assert list(game) == [field for field in FIELD_ORDER if field in game]
    assert len(game["id"]) == 8
    assert game["id"].isalnum()
    assert game["perf"] == (
        game["speed"] if game["variant"] in {"standard", "fromPosition"} else game["variant"]
    )
    assert [color for color, side in game["players"].items() if side.get("user", {}).get("id") == PLAYER]
    for side in game["players"].values():
        assert side.keys() <= {"user", "rating", "ratingDiff", "provisional", "aiLevel", "analysis"}
        assert (
            side.get("user", {"id": "x", "name": "X"})["id"]
            == side.get("user", {"name": "X"})["name"].lower()
        )
        assert ("ratingDiff" in side) == (game["rated"] and game["status"] != Status.ABORTED)


@pytest.mark.parametrize("game", [game for game in GAMES if "analysis" in game])
def test_an_analysis_fits_the_moves_and_its_own_counts(game: dict[str, Any]) -> None:
    entries = game["analysis"]
    assert len(entries) == plies(game) - (game["status"] == Status.MATE)
    final = replay(game)
    board = final.root()
    counts = {"white": Counter[str](), "black": Counter[str]()}
    for entry, move in zip(entries, final.move_stack, strict=False):
        assert ("eval" in entry) != ("mate" in entry)
        if "judgment" in entry:
            counts[chess.COLOR_NAMES[board.turn]][entry["judgment"]["name"].lower()] += 1
            better = board.copy()
            line = [better.push_san(san) for san in entry["variation"].split()]
            assert entry["best"] == line[0].uci() != move.uci()
        board.push(move)
    for color, player in game["players"].items():
        shown = player["analysis"]
        assert {name: shown[name] for name in ("inaccuracy", "mistake", "blunder")} == {
            name: counts[color][name] for name in ("inaccuracy", "mistake", "blunder")
        }
        assert shown["acpl"] >= 0
        assert 0 <= shown["accuracy"] <= 100


def test_everything_that_lichess_can_send_about_a_finished_game_occurs() -> None:
    assert {game["status"] for game in GAMES} == set(Status)
    assert {game["variant"] for game in GAMES} == set(VARIANT_TAGS)
    assert {game["speed"] for game in GAMES} == {
        "ultraBullet", "bullet", "blitz", "rapid", "classical", "correspondence"
    }  # fmt: skip
    assert {0, 1, 2} <= {plies(game) for game in GAMES}
    assert max(map(plies, GAMES)) > 150
    moves = [game["moves"] for game in GAMES if game["variant"] == "standard"]
    assert any("=Q" in san for san in moves)
    assert any("O-O-O" in san for san in moves)
    players = [side for game in GAMES for side in game["players"].values()]
    assert any(side == {} for side in players)
    assert any("aiLevel" in side for side in players)
    assert any("title" in side.get("user", {}) for side in players)
    assert any("provisional" in side for side in players)
    assert {"analysis", "division", "opening", "daysPerTurn", "arenaTour", "swissTour", "initialFen"} <= {
        field for game in GAMES for field in game
    }
    colors = Counter(color for game in GAMES for color, side in game["players"].items() if "user" in side)
    assert min(colors.values()) >= 10


def test_games_are_in_order_of_creation_and_unique() -> None:
    created = [game["createdAt"] for game in GAMES]
    assert created == sorted(created)
    assert len({game["id"] for game in GAMES}) == len(GAMES)


def test_the_file_is_small() -> None:
    assert GAMES_FILE.stat().st_size < MAX_FILE_BYTES


def test_all_games_are_the_player_s() -> None:
    assert len(World(load_games(GAMES_FILE)).select(PLAYER, since_ms=None, until_ms=None)) == len(GAMES) >= 40
