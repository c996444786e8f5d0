"""Is every real line stored, with nothing in it that we do not understand?"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.games import GameRecord
from app.contract.positions import position_key
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from workers.ingestion.lines import LineSplitter, load_json, read_game
from workers.ingestion.parsing import parse

REAL = Path(__file__).parents[5] / "shared" / "data" / "lichess"
FILES = [
    pytest.param("whole_history_1341.ndjson.gz", 1_341, marks=pytest.mark.thorough),
    pytest.param("rapid_analysed_3000.ndjson.gz", 3_000, marks=pytest.mark.thorough),
    ("edge_cases.ndjson", 212),
    ("accuracy_example.json", 1),
]

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real games beside the checkout, in {REAL}")


def records(name: str) -> Iterator[GameRecord]:
    path = REAL / name
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
    for record in records(name):
        count += 1
        flags.update(record.flags)
        assert record.moves.uci is not None
        assert "fullId" not in record.extra
    assert count == games
    assert set(flags) <= {"odd_initial_position"}


@pytest.mark.thorough
def test_the_keys_of_real_positions_equal_those_of_the_contract() -> None:
    positions = 0
    for record in records("edge_cases.ndjson"):
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
