"""Does a game that was stored under other rules follow those of today?"""

import chess
import pytest

from app.contract.positions import position_key
from app.db.models import Game, GameMoves
from app.games.service import follow_rules

ORDINARY = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
MIXED = "r3k2r/8/8/8/8/8/8/R2K3R w Qkq - 0 1"


def stored_as_ordinary(fen: str, *uci: str) -> GameMoves:
    board = chess.Board(fen)
    keys = [position_key(board)]
    for text in uci:
        board.push_uci(text)
        keys.append(position_key(board))
    return GameMoves(uci=list(uci), position_keys=keys)


def test_moves_and_keys_of_a_game_that_is_chess960_now_are_written_anew() -> None:
    moves = stored_as_ordinary(MIXED, "h1g1", "e8c8")
    follow_rules(Game(variant="fromPosition", initial_fen=MIXED), moves)
    board = chess.Board(MIXED, chess960=True)
    keys = [position_key(board)]
    for text in ("h1g1", "e8a8"):
        board.push_uci(text)
        keys.append(position_key(board))
    assert (moves.uci, moves.position_keys) == (["h1g1", "e8a8"], keys)


@pytest.mark.parametrize(
    "fen", ["r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "blah", "8/8/8/4k3/8/8/8/K7 w - - 0 1"]
)
def test_a_game_that_follows_its_rules_or_has_none_stays_as_it_is(fen: str) -> None:
    moves, same = (stored_as_ordinary(ORDINARY, "h1g1", "e8c8") for _ in range(2))
    follow_rules(Game(variant="fromPosition", initial_fen=fen), moves)
    assert (moves.uci, moves.position_keys) == (same.uci, same.position_keys)
