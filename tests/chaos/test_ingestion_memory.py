"""Does a long history leave the producer as small as it was?"""

from pathlib import Path
from typing import Final

from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import Player, System
from tests.fakes.lichess import Endpoint

_GAMES: Final = 6_000
_GROWTH_MAX_BYTES_A_GAME: Final = 60
"""A list of all ids takes 70."""
_WARM_AFTER_GAMES: Final = 1_000
_STREAMS_BELOW: Final = 10
"""One is enough; a busy machine may break it off. In slices of the usual size there would be 60."""
_SETTINGS: Final = {
    # Nothing is stored here: what was seen before a break would be fetched again forever.
    "SCORESHEET_HOLE_AFTER_SECONDS": "3600",
    "SCORESHEET_LICHESS_TIMEOUT_SECONDS": "60",
    # All in one request, even if a break makes the next one start over.
    "SCORESHEET_SLICE_GAMES": "100000",
}
_SEEN: Final = "SELECT count(*) FROM seen_games JOIN players ON player_id = players.id WHERE user_id = %s"


def test_a_history_of_6000_games_streams_through_in_constant_memory() -> None:
    stream_through_in_constant_memory(_GAMES)


def stream_through_in_constant_memory(games: int) -> None:
    """Have a producer fetch a history of so many games in one request, and fail if it grows with them."""
    with system_on_fresh_state(roles=("producer",), settings=_SETTINGS) as system:
        player = system.new_player(history_of=games)
        system.wait_until(lambda: system.children("producer"), "the producer has its child")
        system.track(player)
        sizes_kib = _sizes_while_streaming(system, player)
        streams = [r for r in system.lichess.requests if r.endpoint is Endpoint.GAMES_OF_USER]
    assert len(streams) < _STREAMS_BELOW
    warm_games, warm_kib = next(sample for sample in sizes_kib if sample[0] >= _WARM_AFTER_GAMES)
    assert warm_games < games / 2, "too few samples to see it grow"
    growth_bytes = 1_024 * (max(size for _, size in sizes_kib) - warm_kib)
    assert growth_bytes < _GROWTH_MAX_BYTES_A_GAME * (games - warm_games)


def _sizes_while_streaming(system: System, player: Player) -> list[tuple[int, int]]:
    """Return how many games were seen and the KiB that the producer had to itself then, until all were seen.

    The messages are taken away, for no consumer could keep up.
    """
    sizes_kib: list[tuple[int, int]] = []
    with system.redis() as client:

        def streamed() -> bool:
            client.delete("db_queue")
            (child,) = system.children("producer")
            seen = system.value(_SEEN, player.name)
            sizes_kib.append((seen, _own_kib(child)))
            return bool(seen == len(player.games))

        system.wait_until(streamed, "the whole history was seen", timeout_seconds=600)
    return sizes_kib


def _own_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        # What libraries are mapped grows with what was used of them, which says nothing of games.
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory")
