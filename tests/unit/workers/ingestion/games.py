"""What does a line of Lichess's export look like in these tests?"""

import json
from typing import Any

CREATED_MS = 1_700_000_000_000


def make_game(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a small finished game; a change to None removes the field."""
    game = {
        "id": f"game{number:04d}",
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": CREATED_MS + number,
        "lastMoveAt": CREATED_MS + number + 60_000,
        "status": "resign",
        "source": "pool",
        "players": {
            "white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500, "ratingDiff": 5},
            "black": {"user": {"name": "Bob", "id": "bob", "title": "FM"}, "rating": 1490, "ratingDiff": -5},
        },
        "winner": "white",
        "moves": "e4 e5 Nf3 Nc6",
        "clock": {"initial": 300, "increment": 3, "totalTime": 420},
    } | changes
    return {key: value for key, value in game.items() if value is not None}


def as_line(game: dict[str, Any]) -> bytes:
    """Return a game as Lichess sends it."""
    return json.dumps(game, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
