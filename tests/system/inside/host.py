"""How does a check look at this machine, and act on it?"""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

ROLES: Final = ("api", "beat", "producer", "consumer", "analysis-producer", "analysis-consumer")
UNITS: Final = tuple(f"scoresheet-{role}.service" for role in ROLES)
SECOND_WORKER: Final = "scoresheet-analysis-consumer@2.service"
ANALYSIS_SLICE: Final = "scoresheet-analysis.slice"

LIMIT_SECONDS: Final = 900.0
"""What anything may take on a machine that is a program of a host with other work. What passes does not
wait that long, nor what can't come true any more."""
_HOPE_SECONDS: Final = 10.0
"""How often a wait asks whether it may still come true, which may take longer than to see whether it has."""
_POLL_SECONDS: Final = 1.0
_POLL_UNITS_SECONDS: Final = 4.0
"""To start a program takes time of the one processor, which those that are waited for need."""


class CheckFailedError(Exception):
    """Something is not as it must be; the message is one line."""


def expect(condition: object, reason: str) -> None:
    """Fail the check with the reason unless the condition holds."""
    if not condition:
        raise CheckFailedError(reason)


def given_up() -> str:
    """Say which of our roles systemd does not start again: without them nothing comes true."""
    # While it is about to start one again it says "failed-before-auto-restart" here.
    ended = [
        short(unit)
        for unit, of in show((*UNITS, SECOND_WORKER), "SubState").items()
        if of["SubState"] == "failed"
    ]
    return f"{', '.join(ended)} failed for good" if ended else ""


def wait_until(
    condition: Callable[[], T],
    what: str,
    *,
    hopeless: Callable[[], str] = given_up,
    limit_seconds: float = LIMIT_SECONDS,
    poll_seconds: float = _POLL_SECONDS,
) -> T:
    """Return the condition's first true value; fail with what was waited for.

    `hopeless` says why it can't come true any more, if that is so: then the wait fails at once, else after
    the limit.
    """
    began = asked = time.monotonic()
    while not (value := condition()):
        if time.monotonic() > asked + _HOPE_SECONDS:
            # It may have come true just before that was seen.
            if (reason := hopeless()) and not (value := condition()):
                raise CheckFailedError(f"{what}: in vain, for {reason}")
            if value:
                break
            asked = time.monotonic()
        expect(time.monotonic() < began + limit_seconds, f"{what}: in vain for {limit_seconds:.0f} s")
        time.sleep(poll_seconds)
    return value


def run(*command: str, check: bool = True) -> str:
    """Run a command to its end and return what it printed; fails with its last line if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS, check=False
    )
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise CheckFailedError(f"{' '.join(command[:4])} … ended with {done.returncode}: {said}")
    return done.stdout


def show(units: Iterable[str], *properties: str) -> dict[str, dict[str, str]]:
    """Return properties of units, as `systemctl show` has them."""
    wanted = ",".join(["Id", *properties])
    blocks = run("systemctl", "show", f"--property={wanted}", *units).strip().split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
    return {properties_["Id"]: properties_ for properties_ in found}


def main_pids(units: Iterable[str] = UNITS) -> dict[str, int]:
    """Return the main process of each unit that is ready, 0 of one that is not."""
    shown = show(units, "MainPID", "ActiveState")
    return {unit: int(of["MainPID"]) if of["ActiveState"] == "active" else 0 for unit, of in shown.items()}


def wait_ready(units: Iterable[str] = UNITS, *, instead_of: dict[str, int] | None = None) -> dict[str, float]:
    """Wait until each unit is ready, with another main process than it had; return how long each took."""
    waiting, before = set(units), instead_of or {}
    began, took = time.monotonic(), {}

    def all_ready() -> bool:
        for unit, pid in main_pids(sorted(waiting)).items():
            if pid and pid != before.get(unit):
                took[unit] = time.monotonic() - began
                waiting.discard(unit)
        return not waiting

    try:
        wait_until(all_ready, "units are ready", poll_seconds=_POLL_UNITS_SECONDS)
    except CheckFailedError as error:
        states = show(sorted(waiting), "ActiveState", "SubState", "StatusText", "Result")
        told = "; ".join(" ".join(of.values()) for of in states.values())
        raise CheckFailedError(f"{error}; {told}") from None
    return took


def short(unit: str) -> str:
    """Return a unit's name without what all of ours share."""
    return unit.removeprefix("scoresheet-").removesuffix(".service")


def slowest(took: dict[str, float]) -> str:
    """Tell the longest of some times, and whose it is."""
    unit = max(took, key=lambda name: took[name])
    return f"{took[unit]:.0f} s ({short(unit)})"


def processes_of(unit: str) -> set[int]:
    """Return all processes of a unit."""
    group = show([unit], "ControlGroup")[unit]["ControlGroup"]
    return {int(pid) for pid in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()}


def journal(*selection: str) -> list[dict[str, Any]]:
    """Return entries of the journal since boot, oldest first; `selection` as journalctl takes it."""
    printed = run("journalctl", "--boot", "--output=json", "--all", "--quiet", "--no-pager", *selection)
    return [json.loads(line) for line in printed.splitlines()]


def written_by(unit: str, *, but_pid: int = 0) -> list[str]:
    """Return the lines that the processes of a unit wrote, all but one, without systemd's about them."""
    entries = journal(f"_SYSTEMD_UNIT={unit}", "_TRANSPORT=stdout")
    return [str(entry["MESSAGE"]) for entry in entries if int(entry["_PID"]) != but_pid]


def sql(query: str, role: str = "postgres") -> list[str]:
    """Return the rows of a query, past the API; columns are separated by `|`.

    The role's name is its user's on this machine.
    """
    psql = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname=scoresheet")
    return run("runuser", "-u", role, "--", *psql, f"--command={query}").splitlines()


@dataclass
class Http:
    """A server of this machine."""

    port: int
    token: str = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 120.0
    ) -> tuple[int, bytes]:
        """Send a request on a connection of its own; return status and body. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        """Return the JSON that a request is answered with; fails for any status but 2xx."""
        status, answer = self.send(method, path, body)
        expect(200 <= status < 300, f"{method} {path} was answered {status}: {answer[:200]!r}")
        return json.loads(answer) if answer else None

    def json_or_none(self, path: str) -> Any:
        """Return the JSON of a GET; None while the server can't give it."""
        try:
            status, answer = self.send("GET", path)
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(answer) if status == http.client.OK else None
