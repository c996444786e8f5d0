"""Whose games does the machine fetch from the fake Lichess that runs on it, and are they all there?"""

import http.client
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.system.inside.host import Http, expect, run, sql, wait_until

_GAMES: Final = Path("tests/fakes/lichess/games/selfplay.ndjson")
_LONGEST_PLIES: Final = 40
"""Of OWNER's games that an engine can analyse: it has to come to the end of them all."""
_SERVED: Final = Path("/run/fake-lichess.ndjson")
_PORT: Final = 8090
_COPIES: Final = 5
"""Enough for something to be under way. Of the shortest games, whose positions are known once OWNER's are
analysed."""
RATE_LIMIT_SECONDS: Final = 20
"""Of silence after a 429; Lichess's own minute would only take longer."""
OWNER: Final = "scoresheet-demo"
"""Who plays in all bundled games."""
_ANALYSED: Final = {"standard", "chess960", "fromPosition"}


@dataclass
class Lichess:
    """The fake Lichess, and whom Scoresheet follows there."""

    api: Http
    control: Http = field(default_factory=lambda: Http(_PORT))
    players: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Their games, by user id."""
    _bundled: list[dict[str, Any]] = field(default_factory=list)

    def start(self) -> None:
        """Serve the bundled games whose analysis does not take long on this machine; they are OWNER's."""
        self._bundled = [json.loads(line) for line in _GAMES.read_text().splitlines()]
        self.players[OWNER] = [
            game
            for game in self._bundled
            if _plies(game) <= _LONGEST_PLIES or game["variant"] not in _ANALYSED
        ]
        _SERVED.write_text("".join(json.dumps(game) + "\n" for game in self.players[OWNER]))
        python = "/opt/scoresheet/bin/python"
        options = f"--games {_SERVED} --port {_PORT} --speed-limit 0 --control".split()
        unit = ("systemd-run", "--quiet", "--unit=fake-lichess", f"--working-directory={Path.cwd()}")
        run(*unit, python, "-m", "tests.fakes.lichess", *options)
        wait_until(lambda: self.control.json_or_none("/_control/requests"), "the fake Lichess answers")

    def add(self, player: str, *, plies: int = 1) -> None:
        """Open an account with copies of some bundled games, none shorter than this, and follow it."""
        fitting = (game for game in self._bundled if game["variant"] == "standard" and _plies(game) >= plies)
        shortest = sorted(fitting, key=_plies)[:_COPIES]
        copies = json.loads(json.dumps(sorted(shortest, key=lambda game: game["createdAt"])))
        for number, game in enumerate(copies):
            game["id"] = f"{player[:5]:x<5}{number:03}"
            game.pop("fullId", None)
            for side in game["players"].values():
                if side.get("user", {}).get("id") == OWNER:
                    side["user"] = {"id": player, "name": player}
        self.players[player] = copies
        lines = "\n".join(json.dumps(game) for game in copies)
        self.control.send("POST", "/_control/games", lines.encode())
        self.follow(player)

    def follow(self, player: str) -> None:
        """Have Scoresheet follow the player."""
        self.api.json(f"/v1/players/{player}", "PUT")

    def refuse_next(self) -> None:
        """Answer the next request 429, whoever it is for, and any in the silence that has to follow."""
        self._control("settings", {"penalty_seconds": RATE_LIMIT_SECONDS})
        self._control("faults", [{"kind": "status", "status": http.client.TOO_MANY_REQUESTS}])

    def send_games(self, a_second: float) -> None:
        """Set the pace of all answers to come; 0 is as fast as can be."""
        self._control("settings", {"speed_limit": a_second})

    def has_refused(self) -> bool:
        """Tell whether a request was answered 429."""
        requests = self.control.json("/_control/requests")["requests"]
        return any(request["status"] == http.client.TOO_MANY_REQUESTS for request in requests)

    def _control(self, what: str, body: object) -> None:
        self.control.json(f"/_control/{what}", "POST", json.dumps(body).encode())

    def is_whole(self, player: str) -> bool:
        """Tell whether all that the source has of the player is stored."""
        record = self.api.json_or_none(f"/v1/players/{player}")
        if record is None or not record["completeness"]["complete"]:
            return False
        return bool(record["completeness"]["stored"] == len(self.players[player]))

    def wait_whole(self, player: str) -> None:
        """Wait for all games of the player."""
        wait_until(lambda: self.is_whole(player), f"all games of {player} are stored")

    def analyses(self, player: str = OWNER) -> dict[str, int]:
        """Return how many games of the player are in each state of analysis."""
        counts: dict[str, int] = self.api.json(f"/v1/players/{player}/summary")["analyses"]
        return counts

    def nothing_open(self, player: str) -> bool:
        """Tell whether no game of the player waits for its analysis or is under it."""
        summary = self.api.json_or_none(f"/v1/players/{player}/summary")
        return summary is not None and summary["analyses"]["pending"] + summary["analyses"]["running"] == 0

    def check(self) -> None:
        """Fail unless the games of all players are stored, once each, and Lichess was asked politely.

        A check that needs no more of a player leaves its stream to go on, or to be cut by the next fault.
        """
        for player in self.players:
            self.wait_whole(player)
        expected = sorted(game["id"] for games in self.players.values() for game in games)
        stored = sorted(sql("SELECT source_id FROM games"))
        lost, unexpected = set(expected) - set(stored), set(stored) - set(expected)
        expect(not lost, f"lost: {sorted(lost)}")
        expect(not unexpected, f"unexpected: {sorted(unexpected)}")
        expect(len(stored) == len(expected), "a game is stored twice")
        asked = self.control.json("/_control/requests")
        expect(not asked["overlaps"], f"requests to Lichess overlapped: {asked['overlaps']}")
        early = asked["penalty_violations"]
        expect(not early, f"requests in the silence after a 429: {early}")

    def analysed(self, player: str) -> int:
        """Count the player's games that an engine can analyse."""
        return sum(game["variant"] in _ANALYSED for game in self.players[player])


def _plies(game: dict[str, Any]) -> int:
    return len(game["moves"].split())
