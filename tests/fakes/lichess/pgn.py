"""What is a game's PGN?"""

from datetime import UTC, datetime
from typing import Any

import chess
import chess.engine
import chess.pgn

from app.contract.rules import initial_board
from tests.fakes.lichess.query import FieldSwitches

VARIANT_TAGS = {
    "standard": "Standard",
    "chess960": "Chess960",
    "crazyhouse": "Crazyhouse",
    "antichess": "Antichess",
    "atomic": "Atomic",
    "horde": "Horde",
    "kingOfTheHill": "King of the Hill",
    "racingKings": "Racing Kings",
    "threeCheck": "Three-check",
    "fromPosition": "From Position",
}
_TERMINATION_TAGS = {
    "created": "Unterminated",
    "started": "Unterminated",
    "aborted": "Abandoned",
    "noStart": "Abandoned",
    "timeout": "Time forfeit",
    "outoftime": "Time forfeit",
    "cheat": "Rules infraction",
    "insufficientMaterialClaim": "Insufficient material",
    "unknownFinish": "Unknown",
}


def replay(game: dict[str, Any]) -> chess.Board:
    """Play a game's moves; raises ValueError when one is illegal."""
    board = initial_board(game["variant"], game.get("initialFen"))
    for san in game.get("moves", "").split():
        board.push_san(san)
    return board


def game_to_pgn(game: dict[str, Any], switches: FieldSwitches) -> str:
    """Write a game object as PGN, with clocks, evaluations and opening as the switches say."""
    board = replay(game)
    tree = chess.pgn.Game()
    tree.headers.clear()
    if switches.tags:
        tree.headers.update(_tags(game, switches))
    if "initialFen" in game:
        tree.setup(board.root())
        tree.headers["Variant"] = VARIANT_TAGS[game["variant"]]
    clocks_cs: list[int] = game.get("clocks", []) if switches.clocks else []
    analysis: list[dict[str, Any]] = game.get("analysis", []) if switches.evals else []
    node: chess.pgn.GameNode = tree
    for ply, move in enumerate(board.move_stack if switches.moves else ()):
        node = node.add_variation(move)
        if ply < len(clocks_cs):
            node.set_clock(round(clocks_cs[ply] / 100))
        if ply < len(analysis):
            node.set_eval(_score(analysis[ply]))
    tree.headers["Result"] = _result(game)
    exporter = chess.pgn.StringExporter(headers=switches.tags, columns=None)
    return tree.accept(exporter) + "\n\n\n"


def _score(entry: dict[str, Any]) -> chess.engine.PovScore:
    score = chess.engine.Mate(entry["mate"]) if "mate" in entry else chess.engine.Cp(entry["eval"])
    return chess.engine.PovScore(score, chess.WHITE)


def _result(game: dict[str, Any]) -> str:
    if game["status"] in {"created", "started", "aborted"}:
        return "*"
    return {"white": "1-0", "black": "0-1"}.get(game.get("winner", ""), "1/2-1/2")


def _player_tags(color: str, player: dict[str, Any]) -> dict[str, str]:
    name = f"lichess AI level {player['aiLevel']}" if "aiLevel" in player else "Anonymous"
    user = player.get("user", {})
    tags = {color: user.get("name", name), f"{color}Elo": str(player.get("rating", "?"))}
    if "ratingDiff" in player:
        tags[f"{color}RatingDiff"] = f"{player['ratingDiff']:+d}"
    if "title" in user:
        tags[f"{color}Title"] = user["title"]
    return tags


def _time_control(game: dict[str, Any]) -> str:
    if "clock" in game:
        return f"{game['clock']['initial']}+{game['clock']['increment']}"
    return "-"


def _tags(game: dict[str, Any], switches: FieldSwitches) -> dict[str, str]:
    created = datetime.fromtimestamp(game["createdAt"] / 1000, UTC)
    tags = {
        "Event": f"{'rated' if game['rated'] else 'casual'} {game['perf']} game",
        "Site": f"https://lichess.org/{game['id']}",
        "Date": f"{created:%Y.%m.%d}",
        "Round": "-",
        **_player_tags("White", game["players"]["white"]),
        **_player_tags("Black", game["players"]["black"]),
        "Result": _result(game),
        "GameId": game["id"],
        "UTCDate": f"{created:%Y.%m.%d}",
        "UTCTime": f"{created:%H:%M:%S}",
        "Variant": VARIANT_TAGS.get(game["variant"], game["variant"]),
        "TimeControl": _time_control(game),
        "Termination": _TERMINATION_TAGS.get(game["status"], "Normal"),
    }
    if switches.opening and "opening" in game:
        tags |= {"ECO": game["opening"]["eco"], "Opening": game["opening"]["name"]}
    return tags
