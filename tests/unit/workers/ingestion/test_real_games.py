"""Is every real line stored, with nothing in it that we do not understand?"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.games import GameRecord
from app.contract.openings import NAMED_VARIANTS
from app.contract.positions import position_key
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from workers.ingestion.lines import LineSplitter, load_json, read_game
from workers.ingestion.parsing import parse

REAL = Path(__file__).parents[5] / "shared" / "data" / "lichess"
REPORTED = REAL.parent / "reports" / "games.ndjson"
FILES = [
    pytest.param("whole_history_1341.ndjson.gz", 1_341, marks=pytest.mark.thorough),
    pytest.param("rapid_analysed_3000.ndjson.gz", 3_000, marks=pytest.mark.thorough),
    ("edge_cases.ndjson", 212),
    ("accuracy_example.json", 1),
]

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real games beside the checkout, in {REAL}")


def records(path: Path) -> Iterator[GameRecord]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.suffix == ".json":
        data = json.dumps(json.loads(data)).encode() + b"\n"
    for line in LineSplitter().feed(data):
        payload = read_game(line).payload
        record = parse(load_json(payload), payload)
        assert isinstance(record, GameRecord), record
        yield record


@pytest.mark.parametrize(("name", "games"), FILES)
def test_every_real_line_becomes_a_game_that_is_understood(name: str, games: int) -> None:
    flags: Counter[str] = Counter()
    count = 0
    for record in records(REAL / name):
        count += 1
        flags.update(record.flags)
        assert record.moves.replayed
        assert "fullId" not in record.extra
        assert (record.opening is not None) == (
            record.variant in NAMED_VARIANTS and len(record.moves.san) > 0
        )
    assert count == games
    assert set(flags) <= {"odd_initial_position"}


def test_games_that_are_reported_as_lost_elsewhere_are_stored() -> None:
    games = {record.id: record for record in records(REPORTED)}
    assert len(games) == 14
    assert {
        game.id: flag for game in games.values() for flag in game.flags if flag.startswith("unreplayable")
    } == {
        "MinZh001": "unreplayable:0",
        "D23illeg": "unreplayable:8",
        "L13786aa": "unreplayable:7",
        "L9541at2": "unreplayable:14",
    }
    castled = {id_: games[id_].moves.uci for id_ in ("MinCas01", "MinCas02", "L7317aaa")}
    assert castled == {
        "MinCas01": ["d1a1", "e8e7"],
        "MinCas02": ["e1g1", "e8e7"],
        "L7317aaa": ["a2a3", "b8e8", "a3a4", "a7a6"],
    }


@pytest.mark.thorough
def test_the_keys_of_real_positions_equal_those_of_the_contract() -> None:
    positions = 0
    for record in records(REAL / "edge_cases.ndjson"):
        if record.variant not in ANALYSABLE_VARIANTS:
            continue
        board = initial_board(record.variant, record.initial_fen)
        keys = [position_key(board)]
        for uci in record.moves.uci or []:
            board.push_uci(uci)
            keys.append(position_key(board))
        assert keys == record.moves.position_keys
        positions += len(keys)
    assert positions > 10_000
