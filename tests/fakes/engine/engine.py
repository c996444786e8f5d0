"""What does an engine say that goes wrong in a chosen way? (A program; `install` writes a starter for it.)

Its evaluation is a function of the position alone: the best moves are the first in alphabetical order, the
score is a checksum of the FEN. Not more is asked of it.
"""

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import chess


class FakeEngine:
    """Answers until it goes wrong."""

    def __init__(self, fault: str, folder: Path, name: str, fit: str, salt: str) -> None:
        self.fault = fault
        self.folder = folder
        self.name = name
        self.fit = fit == "1"
        self.salt = salt
        self.lines = 1
        self.board = chess.Board()
        self.chess960 = False
        self.first_process = not (folder / "pids").exists()
        self.note("pids", str(os.getpid()))

    def note(self, file: str, line: str) -> None:
        with (self.folder / file).open("a") as stream:
            stream.write(line + "\n")

    def run(self) -> None:
        if self.fault == "exit_at_start":
            self.say("info string no network here")
            sys.exit(3)
        if self.fault == "illegal_instruction":
            os.kill(os.getpid(), signal.SIGILL)
        for line in sys.stdin:
            self.note("journal", line.strip())
            word, _, rest = line.strip().partition(" ")
            if word == "quit":
                return
            self.answer(word, rest)

    def answer(self, word: str, rest: str) -> None:
        if word == "uci":
            self.introduce()
        elif word == "isready":
            self.say("readyok")
        elif word == "ucinewgame" and self.fault == "die_on_new_game":
            sys.exit(1)
        elif word == "setoption" and rest.startswith("name UCI_Chess960"):
            self.chess960 = rest.endswith("true")
        elif word == "setoption" and rest.startswith("name MultiPV"):
            self.lines = int(rest.rsplit(maxsplit=1)[-1])
        elif word == "position":
            fen = chess.STARTING_FEN if rest == "startpos" else rest.removeprefix("fen ")
            self.board = chess.Board(fen, chess960=self.chess960)
        elif word == "go":
            self.search(int(rest.split()[1]))

    def introduce(self) -> None:
        if self.fault != "nameless":
            self.say(f"id name {self.name}")
        self.say("option name Hash type spin default 16 min 1 max 64")
        self.say("option name Threads type spin default 1 min 1 max 4")
        self.say("option name MultiPV type spin default 1 min 1 max 500")
        self.say("option name UCI_Chess960 type check default false")
        self.say("option name EvalFile type string default nn-fake.nnue")
        if self.fault != "no_uciok":
            self.say("uciok")

    def search(self, nodes: int) -> None:
        misbehave: Callable[[int], None] | None = getattr(self, f"on_go_{self.fault}", None)
        if misbehave is not None and not (self.fit and self.board.fen() == chess.STARTING_FEN):
            misbehave(nodes)
            return
        for rank, move in enumerate(self.moves()[: self.lines], start=1):
            self.report(nodes, score=f"cp {self.worth() - rank + 1}", line=move, rank=rank)
        self.best()

    def report(self, nodes: int, score: str | None = None, line: str | None = None, rank: int = 1) -> None:
        score = f"cp {self.worth()}" if score is None else score
        line = line or self.moves()[0]
        self.say(f"info depth 7 seldepth 9 multipv {rank} score {score} nodes {nodes} pv {line}")

    def best(self) -> None:
        self.say(f"bestmove {self.moves()[0]}")

    def worth(self) -> int:
        return zlib.crc32((self.board.fen() + self.salt).encode()) % 400 - 200

    def moves(self) -> list[str]:
        return sorted(self.board.uci(move, chess960=self.chess960) for move in self.board.legal_moves)

    def on_go_die_on_go(self, _nodes: int) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def on_go_die_once(self, nodes: int) -> None:
        if self.first_process:
            os.kill(os.getpid(), signal.SIGSEGV)
        self.report(nodes)
        self.best()

    def on_go_leave_child(self, _nodes: int) -> None:
        child = subprocess.Popen(["sleep", "1000"])
        self.note("pids", str(child.pid))
        os.kill(os.getpid(), signal.SIGSEGV)

    def on_go_hang_on_go(self, nodes: int) -> None:
        self.report(nodes)

    def on_go_hang_once(self, nodes: int) -> None:
        self.report(nodes)
        if not self.first_process:
            self.best()

    def on_go_deaf_on_go(self, _nodes: int) -> None:
        while True:
            time.sleep(60)

    def on_go_garbage(self, _nodes: int) -> None:
        sys.stdout.buffer.write(b"\xff\xfe\x00 score cp\n<html>\ninfo depth x score cp y nodes z\nbestmove\n")
        sys.stdout.buffer.flush()

    def on_go_illegal_best_move(self, nodes: int) -> None:
        self.report(nodes)
        self.say("bestmove a1h8")

    def on_go_illegal_line(self, nodes: int) -> None:
        self.report(nodes, line="a1h8 h8a1")
        self.best()

    def on_go_no_score(self, _nodes: int) -> None:
        self.best()

    def on_go_absurd_score(self, nodes: int) -> None:
        self.report(nodes, score="cp 2000000000")
        self.best()

    def on_go_mate_in_zero(self, nodes: int) -> None:
        self.report(nodes, score="mate 0")
        self.best()

    def on_go_endless_line(self, _nodes: int) -> None:
        while True:
            sys.stdout.write("info string " + "x" * 65_536)

    def on_go_huge_line(self, nodes: int) -> None:
        self.report(nodes, line="g1f3 g8f6 f3g1 f6g8 " * 500)
        self.best()

    def on_go_bound_at_end(self, nodes: int) -> None:
        self.report(nodes - 1, score="cp 11")
        self.report(nodes, score="cp -900 upperbound")
        self.best()

    def on_go_bound_in_report(self, nodes: int) -> None:
        for score, line, rank in (("10", "d2d4", 1), ("5", "c2c4", 2), ("30", "g1f3", 1), ("20", "e2e4", 2)):
            self.report(nodes - 2, score=f"cp {score}", line=line, rank=rank)
        self.report(nodes - 1, score="cp 40", line="b1c3", rank=1)
        self.report(nodes, score="cp 25 lowerbound", line="g1f3", rank=2)
        self.best()

    def on_go_twin_lines(self, nodes: int) -> None:
        for rank in (1, 2):
            self.report(nodes, rank=rank)
        self.best()

    def say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    FakeEngine(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]).run()
