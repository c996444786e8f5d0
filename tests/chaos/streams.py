"""How does a blow fall amid a stream from Lichess, on a machine of whatever speed?

for line in drawn_lines(rng, 2):
    reach_line(system, player, line)  # so many games were sent, and some more are on their way
    system.stack.kill("redis")
let_all_go(system)
"""

import random
from typing import Final

from tests.chaos.messages import send
from tests.e2e.harness import Player, System

__all__ = [
    "GAMES",
    "GAMES_A_SECOND",
    "ONE_SLICE",
    "drawn_lines",
    "flow_on",
    "let_all_go",
    "reach_line",
    "streaming_player",
]

GAMES: Final = 200
GAMES_A_SECOND: Final = 150
ONE_SLICE: Final = 1_000
"""Games that one request may ask for: one is under way until the whole history is sent."""
_FLOWING: Final = 30
"""Games that still go out while a blow falls: the workers have their hands full then."""
_APART: Final = 2 * _FLOWING
"""From one draw to the next: at least one game is new after each blow."""


def streaming_player(system: System) -> Player:
    """Track a new player whose games come at a pace at which all parts of the pipeline are at work."""
    player = system.new_player(history_of=GAMES)
    system.lichess.set_speed_limit(GAMES_A_SECOND)
    system.lichess.hold_after(0)  # until the test says how far
    # Before it is tracked: from then on a request may ask. The API sends its hint for a new account alone.
    system.execute(
        "INSERT INTO players (user_id, username, tracked, slice_games) VALUES (lower(%s), %s, false, %s)",
        player.name,
        player.name,
        ONE_SLICE,
    )
    system.track(player)
    send(system, "fetch_player_games", "api_queue", [[player.name]])
    return player


def drawn_lines(rng: random.Random, count: int) -> list[int]:
    """Draw at which lines of the stream, three at most, the blows are to fall; in order."""
    return [1 + number * _APART + rng.randrange(_FLOWING) for number in range(count)]


def reach_line(system: System, player: Player, line: int, *, stored_beyond: int | None = None) -> None:
    """Return when Lichess has sent so many games, repeats included, and more than so many are stored.

    A few more go out from then on, and the stream stays open until the next call or `let_all_go`: whatever
    hits the system now finds a request under way, even if this process sleeps for a while.
    """
    system.lichess.hold_after(line)

    def reached() -> bool:
        if stored_beyond is None:
            return _sent(system) >= line
        stored = system.stored(player)
        assert stored < len(player.games), f"all {stored} games are stored before line {line} was seen"
        return _sent(system) >= line and stored > stored_beyond

    system.wait_until(reached, f"line {line} is sent")
    flow_on(system)


def flow_on(system: System) -> None:
    """Let a few more games go out, then hold the stream open."""
    system.lichess.hold_after(_sent(system) + _FLOWING)


def _sent(system: System) -> int:
    """Count as the hold does: what is fetched by its id names no player."""
    return sum(request.games_sent for request in system.lichess.requests)


def let_all_go(system: System) -> None:
    """Let Lichess send all that it has."""
    system.lichess.hold_after(None)
