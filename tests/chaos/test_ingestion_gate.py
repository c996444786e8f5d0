"""Is there ever more than one request to Lichess at a time, whoever asks, stops or forgets?

Proven by the intervals that the fake Lichess records, and by a mutation: with the kernel lock taken out, the
same scenario must show two requests at once.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from app.contract.names import QueueName
from tests.chaos.messages import drain_games, send
from tests.chaos.streams import drawn_lines, let_all_go, reach_line, streaming_player
from tests.e2e.harness import LOCK_TTL_SECONDS, System

_WORKER: Final = Path(sys.executable).parent / "scoresheet-worker"
_PRODUCER: Final = (_WORKER, "producer")
_UNLOCKED_PRODUCER: Final = (sys.executable, "-m", "tests.chaos.unlocked_producer")
_SHOWN_BY: Final = "SELECT count(*) FROM games WHERE run_id = %s"


def test_two_producers_two_beats_and_repeated_tasks_ask_one_at_a_time(system: System) -> None:
    players = [system.new_player(history_of=250) for _ in range(3)]
    system.lichess.set_speed_limit(400)
    other_schedule = system.services.state.app / "second-beat"
    system.services.state.make(other_schedule)
    with ExitStack() as rivals:
        rivals.enter_context(_ready_rival(system, "rival-producer", *_PRODUCER))
        rivals.enter_context(
            system.rival("rival-beat", _WORKER, "beat", SCORESHEET_STATE_DIR=str(other_schedule))
        )
        for player in players:
            system.track(player)
        for _ in range(10):
            send(system, "fetch_player_games", "api_queue", [[player.name] for player in players])
        for player in players:
            system.wait_whole(player)
    assert len(system.lichess.requests) >= 3 * len(players)
    system.check_requests()


@pytest.mark.parametrize(
    ("producer", "excludes"),
    [
        pytest.param(_PRODUCER, True, id="with the kernel lock"),
        pytest.param(
            _UNLOCKED_PRODUCER,
            False,
            id="without the kernel lock",
            marks=pytest.mark.mutation("kernel lock of the gate"),
        ),
    ],
)
def test_a_producer_frozen_beyond_its_lease_keeps_its_rival_out(
    system: System, producer: Sequence[str | Path], excludes: bool
) -> None:
    system.stack.stop("producer")
    player = streaming_player(system)
    with ExitStack() as rivals:
        pids = [rivals.enter_context(_ready_rival(system, f"rival-{number}", *producer)) for number in (1, 2)]
        # Held there, the connection outlives the lease by as much as the rival needs.
        reach_line(system, player, 20)
        frozen = _freeze_the_asking(system, pids)
        asked = len(system.lichess.requests)

        def is_free() -> bool:
            # A rival that gets in takes the lock at once.
            return not client.exists("scoresheet:lichess:lock") or len(system.lichess.requests) > asked

        with system.redis() as client:
            system.wait_until(is_free, "the lease ran out")
            # Now the rival finds nothing in Redis that would hold it back: give it time to try.
            tries = _rounds(system)
            system.wait_until(lambda: _rounds(system) >= tries + LOCK_TTL_SECONDS, "more rounds")
        if excludes:
            assert len(system.lichess.requests) == asked
        else:
            system.wait_until(lambda: len(system.lichess.requests) > asked, "the rival asks")
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        let_all_go(system)
        system.wait_whole(player)
    assert (system.lichess.overlaps() == []) is excludes
    if excludes:
        system.check_requests()


def test_redis_that_forgets_the_lock_lets_no_rival_in(system: System, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    with _ready_rival(system, "rival-producer", *_PRODUCER), system.redis() as client:
        for line in drawn_lines(rng, 3):
            reach_line(system, player, line)
            client.flushall()
        let_all_go(system)
        system.wait_whole(player)
    system.check_requests()


def test_a_message_delivered_three_times_in_any_order_gives_the_same_rows(system: System, seed: int) -> None:
    rng = random.Random(seed)
    player = system.new_player(history_of=60)
    system.stack.stop("consumer")
    system.track(player)
    # Nobody takes the schedule's messages either: the first fetch is sent by hand.
    send(system, "fetch_player_games", "api_queue", [[player.name]])
    sent = drain_games(system, 60)
    # What an earlier request would have shown: the game still under way. It may arrive last.
    earlier = [[name, run_id, line, _unfinished(payload)] for name, run_id, line, payload in sent[::3]]
    later_run = max(run_id for _, run_id, _, _ in sent) + 1_000_000
    newest = [[name, later_run, line, payload] for name, _, line, payload in sent]
    deliveries = [*newest * 3, *earlier * 3]
    rng.shuffle(deliveries)
    before = system.under_way()
    send(system, "process_game_data", "db_queue", deliveries)
    system.stack.start(["consumer"])
    # Taken is not stored: a game may still be shown as it was when it was under way.
    system.wait_until(
        lambda: system.value(_SHOWN_BY, later_run) == len(player.games), "the newest lines are stored"
    )
    # Then no message of an earlier sight may change them.
    system.wait_until(lambda: system.delivered(QueueName.DB, but=before), "every message is done with")
    system.wait_whole(player)


def _unfinished(payload: str) -> str:
    game = json.loads(payload)
    game.update(status="started", moves="e4 e5", lastMoveAt=game["createdAt"] + 1)
    for key in ("winner", "clocks", "initialFen", "analysis", "opening", "division"):
        game.pop(key, None)
    return json.dumps({**game, "variant": "standard"})


@contextmanager
def _ready_rival(system: System, name: str, *command: str | Path) -> Iterator[int]:
    """Run a rival producer; inside, it takes tasks."""
    with system.rival(name, *command) as pid:
        system.wait_until(lambda: system.children(pid), f"{name} has its child")
        yield pid


def _freeze_the_asking(system: System, pids: Sequence[int]) -> list[int]:
    """Stop the worker that holds the connection to Lichess, main process and children; return their pids."""
    port = system.lichess.url.rpartition(":")[2]
    for pid in pids:
        family = [pid, *system.children(pid)]
        if any(_is_connected(member, int(port)) for member in family):
            for member in family:
                os.kill(member, signal.SIGSTOP)
            return family
    raise AssertionError("nobody is asking Lichess")


def _is_connected(pid: int, port: int) -> bool:
    inodes = {
        line.split()[9]
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        if int(line.split()[2].rpartition(":")[2], 16) == port
    }
    links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return any(f"socket:[{inode}]" in links for inode in inodes)


def _rounds(system: System) -> int:
    """Count the rounds of the schedule so far."""
    return system.stack.log_path("consumer").read_text().count('"players_due"')
