"""Do messages take what the database can hold, and refuse the rest?"""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import chess
import chess.polyglot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.contract.games import GameRecord, Moves
from app.contract.positions import Score, exact_score, position_key
from app.contract.wire import BigInt, GameId, Json, LongText, Text, Username, UtcDatetime

_STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _STORABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_STORABLE, inner, max_size=3),
    max_leaves=8,
)


def accepts(kind: Any, value: object) -> bool:
    """Tell whether a type takes a value."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@given(_STORABLE)
def test_text_takes_every_text_that_postgresql_can_hold(value: str) -> None:
    assert accepts(Text, value)


@given(st.text(max_size=5), st.sampled_from(["\x00", "\ud800", "\udfff"]), st.text(max_size=5))
def test_nul_and_lone_surrogates_are_refused_wherever_they_are(before: str, bad: str, after: str) -> None:
    value = before + bad + after
    for kind, wrapped in (
        (Text, value),
        (LongText, value),
        (Json, value),
        (Json, {value: 1}),
        (Json, [[{"a": [value]}]]),
    ):
        assert not accepts(kind, wrapped)


@given(_JSON)
def test_json_takes_every_value_and_changes_none(value: object) -> None:
    assert TypeAdapter(Json).validate_python(value) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_takes_no_number_that_json_has_not(value: float) -> None:
    assert not accepts(Json, {"a": [value]})


@given(st.datetimes(datetime(2010, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_moment_is_the_same_moment_in_utc(local: datetime, offset_minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    stored = TypeAdapter(UtcDatetime).validate_python(moment.isoformat())
    assert stored == moment
    assert stored.tzinfo is UTC


@given(
    st.integers()
    | st.floats(allow_nan=False)
    | st.integers().map(str)
    | st.decimals(allow_nan=False).map(str)
)
def test_a_number_is_no_moment(value: object) -> None:
    assert not accepts(UtcDatetime, value)


@pytest.mark.parametrize(
    "moment",
    ["2024-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-13-01", ""],
)
def test_a_moment_without_offset_or_beyond_the_calendar_is_refused(moment: str) -> None:
    assert not accepts(UtcDatetime, moment)


@given(st.integers())
def test_a_bigint_is_what_64_bits_hold(value: int) -> None:
    assert accepts(BigInt, value) == (-(2**63) <= value < 2**63)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Username, ["a", "Alice", "a-b_C9", "a" * 30], ["", "-a", "_a", "a b", "a\n", "é", "a" * 31, "a/b"]),
        (GameId, ["abcdEFG1"], ["", "short", "toolong99", "abc-efgh", "abcdefgh\n"]),
    ],
)
def test_names_and_ids_have_their_shape(kind: Any, good: list[str], bad: list[str]) -> None:
    assert all(accepts(kind, value) for value in good)
    assert not any(accepts(kind, value) for value in bad)


@given(st.none() | st.integers(-100_000, 100_000), st.none() | st.integers(-1_000, 1_000))
def test_a_score_is_either_centipawns_or_a_mate(cp: int | None, mate: int | None) -> None:
    assert accepts(Score, {"cp": cp, "mate": mate}) == ((cp is None) != (mate is None))


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5))
def test_moves_and_keys_agree_in_length(san: int, uci: int, keys: int) -> None:
    moves = {"san": ["e4"] * san, "uci": ["e2e4"] * uci, "position_keys": [1] * keys}
    assert accepts(Moves, moves) == (san >= uci == keys - 1)
    assert not accepts(Moves, moves | {"uci": None})
    assert not accepts(Moves, moves | {"position_keys": None})
    assert accepts(Moves, moves | {"uci": None, "position_keys": None})


@pytest.mark.parametrize(
    ("fen", "key"),
    [
        (chess.STARTING_FEN, 0x463B96181691FC9C),  # Polyglot's own example
        ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", None),
        ("rr2k2r/8/8/8/8/8/8/R3K1RR w KQkq - 0 1", None),
    ],
)
def test_keys_of_positions_that_are_not_chess960_are_polyglots(fen: str, key: int | None) -> None:
    board = chess.Board(fen)
    assert position_key(board) % 2**64 == (key or chess.polyglot.zobrist_hash(board))


@pytest.mark.parametrize(
    "fen",
    [
        "nrbbqkrn/pppppppp/8/8/8/8/PPPPPPPP/NRBBQKRN w KQkq - 0 1",
        "1k6/8/8/8/8/8/8/1K3R2 w F - 0 1",
        "1k6/8/8/8/8/8/8/1K3R1R w H - 0 1",
        "1rk5/8/8/8/8/8/8/R1K3RR w - - 0 1",
        "r1k3rr/8/8/8/8/8/8/R1K3RR w HAha - 0 1",
    ],
)
def test_keys_of_chess960_positions_stay_unless_an_inner_rook_may_castle(fen: str) -> None:
    board = chess.Board(fen, chess960=True)
    assert position_key(board) % 2**64 == chess.polyglot.zobrist_hash(board) ^ 0x9E3779B97F4A7C15


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("1k6/8/8/8/8/8/8/1K3R1R w F - 0 1", "1k6/8/8/8/8/8/8/1K3R1R w H - 0 1"),
        ("1k6/8/8/8/8/8/8/RR3K2 w B - 0 1", "1k6/8/8/8/8/8/8/RR3K2 w A - 0 1"),
        ("rr3k2/8/8/8/8/8/8/5K2 b b - 0 1", "rr3k2/8/8/8/8/8/8/5K2 b a - 0 1"),
        ("2k5/8/8/8/8/8/8/R1K3RR w GA - 0 1", "2k5/8/8/8/8/8/8/R1K3RR w HA - 0 1"),
    ],
)
def test_keys_tell_which_of_two_rooks_on_a_side_may_castle(inner: str, outer: str) -> None:
    boards = [chess.Board(fen, chess960=True) for fen in (inner, outer)]
    assert {*boards[0].legal_moves} != {*boards[1].legal_moves}
    assert chess.polyglot.zobrist_hash(boards[0]) == chess.polyglot.zobrist_hash(boards[1])
    assert position_key(boards[0]) != position_key(boards[1])
    assert all(-(2**63) <= position_key(board) < 2**63 for board in boards)


def test_a_position_key_tells_what_an_evaluation_depends_on() -> None:
    fens = [
        chess.STARTING_FEN,
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 1",
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w Kkq - 0 1",
        "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1",
        "rnbqkbnr/ppp1pppp/8/8/3pP3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1",
    ]
    keys = {position_key(chess.Board(fen)) for fen in fens}
    keys.add(position_key(chess.Board(chess960=True)))
    assert len(keys) == len(fens) + 1
    assert all(-(2**63) <= key < 2**63 for key in keys)
    clock = chess.Board("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 7 9")
    assert position_key(clock) == position_key(chess.Board())


@pytest.mark.parametrize(
    ("fen", "score"),
    [
        ("7k/6Q1/6K1/8/8/8/8/8 b - - 0 1", Score(mate=0)),
        ("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", Score(cp=0)),
        ("8/8/3k4/8/8/3K4/8/8 w - - 0 1", Score(cp=0)),
        ("8/8/3k4/8/8/3K1N2/8/8 b - - 0 1", Score(cp=0)),
        ("8/8/3k4/8/8/3KNN2/8/8 b - - 0 1", None),
        ("8/8/3k4/8/8/3K4/4R3/8 w - - 100 80", None),
        (chess.STARTING_FEN, None),
    ],
    ids=["checkmate", "stalemate", "bare_kings", "one_knight", "two_knights", "hundred_plies", "beginning"],
)
def test_only_a_position_in_which_the_game_is_over_needs_no_search(fen: str, score: Score | None) -> None:
    assert exact_score(chess.Board(fen)) == score


def test_a_third_repetition_is_no_end_of_the_position() -> None:
    board = chess.Board()
    for uci in ["g1f3", "g8f6", "f3g1", "f6g8"] * 2:
        board.push_uci(uci)
    assert board.is_repetition(3)
    assert exact_score(board) is None


def make_record(**changes: Any) -> GameRecord:
    """Build a finished game without moves."""
    return GameRecord.model_validate(
        {
            "id": "abcdefgh",
            "digest": "0" * 64,
            "rated": True,
            "variant": "standard",
            "speed": "blitz",
            "perf": "blitz",
            "created_at": "2024-01-01T00:00:00Z",
            "last_move_at": "2024-01-01T00:10:00Z",
            "status": "resign",
            "white": {},
            "black": {},
            "moves": {"san": [], "uci": [], "position_keys": [1]},
            **changes,
        }
    )


def test_a_message_with_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        make_record(new_field=1)


def test_a_message_survives_the_way_over_the_wire() -> None:
    record = make_record(extra={"x": [1.5, None, {"y": "é"}]}, flags=["unknown_field:x"])
    assert GameRecord.model_validate_json(record.model_dump_json()) == record
