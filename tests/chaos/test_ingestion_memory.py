"""Does a long history leave the producer as small as it was?"""

from pathlib import Path
from typing import Final

from tests.chaos.messages import send
from tests.e2e.harness import System
from tests.fakes.lichess import Endpoint

_GAMES: Final = 20_000
_WARM_AFTER_GAMES: Final = 2_000
_GROWTH_MAX_KIB: Final = 1_536
_STREAMS_BELOW: Final = 10
"""One is enough; a busy machine may break it off. In slices of the usual size there would be 200."""
_SEEN: Final = "SELECT count(*) FROM seen_games JOIN players ON player_id = players.id WHERE user_id = %s"


def test_a_history_of_20000_games_streams_through_in_constant_memory(system: System) -> None:
    player = system.new_player(history_of=_GAMES)
    system.stack.stop("consumer")  # it could not keep up; the messages are taken away instead
    system.stack.stop("beat")
    # It would be sent on its way by track(), and set the size of the next slice itself.
    system.stack.stop("producer")
    system.track(player)
    system.execute("UPDATE players SET slice_games = %s WHERE username = %s", 2 * _GAMES, player.name)
    system.stack.start(["producer"])
    system.wait_until(lambda: system.children("producer"), "the producer has its child")
    send(system, "fetch_player_games", "api_queue", [[player.name]])
    sizes_kib: list[tuple[int, int]] = []
    with system.redis() as client:

        def streamed() -> bool:
            client.delete("db_queue")
            (child,) = system.children("producer")
            seen = system.value(_SEEN, player.name)
            sizes_kib.append((seen, _resident_kib(child)))
            return bool(seen == _GAMES)

        system.wait_until(streamed, "the whole history was seen", timeout_seconds=600)
        client.delete("db_queue")
    streams = [r for r in system.lichess.requests if r.endpoint is Endpoint.GAMES_OF_USER]
    assert len(streams) < _STREAMS_BELOW
    warm_kib = next(size for seen, size in sizes_kib if seen >= _WARM_AFTER_GAMES)
    assert max(size for _, size in sizes_kib) - warm_kib < _GROWTH_MAX_KIB


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory")
