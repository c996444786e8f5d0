"""Are moves replayed as each variant has it, and positions keyed as the contract says?"""

import random

import chess
import chess.variant
import pytest

from app.contract.positions import position_key
from workers.ingestion.replay import IllegalMoveError, InvalidFenError, PositionKeys, replay

START_960 = "rbnkbqnr/pppppppp/8/8/8/8/PPPPPPPP/RBNKBQNR w KQkq - 0 1"


def test_castling_is_written_as_the_king_s_way_and_in_chess960_as_king_takes_rook() -> None:
    standard = replay("standard", None, ["e4", "e5", "Nf3", "Nc6", "Bc4", "Bc5", "O-O"])
    chess960 = replay("chess960", "4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", ["O-O"])
    assert standard is not None
    assert chess960 is not None
    assert standard.uci[-1] == "e1g1"
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
    assert played is not None
    assert played.uci[-1].lower().startswith(uci) or played.uci[-1] == "P@e4"
    assert len(played.position_keys) == len(moves.split()) + 1


def test_the_moves_of_an_unknown_variant_are_left_alone() -> None:
    assert replay("fogOfWar", None, ["Xz9", "??"]) is None


@pytest.mark.parametrize("san", ["Ke5", "--", "Z0", "@@@@", "0000", "e9", "exd5", "♞"])
def test_an_illegal_move_is_named_with_its_ply(san: str) -> None:
    with pytest.raises(IllegalMoveError, match="ply 3") as caught:
        replay("standard", None, ["e4", "e5", san])
    assert caught.value.ply == 3


@pytest.mark.parametrize(
    ("variant", "fen"),
    [
        ("fromPosition", "blah"),
        ("fromPosition", "8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "8/8/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "8/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/8 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/3KK3 w - - 0 1"),
        ("fromPosition", "4k2P/8/8/8/8/8/8/4K3 w - - 0 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/4K3 w - - -1 1"),
        ("fromPosition", "4k3/8/8/8/8/8/8/4K3 w - - 0 1" + " " * 300),
        ("fromPosition", None),
        ("chess960", None),
    ],
)
def test_a_position_from_which_nothing_can_be_played_is_refused(variant: str, fen: str | None) -> None:
    with pytest.raises(InvalidFenError):
        replay(variant, fen, [])


def test_a_position_that_could_not_arise_is_played_and_marked() -> None:
    full_rank = replay("fromPosition", "4k3/8/8/8/8/8/PPPPPPPP/4K3 w - - 0 1", [])
    assert full_rank is not None
    assert not full_rank.odd_start
    too_many = replay("fromPosition", "4k3/8/8/8/8/P7/PPPPPPPP/4K3 w - - 0 1", ["a4"])
    assert too_many is not None
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
    assert idle is not None
    assert direct is not None
    assert capturable is not None
    assert without is not None
    assert idle.position_keys[-1] == direct.position_keys[0]
    assert capturable.position_keys[-1] != without.position_keys[0]
