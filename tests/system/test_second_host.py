"""Does a second host help with the analysis, over a link that is all it can reach, and that may break?"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.analyses import PLAYER, invented_game
from tests.e2e.fixtures import fresh_folder, system_on_fresh_state
from tests.e2e.harness import ROLES, Player, System
from tests.e2e.histories import Game
from tests.system import programs
from tests.system.two_hosts import LINK_USER, MAIN, Cable, Link, two_hosts

NODES = 3_000
LEASE_OF_HELPER = (
    "SELECT count(*) FROM game_analyses WHERE state = 'running' AND starts_with(worker, 'helper:')"
)
OPEN = "SELECT count(*) FROM game_analyses WHERE state IN ('pending', 'running')"
DONE = "SELECT count(*) FROM game_analyses WHERE state = 'done'"
FEW = 10
"""Games: more follow when fewer are left, while a test wants both hosts at work."""
MAIN_WORKER = "analysis-consumer"
WORKER = Path(sys.executable).parent / "scoresheet-worker"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="networks of our own need root and iproute2"
)


@dataclass
class Hosts:
    """A main host with everything, and a second one that only analyses."""

    system: System
    link: Link
    cable: Cable
    helper_log: Path

    def analysed(self, log: Path) -> int:
        """Count the games that the worker with this log has analysed."""
        events = []
        for line in log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                events.append(json.loads(line).get("event"))
        return events.count("game_analysed")

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; a failure shows what both hosts and the link say."""
        try:
            self.system.wait_until(condition, what)
        except AssertionError as error:
            logs = [f"{log.name}: {log.read_text(errors='replace')[-3_000:]}" for log in self.logs]
            raise AssertionError("\n".join([str(error), *logs])) from None

    @property
    def logs(self) -> list[Path]:
        """What the second host and the link say."""
        return [path for path in (self.helper_log, self.link.log) if path.exists()]

    @property
    def by_helper(self) -> int:
        """Games that the second host has analysed."""
        return self.analysed(self.helper_log)

    @property
    def by_main(self) -> int:
        """Games that the main host has analysed."""
        return self.analysed(self.system.stack.log_path(MAIN_WORKER))


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with ExitStack() as stack:
        sshd = programs.sshd()  # fetched here: the networks that follow have no way out
        folder = stack.enter_context(fresh_folder())
        cable = stack.enter_context(two_hosts())
        # The API's socket: what listens at an address of the main host alone, the second one cannot reach.
        sockets = folder / "api"
        sockets.mkdir()
        sockets.chmod(0o777)
        with MAIN.entered():
            settings = {
                "SCORESHEET_API_SOCKET": str(sockets / "api.sock"),
                "SCORESHEET_NODES": str(NODES),
                # What the second host holds when the cable is cut comes back when its lease has run out.
                "SCORESHEET_ANALYSIS_LEASE_SECONDS": "4",
            }
            system = stack.enter_context(system_on_fresh_state(roles=ROLES, settings=settings))
            link = Link(folder, sshd, system.services.state.user)
            link.prepare()
            stack.enter_context(link.server(system.services.redis_socket, sockets / "api.sock"))
            yield Hosts(system, link, cable, folder / "helper.log")


def test_two_hosts_share_the_work_and_a_link_that_breaks_costs_time_alone(hosts: Hosts) -> None:
    system, cable, link = hosts.system, hosts.cable, hosts.link
    games: list[Game] = []

    def play(count: int) -> None:
        new = [invented_game(f"shared{n:02}", 40, at=n) for n in range(len(games), len(games) + count)]
        games.extend(new)
        system.show(new)
        system.track(Player(PLAYER, games))
        system.sync(Player(PLAYER, games))

    def wait_analysed() -> None:
        hosts.wait_until(
            lambda: system.value(DONE) == len(games) and system.value(OPEN) == 0, f"{len(games)} analysed"
        )

    def wait_at_work(condition: Callable[[], object], what: str) -> None:
        def at_work() -> object:
            if len(games) - system.value(DONE) < FEW:
                play(FEW)
            return condition()

        hosts.wait_until(at_work, what)

    def cut_amid_a_game() -> None:
        while True:
            wait_at_work(lambda: system.value(LEASE_OF_HELPER), "the second host holds a game")
            cable.cut()
            if system.value(LEASE_OF_HELPER):  # nothing gets through that could end it
                return
            cable.mend()

    with (
        cable.recorded(),
        link.client(),
        link.worker([WORKER, MAIN_WORKER], system.pipeline.environment, hosts.helper_log),
    ):
        system.stack.stop(MAIN_WORKER)
        play(6)
        wait_analysed()
        # A worker writes that it has analysed a game once the API has it.
        hosts.wait_until(lambda: hosts.by_helper == 6, "the second host worked alone")

        system.stack.start([MAIN_WORKER])
        # More than the engine that it tries at first: else the second host may be done before.
        hosts.wait_until(lambda: len(system.children(MAIN_WORKER)) > 1, "the main host has its processes")
        wait_at_work(lambda: hosts.by_main and hosts.by_helper > 6, "both hosts analyse")
        cut_amid_a_game()
        wait_analysed()
        hosts.wait_until(lambda: "not responding" in link.log.read_text(), "the second host misses the link")

        system.stack.stop(MAIN_WORKER)
        before = hosts.by_helper
        cable.mend()
        play(6)
        wait_analysed()
        hosts.wait_until(lambda: hosts.by_helper >= before + 6, "the second host is back")

    system.wait_whole(Player(PLAYER, games))
    assert system.rows("SELECT state, count(*) FROM game_analyses GROUP BY state") == [("done", len(games))]
    results = system.rows("SELECT count(*) FROM plugin_results WHERE result IS NOT NULL GROUP BY plugin")
    assert set(results) == {(len(games),)}

    # What passed was SSH's, and nobody else could read it.
    passed = bytes(cable.passed)
    assert b"SSH-2.0-OpenSSH" in passed
    token = (system.services.state.app / "worker-token").read_bytes().strip()
    readable = [text for text in (token, b"analyze_game", b"Authorization", b"shared") if text in passed]
    assert readable == []


def test_nothing_but_ssh_listens_for_the_second_host(hosts: Hosts) -> None:
    api_port = hosts.system.pipeline.api_url.rpartition(":")[2]
    lichess_port = hosts.system.lichess.url.rpartition(":")[2]
    for port in (api_port, lichess_port, "5432", "6379", "6432", "8000"):
        assert _connects(hosts, port) == "refused", port
    assert _connects(hosts, "22") == "open"


def _connects(hosts: Hosts, port: str) -> str:
    script = (
        "import socket, sys\n"
        "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10).close()\n"
        "except ConnectionRefusedError: print('refused')\n"
        "else: print('open')"
    )
    return hosts.link.try_out([sys.executable, "-c", script, MAIN.address, port]).stdout.strip()


def test_a_key_that_the_main_host_does_not_know_is_refused(hosts: Hosts) -> None:
    refused = hosts.link.try_out(hosts.link.unit_command(key="strange-key"))
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_a_main_host_with_another_key_is_not_trusted(hosts: Hosts) -> None:
    known = hosts.link.folder / "link-known-hosts"
    right = known.read_text()
    known.write_text(f"{MAIN.address} {(hosts.link.folder / 'strange-key.pub').read_text()}")
    try:
        refused = hosts.link.try_out(hosts.link.unit_command())
    finally:
        known.write_text(right)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        (["echo", "ran"], ""),
        (["-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:9999:127.0.0.1:22"], "forwarding failed"),
        (
            ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "{folder}/back.sock:{folder}/x"],
            "forwarding failed",
        ),
    ],
    ids=["command", "port back", "socket back"],
)
def test_the_link_runs_no_command_and_opens_no_way_back(hosts: Hosts, wish: list[str], answer: str) -> None:
    command = hosts.link.unit_command()
    options = [part for part in command[: command.index("-L")] if part not in {"-N", "-T"}]
    filled = [part.format(folder=hosts.link.folder) for part in wish]
    target = [f"{LINK_USER}@{MAIN.address}"]
    ssh_options, words = (filled, []) if filled[0].startswith("-") else ([], filled)
    done = hosts.link.try_out([*options, *ssh_options, *target, *words])
    assert done.returncode != 0
    assert "ran" not in done.stdout
    assert answer in done.stderr
