"""Is every game stored, once, when the workers or the API are killed or stopped at any moment?"""

import os
import random
import signal

import pytest

from tests.chaos.streams import drawn_lines, let_all_go, reach_line, streaming_player
from tests.e2e.harness import System


@pytest.mark.parametrize("victim", ["main", "child", "every child"])
def test_killed_consumers_cost_no_game(system: System, victim: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    killed = stored = 0
    for line in drawn_lines(rng, 3):
        _wait_back(system, "consumer", killed)
        reach_line(system, player, line, stored_beyond=stored)
        if victim == "main":
            killed = system.stack.kill("consumer")
        else:
            children = system.wait_until(lambda: system.children("consumer"), "the consumer has children")
            for child in [rng.choice(children)] if victim == "child" else children:
                _kill(child)
        stored = system.stored(player)
    let_all_go(system)
    system.wait_whole(player)
    system.check_requests()


@pytest.mark.parametrize("victim", ["main", "child"])
def test_a_killed_producer_is_followed_by_one_that_goes_on(system: System, victim: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    killed = 0
    for line in drawn_lines(rng, 2):
        _wait_back(system, "producer", killed)
        reach_line(system, player, line)
        if victim == "main":
            killed = system.stack.kill("producer")
        else:
            for child in system.wait_until(lambda: system.children("producer"), "the producer has a child"):
                _kill(child)
    let_all_go(system)
    system.wait_whole(player)
    system.check_requests()


@pytest.mark.parametrize("name", ["beat", "api"])
def test_a_killed_part_comes_back_and_nothing_is_missing(system: System, name: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    killed = 0
    for line in drawn_lines(rng, 2):
        _wait_back(system, name, killed)
        reach_line(system, player, line)
        killed = system.stack.kill(name)
    let_all_go(system)
    _wait_back(system, name, killed)
    system.wait_whole(player)
    # The schedule goes on, too.
    newcomer = system.new_player(history_of=5)
    system.track(newcomer)
    system.wait_whole(newcomer)
    system.check_requests()


@pytest.mark.parametrize("name", ["consumer", "producer", "beat", "api"])
def test_a_stop_under_load_ends_in_time_and_loses_nothing(system: System, name: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    reach_line(system, player, rng.randrange(10, 150), stored_beyond=0)
    children = system.children(name)
    system.stack.stop(name)  # with SIGTERM; with SIGKILL after its limit, which its log tells
    assert f"killing '{name}'" not in system.stack.log_path("supervisord").read_text()
    assert [child for child in children if _lives(child)] == []
    system.stack.start([name])
    let_all_go(system)
    system.wait_whole(player)
    system.check_requests()


@pytest.mark.parametrize("name", ["consumer", "producer", "api"])
def test_a_frozen_part_delays_and_no_more(system: System, name: str, seed: int) -> None:
    rng = random.Random(seed)
    player = streaming_player(system)
    reach_line(system, player, rng.randrange(10, 100), stored_beyond=0)
    frozen = [system.stack.pid(name), *system.children(name)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    let_all_go(system)
    # It stays so until the rest of the pipeline has come as far as it can without it.
    system.wait_standstill(player)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    system.wait_whole(player)
    system.check_requests()


def _wait_back(system: System, name: str, killed: int) -> None:
    """Wait until a program is ready under another pid: the runner may not know yet that it was killed."""
    system.wait_until(lambda: system.stack.pid(name) not in {0, killed}, f"{name} is back")
    system.stack.wait_ready(name)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was replaced meanwhile, as children are


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
