"""Where are the real games, which are not part of the repository, and how do they become one player's?"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from dev.paths import CHECKOUT
from tests.e2e.histories import Game

__all__ = ["adopted", "parsed", "real_file", "real_games", "usual_player"]

_FOLDER: Final = CHECKOUT.parent / "shared/data/lichess"


def parsed(lines: Iterable[str]) -> list[Game]:
    """Parse NDJSON, oldest game first."""
    games: list[Game] = [json.loads(line) for line in lines if line.strip()]
    return sorted(games, key=lambda game: int(game["createdAt"]))


def real_file(name: str) -> Path:
    """Return the path of a file of real games; skip the test where there is none."""
    path = _FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is not there: real games stay out of the repository")
    return path


def real_games(name: str) -> list[Game]:
    """Read a file of real games, oldest first; skip the test where there is none."""
    path = real_file(name)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return parsed(lines)


def usual_player(games: Sequence[Game]) -> str:
    """Return the id of who played most of the games."""
    sides = (game["players"].values() for game in games)
    ids: Counter[str] = Counter(
        user for both in sides for user in {side["user"]["id"] for side in both if "user" in side}
    )
    return ids.most_common(1)[0][0]


def adopted(games: Sequence[Game], player: str) -> list[Game]:
    """Make one account a player of every game, in the place of a named one where there is one."""
    changed = []
    for game in games:
        copy: Game = json.loads(json.dumps(game))
        sides = copy["players"]
        side = next((side for side in sides.values() if "user" in side), sides["white"])
        side.pop("aiLevel", None)
        side["user"] = {"id": player, "name": player}
        changed.append(copy)
    return changed
