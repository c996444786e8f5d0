"""Do bytes, cut anywhere, become the same lines, and lines named games or a clear complaint?"""

import hashlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.ingestion.games import CREATED_MS, as_line, make_game
from workers.ingestion.lines import (
    GarbledError,
    LineSplitter,
    RawLine,
    for_people,
    load_json,
    read_game,
)

NOW_MS = CREATED_MS + 86_400_000


def split(*chunks: bytes, line_max: int = 100, kept: int = 10) -> list[RawLine]:
    splitter = LineSplitter(line_max, kept)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    last = splitter.end()
    return lines if last is None else [*lines, last]


def test_line_ends_byte_order_marks_and_blank_lines_are_no_part_of_a_line() -> None:
    lines = split(b'\xef\xbb\xbf{"a":1}\r\n\r\n  \n\n{"b":', b"2}\n", b"\xef\xbb\xbf{}")
    assert lines == [RawLine(b'{"a":1}'), RawLine(b'{"b":2}'), RawLine(b"{}")]


def test_an_oversized_line_keeps_its_head_and_a_digest_of_all_of_it() -> None:
    long = b"x" * 1_000
    assert split(long[:150], long[150:], b"\nnext\n") == [
        RawLine(b"x" * 10, hashlib.sha256(long).hexdigest()),
        RawLine(b"next"),
    ]


def test_an_endless_line_takes_no_more_memory_than_the_limit() -> None:
    splitter = LineSplitter(line_max=1_000, kept=10)
    for _ in range(1_000):
        assert list(splitter.feed(b"y" * 900)) == []
        assert len(splitter._head) <= 1_900


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_chunk_borders_change_nothing(data: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(borders)]
    assert split(*chunks) == split(data)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_named_game_or_a_complaint(data: bytes) -> None:
    for line in split(data):
        with pytest.raises(GarbledError):
            read_game(line, NOW_MS)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries({}, optional={"id": JSON_VALUES, "createdAt": JSON_VALUES, "moves": JSON_VALUES})
)
def test_any_json_object_is_a_named_game_or_a_complaint(game: dict[str, object]) -> None:
    try:
        named = read_game(RawLine(json.dumps(game).encode()), NOW_MS)
    except GarbledError:
        return
    assert named.id == game["id"]


def test_a_game_is_named_and_its_secrets_are_dropped() -> None:
    game = make_game(7, fullId="game0007SECR", pgn="1. e4 e5", winner="white", note="Ä♞")
    named = read_game(RawLine(as_line(game).strip()), NOW_MS)
    assert (named.id, named.created_at_ms) == ("game0007", CREATED_MS + 7)
    assert "SECR" not in named.payload
    assert load_json(named.payload) == make_game(7, note="Ä♞")


def test_a_game_without_secrets_is_passed_on_as_it_came() -> None:
    line = as_line(make_game(1, note="Ä♞")).strip()
    assert read_game(RawLine(line), NOW_MS).payload == line.decode()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"<html>", "not JSON"),
        (b'{"id":"game0001","createdAt":1700000000001,"mov', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"id":"game0001","createdAt":1700000000001,"x":NaN}', "not JSON"),
        (b'{"id":"game0001","createdAt":1700000000001,"x":1e999}', "not JSON"),
        (b'{"id":"game0001","createdAt":1700000000001,"x":' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["game0001"]', "no JSON object"),
        (b'{"error":"gone"}', "no id"),
        (b'{"id":null,"createdAt":1700000000001}', "no game id"),
        (b'{"id":"../../etc","createdAt":1700000000001}', "no game id"),
        (b'{"id":"game0001"}', "createdAt"),
        (b'{"id":"game0001","createdAt":1700000000}', "createdAt"),
        (b'{"id":"game0001","createdAt":17000000000010000}', "createdAt"),
        (b'{"id":"game0001","createdAt":true}', "createdAt"),
        (b'{"id":"game0001","createdAt":"2023-11-14"}', "createdAt"),
    ],
)
def test_a_line_that_names_no_game_says_why(line: bytes, complaint: str) -> None:
    with pytest.raises(GarbledError, match=complaint):
        read_game(RawLine(line), NOW_MS)


def test_a_date_far_ahead_is_refused_since_the_cursor_would_follow_it() -> None:
    game = make_game(createdAt=NOW_MS + 3 * 86_400_000)
    with pytest.raises(GarbledError, match="createdAt"):
        read_game(RawLine(as_line(game).strip()), NOW_MS)


def test_a_garbled_line_is_shown_without_its_secret() -> None:
    line = RawLine(b'{"id":"game0001","fullId": "game0001SECR","x":"\x00\xff')
    assert for_people(line) == '{"id":"game0001","fullId":"","x":"\ufffd\ufffd'
    assert "SECR" not in for_people(RawLine(b'{"fullId":"game0001SECR'))
