"""How does a test keep workers amid the search of a position?

stockfish = scripted(bench, "held")
bench.on(CONSUMER, ENGINE_PATH=stockfish.path)
stockfish.hold(place(game, 7))                  # who comes there waits until the next script
... searching(bench, stockfish, [place(game, 7)])
"""

from collections.abc import Collection

from app.contract.rules import initial_board
from dev.binaries import find_binaries
from tests.chaos.analyses import Bench
from tests.e2e.histories import Game
from tests.fakes.stockfish import ScriptedStockfish

__all__ = ["place", "scripted", "searching"]


def scripted(bench: Bench, name: str) -> ScriptedStockfish:
    """Install an engine that does what a test says, in a folder of this name."""
    stockfish = ScriptedStockfish(bench.new_folder(name))
    stockfish.install(find_binaries().stockfish.path)
    return stockfish


def place(game: Game, ply: int) -> str:
    """Return where the men stand after so many plies, as a FEN says it."""
    board = initial_board(game["variant"], game.get("initialFen"))
    for san in game["moves"].split()[:ply]:
        board.push_san(san)
    return board.board_fen()


def searching(bench: Bench, stockfish: ScriptedStockfish, places: Collection[str]) -> set[int]:
    """Return the engines that run and were last told one of these places."""
    newest = {told.pid: told.line for told in stockfish.told() if told.line.startswith("position ")}
    there = {pid for pid, line in newest.items() if any(place in line for place in places)}
    return there & set(bench.engines())
