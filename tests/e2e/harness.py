"""How does a test run the whole of Scoresheet against a fake Lichess, with quick settings?

    with running_system(folder) as system:        # ingestion; roles=ROLES for everything
        player = system.new_player(history_of=50)  # known to the fake Lichess, not yet tracked
        system.track(player)
        system.wait_whole(player)                  # I1, I2 and I4 of a player's record, see oracle.py

`system.stack` kills, stops and restarts programs by their names; `system.lichess` scripts faults and tells
what was asked; `system.rows(...)` looks into PostgreSQL past the API.
"""

import base64
import contextlib
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import psycopg
import redis

from app.contract.names import QueueName
from dev.demo import BUNDLED
from dev.paths import CHECKOUT
from dev.pipeline import Pipeline, declare_pipeline, free_port
from dev.program import Program
from dev.services import Services, data_services, open_state
from dev.stack import Stack
from tests.e2e import oracle
from tests.e2e.database import Database
from tests.e2e.histories import BUNDLED_PLAYER, FULL_ID_ENDING, Game, history
from tests.e2e.waiting import LIMIT_SECONDS, wait_until
from tests.fakes.lichess import Control
from tests.integration.template import place_data
from workers.broker import queue_length

__all__ = [
    "INGESTION",
    "LICHESS_TOKEN",
    "LOCK_TTL_SECONDS",
    "QUICK_SETTINGS",
    "RATE_LIMIT_SECONDS",
    "ROLES",
    "SLICE_GAMES",
    "Player",
    "System",
    "processes_of",
    "running_system",
]

T = TypeVar("T")

INGESTION: Final = ("consumer", "producer", "beat")
ROLES: Final = ("consumer", "producer", "analysis-producer", "analysis-consumer", "beat")

RATE_LIMIT_SECONDS: Final = 6
"""The silence after a 429, at the fake Lichess as in the settings: a minute, scaled."""
LOCK_TTL_SECONDS: Final = 3
SLICE_GAMES: Final = 100
CONTACT: Final = "https://example.org/scoresheet"
LICHESS_TOKEN: Final = "lip_" + secrets.token_hex(12)

QUICK_SETTINGS: Final[Mapping[str, str]] = {
    f"SCORESHEET_{name}": str(value)
    for name, value in {
        "ORCHESTRATOR_SECONDS": 2,
        "HOLE_AFTER_SECONDS": 3,
        "FAILURE_RETRY_SECONDS": 1,
        "LOCK_TTL_SECONDS": LOCK_TTL_SECONDS,
        "LOCK_HEARTBEAT_SECONDS": 1,
        "GATE_WAIT_SECONDS": 6,
        "RATE_LIMIT_SECONDS": RATE_LIMIT_SECONDS,
        "SLICE_GAMES": SLICE_GAMES,
        "LICHESS_TIMEOUT_SECONDS": 3,
        "LICHESS_DEADLINE_SECONDS": 240,
        "CONSUMER_CONCURRENCY": 4,
        "ANALYSIS_CONCURRENCY": 2,
        "ANALYSIS_SCHEDULE_SECONDS": 2,
        "ANALYSIS_RETRY_SECONDS": 0,
        "NODES": 200,
        "ENGINE_HASH_MB": 1,
    }.items()
}
_LAST_LINES: Final = 6
_SUPERVISORD: Final = "tests.e2e.forking_supervisor"
_PUT_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Player:
    """An account of the fake Lichess, and the games that it must end up with."""

    name: str
    games: list[Game] = field(repr=False)


@dataclass(frozen=True)
class System:
    """All programs of one running Scoresheet, and every way to look at them."""

    stack: Stack
    services: Services
    pipeline: Pipeline
    lichess: Control
    owner: httpx.Client
    """Of the API, with the scopes read and write."""
    worker: httpx.Client
    database: Database
    reports: list[str]
    """What the process runner told: crashes, and at the end what would not stop."""
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def new_player(self, history_of: int = 0, games: Sequence[Game] | None = None) -> Player:
        """Open an account at the fake Lichess, with invented games or these."""
        name = f"player{next(self._numbers)}-{secrets.token_hex(3)}"
        player = Player(name, list(games) if games is not None else history(name, history_of))
        self.show(player.games)
        # The owner of the token sees the secret of each of the account's own games.
        self.lichess.set_tokens({LICHESS_TOKEN: name})
        return player

    def show(self, games: Sequence[Game]) -> None:
        """Let Lichess have these games from now on."""
        for start in range(0, len(games), _PUT_AT_ONCE):
            self.lichess.put_games(games[start : start + _PUT_AT_ONCE])

    def track(self, player: Player) -> None:
        """Track an account; the schedule does the rest."""
        self.owner.put(f"/v1/players/{player.name}").raise_for_status()

    def sync(self, player: Player) -> None:
        """Ask for a sync now."""
        self.owner.post(f"/v1/players/{player.name}/sync").raise_for_status()

    def view(self, player: Player) -> dict[str, Any]:
        """Return the player as the API shows it."""
        view: dict[str, Any] = self.owner.get(f"/v1/players/{player.name}").raise_for_status().json()
        return view

    def runs(self, player: Player) -> list[dict[str, Any]]:
        """Return the player's requests to Lichess as the API shows them, the newest first."""
        runs: list[dict[str, Any]] = self.owner.get(f"/v1/players/{player.name}/runs").json()["items"]
        return runs

    def wait_whole(
        self, player: Player, *, refused: Collection[str] = (), timeout_seconds: float = LIMIT_SECONDS
    ) -> None:
        """Wait until the player's record is complete, then hold it against the oracle.

        Meanwhile the cursor must never have passed a game that is neither stored nor refused. `refused` are
        the ids, as the manifest has them, of the lines that can't be stored.
        """
        record = oracle.Record(self.rows, player.name, player.games, refused)

        def settled() -> bool:
            try:
                view = self.view(player)
            except httpx.HTTPError:
                return False  # the API may be the part that is broken right now
            try:
                record.check_cursor(view["cursor"])
            except psycopg.OperationalError:
                return False
            return bool(view["completeness"]["complete"]) and view["completeness"]["seen"] >= len(
                player.games
            )

        self.wait_until(settled, f"{player.name}'s record of {len(player.games)} games", timeout_seconds)
        record.check()

    def wait_until(self, condition: Callable[[], T], what: str, timeout_seconds: float = LIMIT_SECONDS) -> T:
        """Return the condition's first true value; a failure shows the end of every log."""
        return wait_until(condition, what, timeout_seconds, self.explain)

    def explain(self) -> str:
        """Say how everything stands: states, crashes, players, last requests and log lines."""
        parts = [f"{name}: {self.stack.state(name)}\n{self.tail(name)}" for name in self.stack.names]
        parts.append("reports: " + "; ".join(self.reports[-10:]))
        try:
            parts += [f"player {row}" for row in self.rows(_PLAYERS)]
            parts += [f"run {row}" for row in self.rows(_RUNS)]
        except psycopg.Error as error:
            parts.append(f"no database: {error}")
        parts += [f"request {request}" for request in self.lichess.requests[-10:]]
        return "\n".join(parts)

    def tail(self, name: str) -> str:
        """Return the last lines of a program's log."""
        path = self.stack.log_path(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(f"    {line[:400]}" for line in lines[-_LAST_LINES:])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query that is made past the API, PgBouncer and the role's limits."""
        return self.database.run(query, *values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """Return the one value of a query."""
        ((value,),) = self.rows(query, *values)
        return value

    def execute(self, query: str, *values: object) -> int:
        """Run a statement and commit it; return how many rows it touched."""
        return self.database.run(query, *values).rowcount

    @contextmanager
    def redis(self) -> Iterator["redis.Redis"]:
        """Connect to Redis."""
        with redis.Redis(unix_socket_path=str(self.services.redis_socket), socket_timeout=10) as client:
            yield client

    def under_way(self) -> set[bytes]:
        """Return the tags of the messages that workers, alive or dead, have taken and not acknowledged."""
        with self.redis() as client:
            tags = client.hkeys("unacked")
        assert isinstance(tags, list)  # the stubs cover the asynchronous client too
        return set(tags)

    def delivered(self, queue: QueueName, *, but: AbstractSet[bytes] = frozenset()) -> bool:
        """Tell whether no message waits in a queue, and none is under way but those with these tags."""
        with self.redis() as client:
            return queue_length(client, queue) == 0 and self.under_way() <= but

    def stored(self, player: Player) -> int:
        """Count the player's games in the database."""
        return int(self.value(oracle.COUNT_STORED, player.name, player.name))

    def sent(self, player: Player) -> int:
        """Count the games that Lichess has sent for the player, repeats included."""
        return sum(r.games_sent for r in self.lichess.requests if r.username == player.name)

    def children(self, program: str | int) -> list[int]:
        """Return the child processes of a program, named or by its pid, the oldest first."""
        pid = self.stack.pid(program) if isinstance(program, str) else program
        if not pid:
            return []
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def wait_standstill(self, player: Player) -> None:
        """Wait until no game came in for a second: something is in the way."""
        last, since = -1, time.monotonic()

        def still() -> bool:
            nonlocal last, since
            now = self.stored(player)
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 1

        self.wait_until(still, "nothing comes in")

    def check_requests(self) -> None:
        """Fail if two requests to Lichess were under way at once, or one came in the silence after a 429."""
        assert self.lichess.overlaps() == []
        assert self.lichess.penalty_violations() == []

    @contextmanager
    def rival(self, name: str, *command: str | Path, **environment: str) -> Iterator[int]:
        """Run one more program with the settings of every role beside the stack; yield its pid.

        It is killed at the end, with its children.
        """
        log = self.stack.log_path(name)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self.services.state.user.prefix, *command],
                cwd=CHECKOUT,
                env={**self.pipeline.environment, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process.pid
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def begin(self) -> None:
        """Begin a test: every program runs, Lichess is as at the start, nobody is tracked."""
        for name in self.stack.names:
            if not self.stack.pid(name):
                self.stack.start([name])
        for name in ("postgres", "fake-lichess"):  # a failed test may have left them on their way up
            self.stack.wait_ready(name)
        self.execute("UPDATE players SET tracked = false")
        self.lichess.hold_after(None)
        self.wait_until(
            lambda: (
                self.value("SELECT count(*) FROM ingestion_runs WHERE state = 'running'") == 0
                or not any(request.ended_s is None for request in self.lichess.requests)
            ),
            "no request is under way",
        )
        self.execute("UPDATE source_gates SET not_before = NULL, rate_limits = 0")
        for name in ("lichess.silence", "lichess.request"):
            Path(self.pipeline.environment["SCORESHEET_STATE_DIR"], name).unlink(missing_ok=True)
        self.lichess.reset()
        self.lichess.set_speed_limit(0)
        self.lichess.set_penalty_seconds(RATE_LIMIT_SECONDS)
        self.lichess.set_tokens({LICHESS_TOKEN: BUNDLED_PLAYER})

    def secrets_written(self) -> list[str]:
        """Return where a secret was written, as `file: which`: to a log, or to what Redis keeps."""
        worker_token = self.services.state.app / "worker-token"
        wanted = {
            "worker token": [worker_token.read_bytes().strip()],
            "owner token": [self.pipeline.owner_token_file.read_bytes().strip()],
            "Lichess token": [LICHESS_TOKEN.encode()],
            "fullId": [FULL_ID_ENDING.encode(), *_in_base64(b"fullId")],
        }
        files = [*self.services.state.logs.iterdir(), *self.services.state.path.glob("redis/**/*.aof")]
        return [
            f"{file}: {name}"
            for file in files
            for name, needles in wanted.items()
            if any(needle in file.read_bytes() for needle in needles)
        ]

    def errors_without_cause(self) -> list[str]:
        """Return what one of our programs logged as an error without saying what caused it."""
        found = []
        for file in self.services.state.logs.iterdir():
            for line in file.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):  # other programs' lines are no JSON
                    entry = json.loads(line)
                    if _is_our_error(entry) and not any(entry.get(key) for key in _CAUSES):
                        found.append(f"{file.name}: {line[:300]}")
        return found


_CAUSES: Final = ("exception", "error", "reason", "detail", "code")
"""Where a log line of ours says what went wrong."""
_OURS: Final = ("app.", "workers.", "plugins.")
"""Loggers of ours; a library's line has its cause in its text."""
_IN_TEMPLATE: Final = ("migrate", "owner-token")
"""Programs whose work is done in the data that a system starts from."""
_PLAYERS: Final = """
    SELECT username, tracked, state, state_detail, failures, backfilling, seen_until, next_sync_at - now(),
           (SELECT jsonb_object_agg(state, n) FROM
             (SELECT state, count(*) n FROM seen_games WHERE player_id = p.id GROUP BY state) counts)
    FROM players p ORDER BY id DESC LIMIT 5
"""
_RUNS: Final = """
    SELECT id, player_id, kind, state, lines, new_games, detail, finished_at - started_at
    FROM ingestion_runs ORDER BY id DESC LIMIT 8
"""


def _is_our_error(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("level") in {"error", "critical"}
        and str(entry.get("logger")).startswith(_OURS)
    )


@contextmanager
def running_system(
    folder: Path,
    *,
    games: Sequence[Path] = (BUNDLED,),
    roles: Collection[str] = INGESTION,
    settings: Mapping[str, str] | None = None,
    extra: Callable[[Pipeline], tuple[Program, ...]] = lambda _: (),
) -> Iterator[System]:
    """Run the stack, the fake Lichess and the roles on a state folder; everything is ready inside.

    `settings` go before QUICK_SETTINGS; `extra` declares programs to start last (rivals). Enter it in the
    main thread. Leaving stops all programs; see `assert_nothing_left`.
    """
    reports: list[str] = []
    token_file = folder / "lichess-token"
    with open_state(folder, reports.append, games) as state:
        place_data(state)
        services = data_services(state)
        if not token_file.exists():
            token_file.touch(mode=0o600)
            token_file.write_text(LICHESS_TOKEN + "\n")
            state.user.give(token_file)
        port = free_port(None)
        pipeline = declare_pipeline(
            services,
            api_port=free_port(None),
            settings={
                "SCORESHEET_LICHESS_URL": f"http://127.0.0.1:{port}",
                "SCORESHEET_LICHESS_TOKEN_FILE": str(token_file),
                "SCORESHEET_CONTACT": CONTACT,
                **QUICK_SETTINGS,
                **(settings or {}),
            },
            first=(_fake_lichess(games, port),),
        )
        left_out = {*_IN_TEMPLATE, *ROLES} - set(roles)
        wanted = [program for program in pipeline.programs if program.name not in left_out]
        with (
            Stack(state, [*wanted, *extra(pipeline)], reports.append, supervisord=_SUPERVISORD) as stack,
            Control(f"http://127.0.0.1:{port}") as lichess,
            _client(pipeline, pipeline.owner_token_file) as owner,
            _client(pipeline, state.app / "worker-token") as worker,
            closing(Database(state.run)) as database,
        ):
            yield System(stack, services, pipeline, lichess, owner, worker, database, reports)


def _client(pipeline: Pipeline, token_file: Path) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    return httpx.Client(base_url=pipeline.api_url, headers=headers, timeout=30, trust_env=False)


def _fake_lichess(games: Sequence[Path], port: int) -> Program:
    command: list[str | Path] = [sys.executable, "-m", "tests.fakes.lichess", "--control"]
    for file in games:
        command += ["--games", file]
    command += ["--port", str(port), "--speed-limit", "0"]
    command += ["--token", f"{LICHESS_TOKEN}={BUNDLED_PLAYER}"]
    return Program(
        "fake-lichess",
        tuple(command),
        ready=lambda: _is_heard(port),  # at each start anew
        environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
    )


def _is_heard(port: int) -> bool:
    """Return True once connections are accepted; raises OSError before."""
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return True


def _in_base64(text: bytes) -> list[bytes]:
    """Return how the text looks inside a longer one in base64, for each of its three alignments."""
    # A letter holds 6 bits: those that share a letter with what stands before or behind are cut off.
    return [
        base64.b64encode(bytes(offset) + text)[(8 * offset + 5) // 6 : 8 * (offset + len(text)) // 6]
        for offset in range(3)
    ]


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of living processes whose command or environment names the folder."""
    found = []
    needle = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if needle in command or needle in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {os.fsdecode(command)!r}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
