"""What must the database hold of a player, whatever went wrong on the way?"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from tests.e2e.histories import Game, ids_of

__all__ = ["COUNT_STORED", "Record"]

COUNT_STORED: Final = "SELECT count(*) FROM games WHERE white_id = lower(%s) OR black_id = lower(%s)"
_STORED: Final = """
    SELECT source_id, created_at, status, san, clocks_cs
    FROM games JOIN game_moves ON game_id = games.id
    WHERE white_id = lower(%s) OR black_id = lower(%s)
"""
_MANIFEST: Final = """
    SELECT source_id, seen_games.state FROM seen_games JOIN players ON player_id = players.id
    WHERE user_id = lower(%s)
"""

Rows = Callable[..., list[tuple[Any, ...]]]


class Record:
    """A player's games as Lichess has them, against what is stored."""

    def __init__(self, rows: Rows, player: str, games: Sequence[Game], refused: Collection[str] = ()) -> None:
        self._rows = rows
        self._player = player
        self._games = {game["id"]: game for game in games}
        self._refused = set(refused)
        self._lost_behind_cursor: set[str] = set()

    def check(self) -> None:
        """Hold the record against the games, id by id and move by move.

        Every game is stored once and nothing else is; the manifest says the same (seen = stored + refused).
        """
        expected = ids_of(list(self._games.values())) - self._refused
        stored = self._rows(_STORED, self._player, self._player)
        counts = Counter(row[0] for row in stored)
        assert [game_id for game_id, count in counts.items() if count > 1] == [], "stored more than once"
        lost, unexpected = expected - counts.keys(), counts.keys() - expected
        assert lost == set(), f"lost: {sorted(lost)}"
        assert unexpected == set(), f"unexpected: {sorted(unexpected)}"
        manifest: dict[str, str] = dict(self._rows(_MANIFEST, self._player))
        assert {game_id for game_id, state in manifest.items() if state == "stored"} == expected
        assert {game_id for game_id, state in manifest.items() if state == "refused"} == self._refused
        assert len(manifest) == len(expected) + len(self._refused), "neither stored nor refused"
        for game_id, created_at, status, san, clocks_cs in stored:
            game = self._games[game_id]
            assert _epoch_ms(created_at) == game["createdAt"], game_id
            assert status == game["status"], game_id
            assert san == game.get("moves", "").split(), game_id
            assert clocks_cs == game.get("clocks"), game_id

    def check_cursor(self, cursor: str | None) -> None:
        """Fail if a game created before the cursor is neither stored nor refused now.

        The cursor was read before: games only ever come in, so what is missing now was missing then.
        """
        if cursor is None:
            return
        limit_ms = _epoch_ms(datetime.fromisoformat(cursor))
        settled = {game_id for game_id, state in self._rows(_MANIFEST, self._player) if state != "pending"}
        stored = {row[0] for row in self._rows(_STORED, self._player, self._player)} | self._refused
        passed = {game_id for game_id, game in self._games.items() if game["createdAt"] < limit_ms}
        assert passed <= settled & stored, f"the cursor {cursor} passed {passed - (settled & stored)}"


def _epoch_ms(moment: datetime) -> int:
    return (moment - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(milliseconds=1)
