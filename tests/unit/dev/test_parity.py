"""Given Lichess's own evaluations, do Lichess's own numbers come out, and is it told where they don't?"""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from app.contract.games import Color
from dev import parity
from dev.parity import Formulas, Tally, compare, exported_games, percent
from dev.paths import CHECKOUT
from tests.unit.plugins.games import ONE_GAME, RAPID, RARITIES, needs_data

BUNDLED = CHECKOUT / "tests" / "fakes" / "lichess" / "games" / "selfplay.ndjson"


def tallies(*files: Path, first: int | None = None) -> tuple[Tally, Tally]:
    """Compare by the present formulas alone, and by those of each game; only the first of each file if so."""
    present, detected = Tally(), Tally()
    for file in files:
        for game in itertools.islice(exported_games(file), first):
            compare(game, present, detected)
    return present, detected


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def bundled() -> list[dict[str, Any]]:
    games = [json.loads(line) for line in BUNDLED.read_text().splitlines()]
    return [game for game in games if game.get("analysis") and game["variant"] == "standard"]


def write(folder: Path, games: list[dict[str, Any]]) -> Path:
    file = folder / "games.ndjson"
    file.write_text("".join(json.dumps(game) + "\n" for game in games))
    return file


def test_the_last_line_says_what_share_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main([str(BUNDLED)]) == 0
    sides = 2 * len(bundled())
    expected = f"parity: sides={sides} judgements=100.00% acpl=100.00% accuracy=100.00%"
    assert last_line(capsys) == expected


def test_a_number_that_does_not_come_out_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    altered = bundled()
    altered[0]["players"]["white"]["analysis"]["acpl"] += 1
    altered[0]["players"]["black"]["analysis"]["blunder"] += 1
    assert parity.main([str(write(tmp_path, altered))]) == 0
    out = capsys.readouterr().out
    assert [number in out for number in ("acpl", "blunder", "inaccuracy")] == [True, True, False]
    assert "neither=1" in out
    assert "acpl=100.00%" not in out.splitlines()[-1]
    assert "judgements=100.00%" not in out.splitlines()[-1]


def test_a_game_with_the_numbers_of_an_older_lila_is_told_from_one_with_none(tmp_path: Path) -> None:
    # 0 to -160 loses 0.286 by the present formula, a mistake; 0.310 by the older one, a blunder. White's
    # losses of 175 and 0 mean 87.5: 88, or 87 where the mean is cut off.
    game = copy.deepcopy(bundled()[0])
    game["analysis"] = [
        {"eval": 0},
        {"eval": 0},
        {"eval": -160, "best": "a2a3", "judgment": {"name": "Blunder", "comment": ""}},
        {"eval": -160},
    ]
    counts = {"inaccuracy": 0, "mistake": 0, "blunder": 1, "acpl": 87}
    nothing = {"inaccuracy": 0, "mistake": 0, "blunder": 0, "acpl": 0}
    for side, numbers in (("white", counts), ("black", nothing)):
        game["players"][side]["analysis"] = numbers
    present, detected = tallies(write(tmp_path, [game]))
    assert detected.games == {Formulas.OLDER: 1}
    assert (detected.judgements, detected.acpl) == (6, 2)
    assert (present.judgements, present.acpl) == (4, 1)
    # A label that only the present formula gives: then no version explains the game.
    game["analysis"][2]["judgment"]["name"] = "Mistake"
    _, detected = tallies(write(tmp_path, [game]))
    assert detected.games == {Formulas.NEITHER: 1}
    assert (detected.judgements, detected.acpl) == (4, 1)


def test_shares_are_never_rounded_up() -> None:
    assert (percent(29_999, 30_000), percent(2, 2), percent(0, 2)) == ("99.99%", "100.00%", "0.00%")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "FileNotFoundError"), ("{", "JSONDecodeError"), ('{"id": "x"}', "KeyError"), ("\n", "")],
)
def test_a_file_that_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, reason: str
) -> None:
    file = tmp_path / "games.ndjson"
    if content is not None:
        file.write_text(content)
    assert parity.main([str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("parity: ")
    assert error.count("\n") == 1
    assert reason in error


def test_games_without_numbers_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    games = bundled()[:1]
    for side in Color:
        games[0]["players"][side].pop("analysis")
    assert parity.main([str(write(tmp_path, games))]) == 1
    assert capsys.readouterr().err == "parity: no game with Lichess's evaluations and numbers\n"


JUDGED_THOUGH_BEST = {
    "id": "AAAAAAAA",
    "rated": True,
    "variant": "standard",
    "speed": "rapid",
    "perf": "rapid",
    "createdAt": 1_600_000_000_000,
    "lastMoveAt": 1_600_000_600_000,
    "status": "resign",
    "winner": "white",
    "players": {
        "white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1_500},
        "black": {
            "user": {"name": "Bob", "id": "bob"},
            "rating": 1_500,
            "analysis": {"inaccuracy": 1, "mistake": 0, "blunder": 0, "acpl": 82},
        },
    },
    "moves": "d4 d5 e4 c5 Nc3 e6 Bb5+ Nd7 Nf3 cxd4 Qxd4 a6 Bxd7+ Bxd7 exd5 Nf6 O-O Rc8 Bg5 Bc5 Qe5 O-O",
    "analysis": [
        *(
            {"eval": cp}
            for cp in (21, 35, -87, 142, 0, 163, 136, 209, 54, 166, 159, 167, 180, 248, 274, 278, 256, 332)
        ),
        *({"eval": cp} for cp in (303, 372, 271)),
        {
            "eval": 359,
            "best": "e8g8",
            "variation": "O-O Ne4",
            "judgment": {"name": "Inaccuracy", "comment": "Inaccuracy. O-O was best."},
        },
    ],
}


@pytest.mark.parametrize("best", ["e8g8", "e8h8"])
def test_the_very_move_that_lichess_calls_best_keeps_its_label_on_the_way_to_users(
    tmp_path: Path, best: str
) -> None:
    game = copy.deepcopy(JUDGED_THOUGH_BEST)
    game["analysis"][-1]["best"] = best  # type: ignore[index]
    file = write(tmp_path, [game])
    [exported] = exported_games(file)
    assert exported.analysed is not None
    _, detected = tallies(file)
    assert detected.games == {Formulas.PRESENT: 1}
    assert (detected.judgements, detected.acpl, detected.by_plugins) == (3, 1, 1)


@needs_data
def test_every_real_game_has_the_numbers_of_one_version_of_lila() -> None:
    # Ten of the twelve with older numbers are among them. `make parity` takes all.
    present, detected = tallies(RAPID, RARITIES, first=300)
    assert present.sides > 700
    assert detected.by_plugins > 300
    assert present.judgements / (3 * present.sides) >= 0.99
    assert present.acpl / present.sides >= 0.99
    assert detected.games[Formulas.NEITHER] == 0
    assert detected.games[Formulas.OLDER] < 20
    assert detected.acpl == detected.sides == detected.judgements / 3


@needs_data
def test_a_real_game_has_its_exported_accuracy() -> None:
    present, _ = tallies(ONE_GAME)
    assert (present.sides, present.rated, present.accuracy) == (2, 2, 2)
    assert present.differences == []
