"""Which games, with which evaluations, does the test kit of plugins carry?

    python -m dev.plugin_samples        writes plugins/testkit/samples.json anew, with the engine of .tools

Taken from the bundled games of the fake Lichess, one of each kind that a plugin must cope with. The same
engine gives the same bytes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import chess
import chess.engine

from app.contract.rules import initial_board
from dev.binaries import find_binaries
from dev.paths import CHECKOUT

GAMES: Final = CHECKOUT / "tests/fakes/lichess/games/selfplay.ndjson"
SAMPLES: Final = CHECKOUT / "plugins/testkit/samples.json"
CHOSEN: Final = {
    "supWfmPw": "without moves",
    "PixvUzwI": "of one ply",
    "UAxkfiN7": "of two plies",
    "SH5eqL8e": "that ends in mate",
    "RYEr5qrk": "that is resigned",
    "17zakshA": "that is won early",
    "aMsdBAbr": "that nobody timed",
    "dHuFzHHf": "of correspondence",
    "ex1D6MJR": "that ends in stalemate",
    "lmkjME3Z": "lost on time",
    "1Hqc0gfc": "of Chess960",
    "eUsxop3n": "in which Black moves first",
    "l8egaVwT": "of kings and a pawn",
    "xrwZiHs1": "of 242 plies",
}
"""Ids, and what the game is: "a game …"."""
NODES: Final = 20_000
PV_PLIES: Final = 6
LINES_EVERY: Final = 6
"""Every so many plies two lines are searched as well."""


def main() -> None:
    """Search the games and write them."""
    exported = {game["id"]: game for game in map(json.loads, GAMES.read_text().splitlines())}
    with chess.engine.SimpleEngine.popen_uci(str(find_binaries().stockfish.path), timeout=None) as engine:
        engine.configure({"Threads": 1, "Hash": 16})
        samples = [sample(engine, exported[game_id]) for game_id in CHOSEN]
    lines = ",\n".join(json.dumps(game, separators=(",", ":")) for game in samples)
    Path(SAMPLES).write_text(f"[\n{lines}\n]\n")


def sample(engine: chess.engine.SimpleEngine, exported: dict[str, Any]) -> dict[str, Any]:
    """Return a game as the kit reads it."""
    board = initial_board(exported["variant"], exported.get("initialFen"))
    boards, uci = [board.copy(stack=False)], []
    for san in exported["moves"].split():
        uci.append(board.push_san(san).uci())
        boards.append(board.copy(stack=False))
    clock, division = exported.get("clock"), exported.get("division")
    return {
        "id": exported["id"],
        "about": CHOSEN[exported["id"]],
        "variant": exported["variant"],
        "initial_fen": exported.get("initialFen"),
        "status": exported["status"],
        "winner": exported.get("winner"),
        "speed": exported["speed"],
        "clock": clock and [clock["initial"], clock["increment"]],
        "days_per_turn": exported.get("daysPerTurn"),
        "division": division and [division.get("middle"), division.get("end")],
        "uci": " ".join(uci),
        "clocks_cs": exported.get("clocks"),
        "evaluations": [evaluation(engine, position) for position in boards] if uci else [],
        "lines": {
            ply: lines(engine, boards[ply])
            for ply in range(LINES_EVERY, len(boards), LINES_EVERY)
            if boards[ply].legal_moves.count() > 1 and not boards[ply].is_game_over()
        },
    }


def evaluation(engine: chess.engine.SimpleEngine, board: chess.Board) -> Sequence[object]:
    """Return centipawns, mate (one of them None; White's view), depth, nodes and the best line."""
    if board.is_checkmate():
        return (None, 0, 0, 0, "")
    if not any(board.legal_moves):
        return (0, None, 0, 0, "")
    found = engine.analyse(board, chess.engine.Limit(nodes=NODES), game=object())
    return (*_score(found), found["depth"], found["nodes"], _moves(board, found))


def lines(engine: chess.engine.SimpleEngine, board: chess.Board) -> list[Sequence[object]]:
    """Return centipawns, mate and moves of the two best lines."""
    found = engine.analyse(board, chess.engine.Limit(nodes=NODES), multipv=2, game=object())
    return [(*_score(line), _moves(board, line)) for line in found]


def _score(found: chess.engine.InfoDict) -> tuple[int | None, int | None]:
    score = found["score"].white()
    return score.score(), score.mate()


def _moves(board: chess.Board, found: chess.engine.InfoDict) -> str:
    return " ".join(board.uci(move, chess960=board.chess960) for move in found["pv"][:PV_PLIES])


if __name__ == "__main__":
    main()
