"""Whose games does the demo fetch, and how many does it expect?"""

import json
from pathlib import Path

from dev.demo import _whose


def _write(folder: Path, *sides: tuple[str | None, str | None]) -> Path:
    """Write games between accounts; None for a player without one."""
    file = folder / "games.ndjson"
    lines = [
        {
            "players": {
                color: {"user": {"id": account, "name": account.title()}} if account else {}
                for color, account in zip(("white", "black"), pair, strict=True)
            }
        }
        for pair in sides
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_it_is_who_has_most_of_the_games(tmp_path: Path) -> None:
    file = _write(tmp_path, ("ann", "bob"), ("bob", None), ("cid", "bob"))
    assert _whose(file, None) == ("bob", 3)
    assert _whose(file, "Ann") == ("Ann", 1)


def test_a_game_against_oneself_is_one_game(tmp_path: Path) -> None:
    file = _write(tmp_path, ("ann", "ann"), ("ann", "ann"), ("bob", "ann"), ("bob", "cid"), ("dot", "bob"))
    assert _whose(file, None) == ("ann", 3)
    assert _whose(_write(tmp_path, ("ann", "ann"), ("bob", "cid"), ("dot", "bob")), None) == ("bob", 2)
