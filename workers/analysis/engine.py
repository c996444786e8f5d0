"""What does an engine think of a position, and what went wrong if it gave no answer?

EngineError
├── EngineMissing    there is no such program, or it may not be executed
├── EngineDied       its process ended
│   └── EngineOutOfMemory
├── EngineTimeout    no answer before the deadline
├── EngineGarbage    an answer that makes no sense
├── EngineChanged    another engine than the one that the game was claimed with
└── EngineUnfit      it fails at what any engine can do: the game that waits for it is not to blame
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import chess
import chess.engine
from pydantic import ValidationError

from app.contract.positions import (
    MAX_LINE_PLIES,
    EngineIdentity,
    Evaluation,
    FurtherLine,
    Score,
    position_key,
)
from workers.analysis import engine_process
from workers.analysis.memory import oom_kills
from workers.analysis.position import searchable

_HINTS: dict[int, str] = {signal.SIGILL: ": built for another CPU", signal.SIGKILL: ": killed"}
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate")
"""Last words of a C++ program, and of Stockfish (src/memory.cpp), that get no memory."""

Answer = TypeVar("Answer")


class EngineError(Exception):
    """An engine gave no answer; `code` names the kind in reports of failure."""

    code: ClassVar[str] = "engine_error"


class EngineMissing(EngineError):
    """There is no such program, or it may not be executed."""

    code = "engine_missing"


class EngineDied(EngineError):
    """The engine's process ended."""

    code = "engine_died"


class EngineOutOfMemory(EngineDied):
    """The engine got no memory, or was killed for taking it."""

    code = "engine_out_of_memory"


class EngineTimeout(EngineError):
    """The engine did not answer before the deadline."""

    code = "engine_timeout"


class EngineGarbage(EngineError):
    """The engine answered something that makes no sense."""

    code = "engine_garbage"


class EngineChanged(EngineError):
    """Another engine answers than the one that the game was claimed with."""

    code = "engine_changed"


class EngineUnfit(EngineError):
    """The engine does not start, or fails at the initial position."""

    code = "engine_unfit"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run an engine."""

    path: Path
    """An executable, looked up on PATH if it is a bare name."""
    hash_mb: int
    """Size of its transposition table, which is cleared before each position."""
    patience_seconds: float = 10.0
    """How long it may take for anything but the search itself: starting, clearing its hash."""
    slowest_nodes_per_second: float = 2_000.0
    """A search slower than this counts as hung. Stockfish does 500,000 on a free core; at a CPU quota of
    5 % shared by four processes 6,000; in an emulator 12,000."""

    def deadline_seconds(self, nodes: int) -> float:
        """Return how long the search of one position may take."""
        return self.patience_seconds + nodes / self.slowest_nodes_per_second


class Engine:
    """One engine process. Not restarted here: after any error it is closed, and the next one is started.

    An evaluation depends on nothing but the position, the halfmove clock, the nodes and the identity: one
    thread, a FEN without history, the hash cleared before each position.
    """

    identity: EngineIdentity

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._oom_kills = oom_kills()
        self._fault: asyncio.Future[EngineError] = asyncio.get_running_loop().create_future()

    @classmethod
    async def launch(cls, options: EngineOptions) -> Self:
        """Start an engine and wait until it is ready; raises EngineError."""
        engine = cls(options)
        path = shutil.which(options.path)
        if path is None:
            raise EngineMissing(f"{options.path}: no such program, or not executable")
        try:
            engine._transport, engine._protocol = await engine_process.start(Path(path), engine)
        except OSError as error:
            raise EngineMissing(f"{path}: {error.strerror or error}") from error
        try:
            engine.identity = await engine._within(options.patience_seconds, engine._introduce())
        except BaseException:
            await engine.close()
            raise
        return engine

    _transport: asyncio.SubprocessTransport
    _protocol: engine_process.EngineProtocol

    @property
    def pid(self) -> int:
        """The process id."""
        return self._transport.get_pid()

    def processor_seconds(self) -> float:
        """Return how long it has computed; 0 where it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def usable(self) -> bool:
        """Whether nothing is known against it."""
        return not self._fault.done()

    async def close(self) -> None:
        """Kill the process and its group and wait until it is gone; safe to repeat."""
        if not self._fault.done():
            self._fault.set_result(EngineDied("closed"))
        await engine_process.end(self._transport, self._protocol)

    async def evaluate(self, board: chess.Board, nodes: int, lines: int = 1) -> Evaluation:
        """Search one position that has moves, for its best so many lines.

        Raises InvalidPosition before the engine sees anything, or EngineError with the FEN: then, or when
        cancelled, the engine is closed.
        """
        plain = searchable(board)
        try:
            infos = await self._within(
                self._options.deadline_seconds(nodes), self._search(plain, nodes, lines)
            )
            return _evaluation(board, nodes, lines, infos)
        except EngineError as error:
            await self.close()
            raise type(error)(f"{error} (FEN {plain.fen()}, {nodes} nodes)") from error
        except BaseException:
            await self.close()
            raise

    def died(self, exit_code: int, last_words: str) -> None:
        """Note the end of the process."""
        hint = _HINTS.get(-exit_code, "")
        quote = f", last said {last_words!r}" if last_words else ""
        killed = exit_code == -signal.SIGKILL and oom_kills() > self._oom_kills
        starved = any(words in last_words.lower() for words in _OUT_OF_MEMORY)
        kind = EngineOutOfMemory if killed or starved else EngineDied
        self._note(kind(f"exit status {exit_code}{hint}{quote}"))

    def talked_nonsense(self, detail: str) -> None:
        """Note an answer that makes no sense."""
        self._note(EngineGarbage(detail))

    def _note(self, fault: EngineError) -> None:
        if not self._fault.done():
            self._fault.set_result(fault)

    async def _within(self, seconds: float, dialogue: Coroutine[None, None, Answer]) -> Answer:
        """Return what a dialogue yields, unless the deadline or a fault comes first."""
        self._protocol.begin_command()
        task = asyncio.ensure_future(dialogue)
        either: set[asyncio.Future[Any]] = {task, self._fault}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        except chess.engine.EngineTerminatedError as error:
            raise (self._fault.result() if self._fault.done() else EngineDied(str(error))) from error
        except (chess.engine.EngineError, ValidationError) as error:
            raise EngineGarbage(str(error)) from error
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        raise self._fault.result() if self._fault.done() else EngineTimeout(f"no answer in {seconds:g} s")

    async def _introduce(self) -> EngineIdentity:
        await self._protocol.initialize()
        await self._protocol.configure({"Threads": 1, "Hash": self._options.hash_mb})
        await self._protocol.ping()
        name = self._protocol.id.get("name", "")
        if not name:
            raise EngineGarbage("it does not say its name")
        nets = [
            str(option.default)
            for key, option in self._protocol.options.items()
            if key.startswith("EvalFile") and option.default
        ]
        return EngineIdentity(name=name[:2_000], net=",".join(nets)[:2_000], hash_mb=self._options.hash_mb)

    async def _search(self, board: chess.Board, nodes: int, lines: int) -> list[chess.engine.InfoDict]:
        """Return what the protocol lets through: a score for each line, and the count of nodes at the end."""
        # Another `game` each time makes python-chess send ucinewgame, which clears the hash: 0.8 ms at 1 MB,
        # 1.7 ms at 16 MB, 11 ms at 64 MB (Stockfish 15.1; tests/bench/README.md).
        analysis = await self._protocol.analysis(
            board,
            chess.engine.Limit(nodes=nodes),
            multipv=None if lines == 1 else lines,
            game=object(),
            info=chess.engine.INFO_SCORE | chess.engine.INFO_PV,
        )
        return [info async for info in analysis]


def _evaluation(board: chess.Board, nodes: int, lines: int, infos: list[chess.engine.InfoDict]) -> Evaluation:
    scored = [info for info in infos if "score" in info]
    if not scored:
        raise EngineGarbage("a best move without a score")
    if not all(info.get("pv") for info in scored):
        raise EngineGarbage("a score without a legal line")
    if len({info["pv"][0] for info in scored}) < len(scored):
        raise EngineGarbage("two lines that begin with the same move")
    try:
        return Evaluation(
            position_key=position_key(board),
            halfmove_clock=board.halfmove_clock,
            budget_nodes=nodes,
            lines=lines,
            score=_from_white(scored[0]["score"]),
            depth=scored[0].get("depth", 0),
            nodes=max(info.get("nodes", 0) for info in infos),
            pv=_pv(scored[0]),
            further=[FurtherLine(score=_from_white(info["score"]), pv=_pv(info)) for info in scored[1:]],
        )
    except ValidationError as error:
        raise EngineGarbage(str(error)) from error


def _pv(info: chess.engine.InfoDict) -> list[str]:
    return [move.uci() for move in info["pv"][:MAX_LINE_PLIES]]


def _from_white(score: chess.engine.PovScore) -> Score:
    white = score.white()
    mate = white.mate()
    if mate == 0:
        raise EngineGarbage("mate in 0 in a position that has moves")
    return Score(mate=mate) if mate is not None else Score(cp=white.score())
