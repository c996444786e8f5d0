"""Which games and accounts exist, and which of them does a query see?"""

import gzip
import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ONGOING = frozenset({"created", "started"})
# An ordinary export holds what ended by play: aborted games only come with `ongoing=true`, because
# that drops the condition on the status altogether (lila, GameApiV2.exportByUser).
UNFINISHED = ONGOING | {"aborted"}


class GameFileError(ValueError):
    """A line of a game file is no game that Lichess could have sent."""


@dataclass(frozen=True, slots=True)
class StoredGame:
    """One game: the line as loaded and what queries look at; `players` are the user ids, if any."""

    game_id: str
    created_at_ms: int
    status: str
    players: tuple[str, ...]
    line: bytes

    @classmethod
    def from_json(cls, game: dict[str, Any]) -> "StoredGame":
        """Index a game object; raises GameFileError when an indexed field is missing."""
        try:
            users = [player["user"]["id"] for player in game["players"].values() if "user" in player]
            return cls(
                game_id=game["id"],
                created_at_ms=int(game["createdAt"]),
                status=game["status"],
                players=tuple(users),
                line=json.dumps(game, ensure_ascii=False, separators=(",", ":")).encode(),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise GameFileError(f"not a Lichess game: {error!r}") from error


def parse_lines(lines: Iterable[bytes], *, source: str) -> Iterator[StoredGame]:
    """Parse NDJSON, skipping blank lines; raises GameFileError naming the source and the line number."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield StoredGame.from_json(json.loads(line))
        except ValueError as error:
            raise GameFileError(f"{source}, line {number}: {error}") from error


def load_games(path: Path) -> list[StoredGame]:
    """Read an NDJSON file, gzipped when its name ends in .gz; raises GameFileError or OSError."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        return list(parse_lines(lines, source=str(path)))


class World:
    """All games, by id and by player in order of creation; mutable while requests stream from it."""

    def __init__(self, games: Iterable[StoredGame] = ()) -> None:
        self._games: dict[str, StoredGame] = {}
        self._ids_of_player: dict[str, set[str]] = defaultdict(set)
        self._sorted_ids: dict[str, list[tuple[int, str]]] = {}
        self._closed: set[str] = set()
        for game in games:
            self.put(game)

    def put(self, game: StoredGame) -> None:
        """Add a game, or replace the one with its id."""
        self.remove(game.game_id)
        self._games[game.game_id] = game
        for player in game.players:
            self._ids_of_player[player].add(game.game_id)
            self._sorted_ids.pop(player, None)

    def remove(self, game_id: str) -> None:
        """Forget a game; its players keep their accounts. Unknown ids are fine."""
        game = self._games.pop(game_id, None)
        for player in game.players if game else ():
            self._ids_of_player[player].discard(game_id)
            self._sorted_ids.pop(player, None)

    def get(self, game_id: str) -> StoredGame | None:
        """Return the game's present version."""
        return self._games.get(game_id)

    def games(self) -> list[StoredGame]:
        """Return all games, in the order they were first put."""
        return list(self._games.values())

    def set_closed(self, username: str, *, closed: bool) -> None:
        """Close or reopen an account; the games stay."""
        if closed:
            self._closed.add(username.lower())
        else:
            self._closed.discard(username.lower())

    def has_account(self, username: str) -> bool:
        """Tell whether the account exists and is open: Lichess answers alike when it is not."""
        user_id = username.lower()
        return user_id in self._ids_of_player and user_id not in self._closed

    def select(self, username: str, *, since_ms: int | None, until_ms: int | None) -> list[str]:
        """Return the ids of a player's games with since <= createdAt < until, oldest first."""
        user_id = username.lower()
        if user_id not in self._sorted_ids:
            ids = self._ids_of_player.get(user_id, ())
            self._sorted_ids[user_id] = sorted((self._games[i].created_at_ms, i) for i in ids)
        ordered = self._sorted_ids[user_id]
        start = 0 if since_ms is None else bisect_left(ordered, (since_ms, ""))
        end = len(ordered) if until_ms is None else bisect_left(ordered, (until_ms, ""))
        return [game_id for _, game_id in ordered[start:end]]

    def __len__(self) -> int:
        return len(self._games)
