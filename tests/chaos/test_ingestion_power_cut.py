"""Is every game stored, once, when every process dies in one moment and the machine starts again?"""

import json
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

from dev.leftovers import SessionRecord
from tests.chaos.streams import GAMES, GAMES_A_SECOND, ONE_SLICE, reach_line
from tests.e2e.fixtures import assert_nothing_left, fresh_folder
from tests.e2e.harness import Player, System, running_system
from tests.e2e.histories import history
from tests.e2e.waiting import wait_until


def test_a_power_cut_that_tears_redis_file_costs_no_game(seed: int) -> None:
    rng = random.Random(seed)
    with fresh_folder() as folder:
        player = Player("powercut", history("powercut", GAMES, seed=seed))
        games = folder / "games.ndjson"
        games.write_text("".join(json.dumps(game) + "\n" for game in player.games))
        games.chmod(0o644)
        one_slice = {"SCORESHEET_SLICE_GAMES": str(ONE_SLICE)}
        with running_system(folder, games=[games], settings=one_slice) as system:
            system.lichess.set_speed_limit(GAMES_A_SECOND)
            system.lichess.hold_after(0)
            system.track(player)
            reach_line(system, player, rng.randrange(10, 100), stored_beyond=0)
            _cut_power(system)
        _tear(next(folder.glob("redis/**/*.incr.aof")), rng)
        with running_system(folder, games=[games]) as system:
            system.wait_whole(player)
            system.check_requests()
        assert_nothing_left(folder, system)


def _cut_power(system: System) -> None:
    record = SessionRecord.read(system.services.state.session)
    assert record is not None
    # All are stopped first, so that none lives to see another die.
    members = record.members()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    # A machine starts without the processes of before, not even dead ones that nobody has asked after.
    others = [Path(f"/proc/{pid}") for pid in members if pid != record.pid]
    wait_until(lambda: not any(entry.exists() for entry in others), "the dead are buried")


def _tear(file: Path, rng: random.Random) -> None:
    with file.open("r+b") as tail:
        tail.truncate(max(0, file.stat().st_size - rng.randrange(1, 500)))
