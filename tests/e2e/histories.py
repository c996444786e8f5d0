"""Which games does an invented player have? (Copies of the bundled ones, with ids and dates of their own.)"""

import json
import random
import string
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from dev.demo import BUNDLED

__all__ = ["BUNDLED_PLAYER", "FULL_ID_ENDING", "Game", "bundled_games", "history", "ids_of"]

Game = dict[str, Any]
"""A game as Lichess exports it."""

BUNDLED_PLAYER: Final = "scoresheet-demo"
FULL_ID_ENDING: Final = "zQ9x"
"""Ends the `fullId` of every invented game: it must turn up nowhere behind the producer."""

_FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
_LONGEST_LINE: Final = 1_500
_ID_LETTERS: Final = string.ascii_letters + string.digits


@cache
def bundled_games() -> tuple[str, ...]:
    """Return the bundled games, a JSON text each."""
    return tuple(BUNDLED.read_text().splitlines())


def history(
    player: str,
    count: int,
    *,
    first: datetime = _FIRST,
    apart: timedelta = timedelta(hours=1),
    suitable: Callable[[Game], bool] = lambda _: True,
    seed: int | None = None,
) -> list[Game]:
    """Invent a player's games, oldest first, `apart` from each other; short ones, of every kind.

    The seed settles their ids; without one they are new on every call.
    """
    rng = random.Random(seed)
    models = [text for text in bundled_games() if len(text) < _LONGEST_LINE and suitable(json.loads(text))]
    games = [json.loads(models[index % len(models)]) for index in range(count)]
    ids: set[str] = set()
    while len(ids) < count:
        ids.add("".join(rng.choices(_ID_LETTERS, k=8)))
    for index, (game, game_id) in enumerate(zip(games, sorted(ids), strict=True)):
        created_ms = int((first + index * apart).timestamp() * 1_000)
        game["lastMoveAt"] += created_ms - game["createdAt"]
        game["createdAt"] = created_ms
        game["id"] = game_id
        game["fullId"] = game_id + FULL_ID_ENDING
        for side in game["players"].values():
            if side.get("user", {}).get("id") == BUNDLED_PLAYER:
                side["user"] = {"id": player.lower(), "name": player}
    return games


def ids_of(games: Sequence[Game]) -> set[str]:
    """Return the games' ids."""
    return {game["id"] for game in games}
