"""Is our table of names Lichess's, and is it told where our names are not Lichess's?"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dev import openings
from dev.openings import NAMED_POSITIONS, named_positions
from dev.paths import CHECKOUT

SHARED = CHECKOUT.parent / "shared" / "data"

PGN = """[Variant "Standard"]
[ECO "C60"]
[Opening "Ruy Lopez"]

1. e4 e5 2. Nf3 Nc6 3. Bb5 *

[Variant "Standard"]
[ECO "C20"]

1. e4 c5 *

[Variant "Antichess"]
[ECO "A00"]
[Opening "King's Pawn"]

1. e4 c5 *

[Variant "Standard"]
[ECO "?"]
[Opening "?"]

*
"""


def game(moves: str, eco: str | None, name: str | None, variant: str = "standard") -> dict[str, Any]:
    opening = {} if eco is None else {"opening": {"eco": eco, "name": name, "ply": 1}}
    return {"id": "game0001", "variant": variant, "moves": moves, **opening}


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no table of openings beside the checkout, in {SHARED}")
def test_the_table_is_made_of_lichess_s() -> None:
    text = NAMED_POSITIONS.read_text("utf-8")
    commit = re.search(r"chess-openings @ (\w+)", text)
    assert commit is not None
    assert named_positions(SHARED / "openings", commit[1]) == text


def test_moves_become_positions_and_positions_of_one_name_a_line(tmp_path: Path) -> None:
    for letter in "abcde":
        (tmp_path / f"{letter}.tsv").write_text("eco\tname\tpgn\n")
    (tmp_path / "b.tsv").write_text('eco\tname\tpgn\nB00\tThe "e4"\t1. e4\nB00\tThe "e4"\t1. e4 a6\n')
    (tmp_path / "a.tsv").write_text("eco\tname\tpgn\nA00\tUp to here\t1. Nf3\n")
    *_, first, second = named_positions(tmp_path, "c0ffee").splitlines()
    assert first.split("\t")[:2] == ["A00", "Up to here"]
    eco, name, keys = second.split("\t")
    # The first is Polyglot's published key of the position after 1. e4.
    assert (eco, name, "823c9b50fd114196" in keys.split(), len(keys.split())) == ("B00", 'The "e4"', True, 2)


def test_names_are_compared_with_lichess_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "games.ndjson"
    games = [
        game("e4 e5 Nf3 Nc6 Bb5", "C60", "Ruy Lopez"),
        game("e4 e5", "C20", "King's Pawn"),
        game("e4 e5", "C20", "King's Pawn"),
        game("e4", None, None),
        game("e4", "B00", "King's Pawn", "atomic"),
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in games))
    assert openings.main(["compare", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "    2 C20 King's Pawn  ->  C20 King's Pawn Game",
        "openings of games.ndjson: games=3 same code=100.00% same name=33.33%",
    ]


def test_a_pgn_is_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "games.pgn"
    file.write_text(PGN)
    assert openings.main(["compare", str(file)]) == 0
    assert capsys.readouterr().out == "openings of games.pgn: games=2 same code=50.00% same name=100.00%\n"


def test_a_file_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert openings.main(["compare", str(tmp_path / "none.ndjson")]) == 1
    assert capsys.readouterr().err.startswith("openings: FileNotFoundError: ")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real games beside the checkout, in {SHARED}")
def test_real_names_differ_where_the_table_was_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert openings.main(["compare", str(SHARED / "lichess/edge_cases.ndjson")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "openings of edge_cases.ndjson: games=51 same code=98.03% same name=82.35%"
    )
