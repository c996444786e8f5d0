"""How is analysis under way for as long as a check wants it, however fast the machine is?

The workers of this machine are started with a budget of nodes that no search comes to the end of: what one of
them holds it holds until it is stopped. Started anew without that budget, they analyse everything.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.system.inside.host import ANALYSIS_SLICE, SECOND_WORKER, run, sql, wait_until
from tests.system.inside.situation import Situation

WORKERS: Final = ("scoresheet-analysis-consumer.service", SECOND_WORKER)
BUDGET_FILE: Final = Path("/etc/scoresheet/endless")
"""What the workers read at their start, if it is there: it is when the machine boots."""
# With the longest times that a game may take and a broker's message may be out.
ENDLESS: Final = """\
SCORESHEET_NODES=1000000000
SCORESHEET_ANALYSIS_MODE=fixed
SCORESHEET_ANALYSIS_TIME_LIMIT_SECONDS=40000
SCORESHEET_VISIBILITY_TIMEOUT_SECONDS=86400
"""
WORKER_UNIT: Final = f"[Service]\nEnvironmentFile=-{BUDGET_FILE}\n"
_HELD: Final = "SELECT worker, game_id FROM game_analyses WHERE state = 'running' AND lease_until > now()"
_OPEN: Final = "SELECT count(*) FROM game_analyses WHERE state IN ('pending', 'running')"
TEST_PERCENT: Final = 60
"""Of the one processor, so that the quota is what analysis lacks."""
_MOST_PERCENT: Final = 100


class Hold(NamedTuple):
    """A lease."""

    pid: int
    """The child of a worker that got it."""
    game: str
    """The database's id."""


def under_way(situation: Situation) -> None:
    """See to it that each worker holds a game, and goes on with it for as long as it lives."""
    if not BUDGET_FILE.exists():
        BUDGET_FILE.write_text(ENDLESS)
        set_quota(TEST_PERCENT)
        run("systemctl", "restart", *WORKERS)
    if _open_games() < len(WORKERS):
        player = f"busy{len(situation.lichess.players)}"
        situation.lichess.add(player)
        situation.lichess.wait_whole(player)
    wait_until(lambda: set(holders()) == set(WORKERS), "each worker holds a game", hopeless=_too_few)


def let_end() -> None:
    """See to it that all games come to the end of their analysis."""
    if BUDGET_FILE.exists():
        stop_being_endless()
        run("systemctl", "restart", *WORKERS)


def stop_being_endless() -> None:
    """Have the next start of each worker be one that comes to an end."""
    BUDGET_FILE.unlink(missing_ok=True)
    set_quota(_MOST_PERCENT)


@contextmanager
def quota(percent: int) -> Iterator[None]:
    """Give all analysis workers this much of the processor for a while."""
    set_quota(percent)
    try:
        yield
    finally:
        set_quota(TEST_PERCENT)


def set_quota(percent: int) -> None:
    """Change the quota of all analysis workers, until the next boot."""
    run("systemctl", "set-property", "--runtime", ANALYSIS_SLICE, f"CPUQuota={percent}%")


def holders() -> dict[str, Hold]:
    """Return what each unit's living process holds.

    A process that was killed holds its game until the lease ends.
    """
    return {unit: hold for hold in held() for unit in _unit_of(hold.pid)}


def held() -> set[Hold]:
    """Return all leases that have not run out, of processes living or not."""
    rows = (row.split("|") for row in sql(_HELD))
    return {Hold(int(worker.rpartition(":")[2]), game) for worker, game in rows}


def _unit_of(pid: int) -> Iterable[str]:
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text()
    except FileNotFoundError:
        return ()
    return (unit for unit in WORKERS if group.strip().endswith(f"/{unit}"))


def _open_games() -> int:
    return int(sql(_OPEN)[0])


def _too_few() -> str:
    games = _open_games()
    return f"only {games} games are to be analysed" if games < len(WORKERS) else ""
