"""Are moves replayed as each variant has it, and positions keyed as the contract says?"""

import random

import chess
import chess.variant
import pytest

from app.contract.positions import position_key
from workers.ingestion.replay import PositionKeys, Replay, replay

START_960 = "rbnkbqnr/pppppppp/8/8/8/8/PPPPPPPP/RBNKBQNR w KQkq - 0 1"


def test_castling_is_written_as_the_king_s_way_and_in_chess960_as_king_takes_rook() -> None:
    standard = replay("standard", None, ["e4", "e5", "Nf3", "Nc6", "Bc4", "Bc5", "O-O"])
    chess960 = replay("chess960", "4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", ["O-O"])
    assert standard.uci == ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5", "e1g1"]
    assert chess960.uci == ["e1h1"]


@pytest.mark.parametrize(
    ("variant", "fen", "moves", "uci"),
    [
        ("crazyhouse", None, "e4 d5 exd5 Qxd5 P@e4", "d@"),
        ("atomic", None, "Nf3 f6 Nd4 e6 Nxe6", "d4e6"),
        ("antichess", None, "e3 b5 Bxb5", "f1b5"),
        ("horde", None, "e5 d6", "d7d6"),
        ("kingOfTheHill", None, "e4 e5 Ke2", "e1e2"),
        ("racingKings", None, "Kh3 Ka3", "a2a3"),
        ("threeCheck", None, "e4 f6 Qh5+", "d1h5"),
        ("fromPosition", "4k3/P7/8/8/8/8/8/4K3 w - - 0 1", "a8=Q+", "a7a8q"),
        ("chess960", START_960, "e4 e5", "e7e5"),
    ],
)
def test_each_variant_is_played_by_its_own_rules(variant: str, fen: str | None, moves: str, uci: str) -> None:
    played = replay(variant, fen, moves.split())
    assert played.uci is not None
    assert played.position_keys is not None
    assert played.uci[-1].lower().startswith(uci) or played.uci[-1] == "P@e4"
    assert len(played.position_keys) == len(moves.split()) + 1


@pytest.mark.parametrize("san", ["Ke5", "--", "Z0", "@@@@", "0000", "e9", "exd5", "O-O", "♞"])
def test_a_game_is_replayed_up_to_the_first_illegal_move(san: str) -> None:
    played = replay("standard", None, ["e4", "e5", san, "Nf3"])
    before = replay("standard", None, ["e4", "e5"])
    assert played == before
    assert played.uci == ["e2e4", "e7e5"]


WITHOUT_A_RIGHT = "rnb1kbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQk - 0 1"


@pytest.mark.parametrize(
    ("variant", "fen", "moves", "reached"),
    [
        # Lichess let White castle through an attacked square, and Black without a right to.
        ("standard", None, "e4 e5 Nf3 b6 g3 Ba6 Bg2 Nf6 O-O Nc6", 8),
        ("fromPosition", WITHOUT_A_RIGHT, "e4 b6 d4 Bb7 Nf3 Nc6 Be2 O-O-O", 7),
        # It went on after the king had exploded.
        ("atomic", None, "Nf3 e6 Ne5 d6 Nxf7 a6", 5),
    ],
)
def test_a_game_that_lichess_let_through_is_replayed_as_far_as_the_rules_go(
    variant: str, fen: str | None, moves: str, reached: int
) -> None:
    played = replay(variant, fen, moves.split())
    assert played.uci is not None
    assert played.position_keys is not None
    assert (len(played.uci), len(played.position_keys)) == (reached, reached + 1)


@pytest.mark.parametrize(
    ("variant", "fen"), [("fromPosition", "blah"), ("chess960", None), ("fogOfWar", None)]
)
def test_nothing_is_replayed_where_there_is_no_position_to_begin_with(variant: str, fen: str | None) -> None:
    assert replay(variant, fen, ["e4", "??"]) == Replay(None, None)


def test_a_position_that_could_not_arise_is_played_and_marked() -> None:
    full_rank = replay("fromPosition", "4k3/8/8/8/8/8/PPPPPPPP/4K3 w - - 0 1", [])
    assert not full_rank.odd_start
    too_many = replay("fromPosition", "4k3/8/8/8/8/P7/PPPPPPPP/4K3 w - - 0 1", ["a4"])
    assert too_many.odd_start


BOARDS = [
    chess.Board(),
    chess.Board.from_chess960_pos(11),
    chess.variant.CrazyhouseBoard(),
    chess.variant.AtomicBoard(),
    chess.variant.AntichessBoard(),
    chess.variant.HordeBoard(),
    chess.variant.RacingKingsBoard(),
    chess.variant.ThreeCheckBoard(),
    chess.variant.KingOfTheHillBoard(),
]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: type(board).__name__)
def test_each_key_equals_that_of_the_whole_position(board: chess.Board) -> None:
    chooser = random.Random(board.fen())
    for _ in range(8):
        board.reset() if not board.chess960 else board.set_chess960_pos(chooser.randrange(960))
        keys = PositionKeys(board)
        expected = [position_key(board)]
        for _ in range(80):
            moves = list(board.legal_moves)
            if not moves or board.is_game_over():
                break
            board.push(chooser.choice(moves))
            keys.add()
            expected.append(position_key(board))
        assert keys.found == expected


def test_each_key_in_chess960_tells_which_of_two_rooks_may_castle() -> None:
    board = chess.Board("4k3/8/8/8/8/8/8/1R1K3R w B - 0 1", chess960=True)
    keys = PositionKeys(board)
    expected = [position_key(board)]
    for uci in ("h1h2", "e8e7", "h2a2", "e7e8", "a2a1", "e8e7", "a1a2", "e7e8", "d1d2"):
        board.push_uci(uci)
        keys.add()
        expected.append(position_key(board))
    assert keys.found == expected


def test_an_en_passant_square_counts_only_where_a_pawn_can_capture() -> None:
    idle = replay("standard", None, ["e4"])
    direct = replay("fromPosition", "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1", [])
    capturable = replay("standard", None, ["e4", "a6", "e5", "d5"])
    without = replay("fromPosition", "rnbqkbnr/1pp1pppp/p7/3pP3/8/8/PPPP1PPP/RNBQKBNR w KQkq - 0 3", [])
    last, first = slice(-1, None), slice(1)
    assert (idle.position_keys or [])[last] == (direct.position_keys or [])[first] != []
    assert (capturable.position_keys or [])[last] != (without.position_keys or [])[first] != []
