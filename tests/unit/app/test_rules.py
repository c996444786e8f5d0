"""Does each game get the board that Lichess played it on?"""

import gzip
import json
from pathlib import Path

import chess
import chess.variant
import pytest

from app.contract.positions import position_key
from app.contract.rules import ANALYSABLE_VARIANTS, KNOWN_VARIANTS, initial_board
from workers.ingestion.replay import replay

DATA = Path(__file__).parents[4] / "shared" / "data" / "lichess"


def test_every_variant_that_starts_from_its_own_position_has_a_board() -> None:
    placed = {"chess960", "fromPosition"}
    boards = {variant: initial_board(variant, None) for variant in KNOWN_VARIANTS - placed}
    assert {variant for variant, board in boards.items() if type(board) is chess.Board} == {"standard"}
    assert isinstance(boards["racingKings"], chess.variant.RacingKingsBoard)
    assert not any(board.chess960 for board in boards.values())
    assert placed < ANALYSABLE_VARIANTS < KNOWN_VARIANTS


@pytest.mark.parametrize(
    ("variant", "fen"),
    [
        ("fogOfWar", None),
        ("fromPosition", "blah"),
        ("fromPosition", ""),
        ("fromPosition", "8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "8/8/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "8/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/3KK3 w - - 0 1"),
        ("fromPosition", "4k2P/8/8/8/8/8/8/4K3 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/P3K3 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/4K3 w - - -1 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/4K3 w - - 0 1" + " " * 300),
        ("fromPosition", "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR/ w KQkq - 0 1"),
        ("horde", "ppp2ppp/pppppppp/pppppppp/pppppppp/3pp3/8/PPPPPPPP/RNBQKBNR w KQ - 0 1"),
        ("fromPosition", None),
        ("chess960", None),
    ],
)
def test_there_is_no_board_where_nothing_can_be_played(variant: str, fen: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        initial_board(variant, fen)


@pytest.mark.parametrize(
    ("fen", "castling", "uci"),
    [
        ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "O-O", "e1g1"),
        ("r3k2r/8/8/8/8/8/8/R3K2R w HAha - 0 1", "O-O-O", "e1c1"),
        ("4k3/8/8/8/8/8/8/R2K3R w - - 0 1", "Kc1", "d1c1"),
        ("4k3/8/8/8/8/8/8/R2K4 w Q - 0 1", "O-O-O", "d1a1"),
        ("4k3/8/8/8/8/8/8/4K1R1 w K - 0 1", "O-O", "e1g1"),
        ("r2k4/8/8/8/8/8/8/R3K2R w KQq - 0 1", "O-O", "e1h1"),
        # Rights of pieces that are not there mean nothing.
        ("4k3/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "O-O", "e1g1"),
        ("4k3/8/8/8/8/8/3K4/R6R w KQ - 0 1", "Ke1", "d2e1"),
    ],
)
def test_a_set_up_game_castles_as_lichess_lets_it(fen: str, castling: str, uci: str) -> None:
    board = initial_board("fromPosition", fen)
    assert board.uci(board.parse_san(castling)) == uci
    played = replay("fromPosition", fen, [castling])
    assert played.uci == [uci]
    assert played.position_keys is not None
    assert played.position_keys[0] == position_key(board)


def test_a_set_up_game_is_chess960_only_where_ordinary_chess_can_not_express_its_rights() -> None:
    ordinary = "rnbqkbnr/pppp1ppp/8/8/2B1Pp2/8/PPPP2PP/RNBQK1NR b KQkq - 2 1"
    assert not initial_board("fromPosition", ordinary).chess960
    assert initial_board("chess960", ordinary).chess960
    for fen in ("4k3/8/8/8/8/8/8/R2K4 w Q - 0 1", "rk2r3/pppppppp/8/8/8/8/PPPPPPPP/RK2R3 w KQkq - 0 1"):
        assert initial_board("fromPosition", fen).chess960


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real games beside the checkout, in {DATA}")
def test_ordinary_set_up_games_keep_the_keys_of_their_positions() -> None:
    games = [json.loads(line) for line in (DATA / "edge_cases.ndjson").read_text().splitlines()]
    with gzip.open(DATA / "whole_history_1341.ndjson.gz", "rt") as file:
        games += map(json.loads, file)
    with gzip.open(DATA / "rapid_analysed_3000.ndjson.gz", "rt") as file:
        games += map(json.loads, file)
    compared, castled = 0, 0
    for game in games:
        if game["variant"] != "fromPosition" or initial_board("fromPosition", game["initialFen"]).chess960:
            continue
        board = chess.Board(game["initialFen"])
        keys, uci = [position_key(board)], []
        for san in game["moves"].split():
            move = board.push_san(san)
            uci.append(move.uci())
            keys.append(position_key(board))
        played = replay("fromPosition", game["initialFen"], game["moves"].split())
        assert (played.uci, played.position_keys) == (uci, keys)
        compared += 1
        castled += bool({"e1g1", "e1c1", "e8g8", "e8c8"} & {*uci})
    assert compared > 25
    assert castled > 15
