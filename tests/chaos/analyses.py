"""How does a test analyse games with workers that it configures, breaks and watches as it likes?

    with analysis_system(ANALYSIS_ATTEMPTS=3) as bench:   # the API's policy; no analysis runs yet
        bench.put([invented_game("healthy0"), ...])
        bench.on(CONSUMER, NODES=200)                      # settings of this worker, for this time
        bench.on(PRODUCER), bench.on(BEAT)
        bench.wait_settled()

The worker programs are the stack's own. Each is declared behind a shell that reads its settings from a file,
and sleeps where there is none: so a test chooses what runs, and supervisor keeps it running.
"""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import chess
import httpx
import psycopg
from celery import Celery

from app.contract.games import GameRecord
from app.contract.ingestion import Observation, Observations
from app.contract.names import QueueName, TaskName
from dev.pipeline import Pipeline
from dev.program import Program
from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import System
from tests.e2e.histories import Game
from workers.analysis.plugin_registry import load_plugins
from workers.api_client import ApiClient
from workers.broker import queue_length
from workers.ingestion.parsing import parse

__all__ = [
    "BEAT",
    "BUILT_IN",
    "CONSUMER",
    "PLAYER",
    "PRODUCER",
    "RIVALS",
    "Bench",
    "analysis_system",
    "invented_game",
    "is_alive",
]

T = TypeVar("T")

PLAYER: Final = "chaos-player"
PRODUCER: Final = "analysis-producer"
CONSUMER: Final = "analysis-consumer"
BEAT: Final = "beat"
RIVALS: Final = {name: f"{name}-2" for name in (PRODUCER, CONSUMER, BEAT)}
"""A second program of each role."""
BUILT_IN: Final = frozenset(plugin.name for plugin in load_plugins())

_FIRST_MS: Final = 1_700_000_000_000
_AN_HOUR_MS: Final = 3_600_000
_TABLES: Final = "games, evaluations, engines, players, seen_games"
# "$0" is the file of settings, "$@" the program.
_SWITCH: Final = 'set -a; [ -e "$0" ] || exec sleep 1000000; . "$0"; exec "$@"'
_ENGINE_COUNT_SECONDS: Final = 20
_HOLDERS: Final = "SELECT worker FROM game_analyses WHERE lease_until > now()"
_EXPIRE: Final = """
    UPDATE game_analyses SET lease_until = now() - interval '1 second'
    WHERE lease_until > now() AND worker = ANY(%s)
"""


def invented_game(
    game_id: str, plies: int = 8, *, seed: int | str | None = None, fen: str | None = None, at: int = 0
) -> Game:
    """Return a game of random legal moves as Lichess exports it, `at` hours after a fixed date.

    Each seed, by default the id, is another game.
    """
    rng = random.Random(game_id if seed is None else seed)
    board = chess.Board(fen or chess.STARTING_FEN)
    san: list[str] = []
    while len(san) < plies and (moves := list(board.legal_moves)):
        move = rng.choice(moves)
        san.append(board.san(move))
        board.push(move)
    created_ms = _FIRST_MS + at * _AN_HOUR_MS
    game: Game = {
        "id": game_id,
        "rated": False,
        "variant": "standard" if fen is None else "fromPosition",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": created_ms,
        "lastMoveAt": created_ms + 1_000 * plies,
        "status": "resign",
        "winner": "white",
        "players": {"white": {"user": {"id": PLAYER, "name": PLAYER}}, "black": {}},
        "moves": " ".join(san),
    }
    return game if fen is None else {**game, "initialFen": fen}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True)
class Bench:
    """A running system without ingestion, whose analysis a test switches on and off."""

    system: System
    api: ApiClient
    """A worker's client."""
    switched: tuple[str, ...]
    """The programs that a test switches on."""

    @property
    def folder(self) -> Path:
        """Where programs of the stack may write."""
        return self.system.services.state.app

    def reset(self) -> None:
        """Stop all analysis and forget all games and messages."""
        for name in self.switched:
            self.off(name)
        for name in ("postgres", "pgbouncer", "redis", "api"):
            self.system.stack.wait_ready(name)
        self.system.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY CASCADE")
        with self.system.redis() as client:
            client.flushall()
        self.system.owner.put(f"/v1/players/{PLAYER}").raise_for_status()

    def on(self, name: str, **settings: object) -> None:
        """Run a program with settings: SCORESHEET_ variables without their prefix, or PYTHONPATH."""
        lines = [f"{key}={shlex.quote(value)}" for key, value in _environment(settings).items()]
        file = _switch(self.folder, name)
        file.write_text("\n".join([*lines, ""]))
        file.chmod(0o644)
        self._start_anew(name)

    def analyse(self, **settings: object) -> None:
        """Run one worker of each role, the consumer with these settings."""
        self.on(CONSUMER, **settings)
        self.on(PRODUCER)
        self.on(BEAT)

    def off(self, name: str) -> None:
        """Stop a program, if it runs, and leave it stopped; what it was doing is cut off."""
        switch = _switch(self.folder, name)
        if switch.exists() or not self.system.stack.pid(name):
            switch.unlink(missing_ok=True)
            self._start_anew(name)

    def _start_anew(self, name: str) -> None:
        pid = self.system.stack.pid(name)
        if not pid:
            self.system.stack.start([name])
            return
        # By SIGKILL, not to wait for a warm stop; supervisor starts the shell, which looks for its file.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.system.wait_until(lambda: self._is_started_anew(name, pid), f"{name} starts anew")

    def _is_started_anew(self, name: str, old: int) -> bool:
        """Tell whether a new process runs the program: until it does, supervisor's child ignores SIGTERM."""
        pid = self.system.stack.pid(name)
        if pid in {0, old}:
            return False
        try:
            return not Path(f"/proc/{pid}/comm").read_text().startswith("python")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def new_folder(self, name: str) -> Path:
        """Make a folder that the programs of the stack may write to."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        self.system.services.state.user.give(folder)
        return folder

    def deliver(self, game: str, times: int = 1) -> None:
        """Send `analyze_game`."""
        broker = self.system.pipeline.environment["SCORESHEET_BROKER_URL"]
        with Celery(broker=broker, set_as_current=False) as celery:
            for _ in range(times):
                celery.send_task(
                    TaskName.ANALYZE_GAME.value,
                    args=(game,),
                    queue=QueueName.ANALYSIS.value,
                    ignore_result=True,
                )

    def waiting(self) -> int:
        """Return how many messages the analysis queue holds."""
        with self.system.redis() as client:
            return queue_length(client, QueueName.ANALYSIS)

    def wait_delivered(self) -> None:
        """Wait until no message waits in the analysis queue, and none is under way."""
        self.wait_until(lambda: self.system.delivered(QueueName.ANALYSIS), "every message is done with")

    def run_worker(self, role: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a worker apart from the stack until it ends by itself."""
        user = self.system.services.state.user
        return user.run(
            [Path(sys.executable).parent / "scoresheet-worker", role],
            environment={**self.system.pipeline.environment, **_environment(settings)},
            folder=Path("/"),
        )

    def put(self, games: Sequence[Game]) -> None:
        """Store games as the consumers do; each must be fit to be stored."""
        parsed = [(game, parse(game, json.dumps(game))) for game in games]
        self.put_records([record for _, record in parsed if isinstance(record, GameRecord)])
        assert [record for _, record in parsed if not isinstance(record, GameRecord)] == []

    def put_records(self, records: Sequence[GameRecord]) -> None:
        """Store games that are parsed already."""
        observations = [
            Observation(
                player=PLAYER,
                run_id=1,
                line=line,
                id=record.id,
                created_at_ms=int(record.created_at.timestamp() * 1_000),
                game=record,
            )
            for line, record in enumerate(records, start=1)
        ]
        self.api.store(Observations(observations=observations))

    def states(self) -> dict[str, str]:
        """Return the state of each game's analysis."""
        query = "SELECT source_id, a.state FROM game_analyses a JOIN games g ON g.id = a.game_id"
        return dict(self.system.rows(query))

    def settled(self) -> bool:
        """Tell whether no game waits or is under way."""
        try:
            return not {"pending", "running"} & set(self.states().values())
        except psycopg.OperationalError:
            return False  # the database may be the part that is broken right now

    def wait_settled(self) -> dict[str, str]:
        """Wait until no game waits or is under way; return the states."""
        self.wait_until(self.settled, "every analysis has come to its end")
        return self.states()

    def wait_until(self, condition: Callable[[], T], what: str) -> T:
        """Return the condition's first true value; a failure shows the analyses and the logs.

        Meanwhile the leases of the dead run out.
        """

        def met() -> T:
            self.expire_leases_of_the_dead()
            return condition()

        try:
            return self.system.wait_until(met, what)
        except AssertionError as error:
            rows = self.system.rows("SELECT * FROM game_analyses WHERE state <> 'done' LIMIT 20")
            raise AssertionError("\n".join([str(error), *map(str, rows)])) from None

    def expire_lease(self, game: str) -> None:
        """Move the end of the lease on a game into the past, whoever holds it."""
        self.system.execute(
            """UPDATE game_analyses a SET lease_until = now() - interval '1 second'
               FROM games g WHERE g.id = game_id AND source_id = %s AND lease_until IS NOT NULL""",
            game,
        )

    def expire_leases_of_the_dead(self) -> None:
        """Let the leases run out whose processes are gone: time is moved, so that leases can be long.

        A short lease would run out, on a busy machine, under workers that are alive and merely late.
        """
        with suppress(psycopg.OperationalError):  # the database may be the part that is broken right now
            holders = [worker for (worker,) in self.system.rows(_HOLDERS)]
            dead = [worker for worker in holders if not is_alive(int(worker.rpartition(":")[2]))]
            if dead:
                self.system.execute(_EXPIRE, dead)

    def analysis(self, game: str) -> dict[str, Any]:
        """Return where the analysis of a game stands, by the columns of its row."""
        query = (
            "SELECT to_jsonb(a) FROM game_analyses a JOIN games g ON g.id = a.game_id WHERE source_id = %s"
        )
        row: dict[str, Any] = self.system.value(query, game)
        return row

    def failures(self) -> dict[str, dict[str, Any]]:
        """Return what the API's list of failures shows, by game."""
        answer = self.system.owner.get("/v1/analyses", params={"state": "failed", "limit": 100})
        return {item["game"]: item for item in answer.raise_for_status().json()["items"]}

    def retry(self) -> int:
        """Retry all failures, as their owner does; return how many."""
        retried: int = (
            self.system.owner.post("/v1/analyses/retry", json={}).raise_for_status().json()["retried"]
        )
        return retried

    def plugins_with_result(self, game: str) -> set[str]:
        """Return the plugins that have a result for a game."""
        query = """SELECT plugin FROM plugin_results r JOIN games g ON g.id = r.game_id
                   WHERE source_id = %s AND result IS NOT NULL"""
        return {plugin for (plugin,) in self.system.rows(query, game)}

    def dump(self) -> tuple[list[str], list[str]]:
        """Return all evaluations and all plugin results as text, sorted, without what may differ by run.

        Database ids are replaced by what they stand for, and the time of the computation is left out.
        """
        evaluations = self.system.rows(
            """SELECT (to_jsonb(e) - 'engine_id' || jsonb_build_object('engine', to_jsonb(n) - 'id'))::text
               FROM evaluations e JOIN engines n ON n.id = e.engine_id"""
        )
        results = self.system.rows(
            """SELECT (to_jsonb(r) - '{engine_id,game_id,computed_at}'::text[]
                       || jsonb_build_object('engine', to_jsonb(n) - 'id', 'game', source_id))::text
               FROM plugin_results r LEFT JOIN engines n ON n.id = r.engine_id
               JOIN games g ON g.id = r.game_id"""
        )
        return sorted(row for (row,) in evaluations), sorted(row for (row,) in results)

    def check_whole(self, expected: Mapping[str, str] | None = None) -> None:
        """Fail unless each finished analysis is whole: every ply evaluated, one result a plugin.

        `expected` gives the states that are not "done".
        """
        states = self.states()
        assert {game: state for game, state in states.items() if state != "done"} == (expected or {})
        for game in (game for game, state in states.items() if state == "done"):
            results = self.system.rows(
                "SELECT plugin, version FROM plugin_results JOIN games g ON g.id = game_id"
                " WHERE source_id = %s AND result IS NOT NULL AND error IS NULL",
                game,
            )
            assert {plugin for plugin, _ in results} >= BUILT_IN, game
            assert len(results) == len(set(results)), game
            detail = self.system.owner.get(f"/v1/games/{game}").raise_for_status().json()
            if detail["plies"]:
                assert detail["initial_score"] is not None, game
            assert [move["ply"] for move in detail["moves"] if move["score"] is None] == [], game

    def children(self, name: str = CONSUMER) -> list[int]:
        """Return the processes that do the work of a worker."""
        return self.system.children(name)

    def engines(self) -> list[int]:
        """Return every Stockfish, or stand-in for one, that runs for this system, whoever started it."""
        needle = os.fsencode(self.system.services.state.run)
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with suppress(OSError):
                program = (entry / "cmdline").read_bytes()
                ours = needle in (entry / "environ").read_bytes()
                if ours and b"stockfish" in program and is_alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def wait_no_engines(self) -> None:
        """Fail if a Stockfish is left some seconds after the last worker is gone."""
        self.system.wait_until(lambda: not self.engines(), "no engine is left", _ENGINE_COUNT_SECONDS)

    def log(self, name: str = CONSUMER) -> list[dict[str, Any]]:
        """Return the events that a program has logged so far."""
        events = []
        for line in self.system.stack.log_path(name).read_text(errors="replace").splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
        return events


def _environment(settings: Mapping[str, object]) -> dict[str, str]:
    return {
        name if name == "PYTHONPATH" else f"SCORESHEET_{name}": str(value) for name, value in settings.items()
    }


def _switch(folder: Path, name: str) -> Path:
    return folder / f"{name}.env"


def _switchable(pipeline: Pipeline, roles: Mapping[str, str]) -> tuple[Program, ...]:
    """Declare programs, by their names and roles, behind their switches."""
    folder = Path(pipeline.environment["SCORESHEET_STATE_DIR"])
    programs = {program.name: program for program in pipeline.programs}
    return tuple(
        replace(
            programs[role],
            name=name,
            command=("/bin/sh", "-c", _SWITCH, _switch(folder, name), *programs[role].command),
        )
        for name, role in roles.items()
    )


@contextmanager
def analysis_system(rivals: Collection[str] = (), **policy: object) -> Iterator[Bench]:
    """Run a system on fresh state, with this policy of the API and no analysis yet.

    `rivals` are the roles of which there is a second program, see RIVALS.
    """
    roles = {name: name for name in RIVALS} | {RIVALS[name]: name for name in rivals}
    settings = _environment(policy)
    # The orchestrator has nobody to send it to.
    settings["SCORESHEET_ORCHESTRATOR_SECONDS"] = "3600"
    extra = partial(_switchable, roles=roles)
    with system_on_fresh_state(roles=(), settings=settings, extra=extra) as system:
        token = (system.services.state.app / "worker-token").read_text().strip()
        api = ApiClient(system.pipeline.api_url, token, transport=httpx.HTTPTransport())
        bench = Bench(system, api, tuple(roles))
        try:
            yield bench
        finally:
            api.close()
            for name in bench.switched:
                bench.off(name)
