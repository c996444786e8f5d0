"""What does the JSON line of a game hold for this caller?"""

import json
from hashlib import sha256
from typing import Any

from tests.fakes.lichess.pgn import game_to_pgn, replay
from tests.fakes.lichess.query import FieldSwitches
from tests.fakes.lichess.world import ONGOING, StoredGame

# Against cheating, Lichess withholds the newest moves of a game in progress (lila, PgnDump.applyDelay).
DELAYED_PLIES = 3
NEVER_DELAYED_PLIES = 5


def visible_game(stored: StoredGame, switches: FieldSwitches, viewer: str | None) -> dict[str, Any]:
    """Build the game as the viewer (a user id, None for anybody) gets it with these switches."""
    game: dict[str, Any] = json.loads(stored.line)
    if stored.status in ONGOING:
        _withhold_newest_moves(game)
    _show_full_id_to_its_owner(game, viewer if viewer in stored.players else None)
    _drop_analysis(game, switches)
    pgn = game_to_pgn(game, switches) if switches.pgn_in_json else None
    for key, wanted in (
        ("moves", switches.moves),
        ("clocks", switches.clocks),
        ("opening", switches.opening),
        ("division", switches.division),
        ("pgn", False),
    ):
        if not wanted:
            game.pop(key, None)
    if pgn is not None:
        game["pgn"] = pgn
    if switches.last_fen:
        game.update(_last_position(stored))
    return game


def game_line(stored: StoredGame, switches: FieldSwitches, viewer: str | None) -> bytes:
    """Serialise the visible game as one compact UTF-8 line, newline included."""
    game = visible_game(stored, switches, viewer)
    return json.dumps(game, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _withhold_newest_moves(game: dict[str, Any]) -> None:
    moves = game.get("moves", "").split()
    shown = max(len(moves) - DELAYED_PLIES, NEVER_DELAYED_PLIES)
    game["moves"] = " ".join(moves[:shown])
    if "clocks" in game:
        game["clocks"] = game["clocks"][:shown]


def _show_full_id_to_its_owner(game: dict[str, Any], owner: str | None) -> None:
    # The last four characters are a player's secret: they differ by player and game.
    if owner is None:
        game.pop("fullId", None)
    else:
        game.setdefault("fullId", game["id"] + sha256(f"{game['id']}/{owner}".encode()).hexdigest()[:4])


def _drop_analysis(game: dict[str, Any], switches: FieldSwitches) -> None:
    if not switches.evals:
        game.pop("analysis", None)
    for player in game["players"].values():
        if not (switches.evals or switches.accuracy):
            player.pop("analysis", None)
        elif not switches.accuracy:
            player.get("analysis", {}).pop("accuracy", None)


def _last_position(stored: StoredGame) -> dict[str, str]:
    board = replay(json.loads(stored.line))
    last_move = board.peek().uci() if board.move_stack else ""
    return {"lastFen": board.fen(), "lastMove": last_move}
