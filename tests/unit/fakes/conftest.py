"""What the tests of the fakes share: small games and a way to ask the server without a socket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fakes.lichess.app import create_app
from tests.fakes.lichess.site import Site
from tests.fakes.lichess.world import StoredGame, World

USER_AGENT = "scoresheet-tests/1.0 (unit)"


def make_game(game_id: str, created_at_ms: int, **fields: Any) -> dict[str, Any]:
    """Build a small finished game between Alice (White) and Bob, with any field replaced or added."""
    return {
        "id": game_id,
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": created_at_ms,
        "lastMoveAt": created_at_ms + 60_000,
        "status": "resign",
        "source": "pool",
        "players": {
            "white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500},
            "black": {"user": {"name": "Bob", "id": "bob"}, "rating": 1480},
        },
        "winner": "white",
        "opening": {"eco": "C20", "name": "King's Pawn Game", "ply": 2},
        "moves": "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6",
        "clocks": [18003, 18003, 17900, 17800, 17700, 17600, 17500, 17400, 17300],
        "clock": {"initial": 180, "increment": 0, "totalTime": 180},
        "division": {"middle": 8},
        **fields,
    }


def decode(line: bytes) -> dict[str, Any]:
    """Read one NDJSON line."""
    game: dict[str, Any] = json.loads(line)
    return game


class Client:
    """Asks a site over its ASGI application; every line that arrives is counted as the server sent it."""

    def __init__(self, site: Site, http: httpx.AsyncClient) -> None:
        self.site = site
        self.http = http

    async def games(self, username: str = "alice", **params: str) -> list[dict[str, Any]]:
        """Return the decoded lines of a player's export."""
        response = await self.export(username, **params)
        assert response.status_code == httpx.codes.OK, response.text
        return [decode(line) for line in response.content.splitlines()]

    async def export(self, username: str = "alice", **params: str) -> httpx.Response:
        """Ask for a player's games as NDJSON."""
        return await self.http.get(f"/api/games/user/{username}", params=params)


@pytest.fixture
def site() -> Site:
    """Return a site with three games of Alice, one second apart, and no speed limit."""
    games = [make_game(f"game000{second}", 1_700_000_000_000 + 1000 * second) for second in range(3)]
    return Site(World(map(StoredGame.from_json, games)), tokens={"secret": "Alice"}, speed_limit=0)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    """Return a client of the site that says who it is and asks for NDJSON."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/x-ndjson"}
    transport = httpx.ASGITransport(create_app(site, control=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://fake", headers=headers) as http:
        yield Client(site, http)
