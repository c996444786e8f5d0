"""What does an engine say to a few lines of UCI on a pipe, with no more care than that?

The yardstick of the benchmarks: it gets the commands that the worker sends, and does nothing else.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.contract.positions import Score


@dataclass(frozen=True, slots=True)
class Search:
    """What one search found: its last line that is no mere bound, as the worker takes it."""

    score: Score
    """From White's view."""
    best: str
    """The best move in UCI notation."""
    depth: int
    """Plies of that line's iteration."""
    nodes: int
    """Nodes that the search took."""


class BareEngine:
    """An engine on a pipe, with one thread."""

    def __init__(self, path: Path, hash_mb: int) -> None:
        self._process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self._stdin: IO[str] = self._process.stdin
        self._stdout: IO[str] = self._process.stdout
        self.name = next(
            line.removeprefix("id name ").strip()
            for line in self._ask("uci", "uciok")
            if line.startswith("id name ")
        )
        self._tell("setoption name Threads value 1")
        self._tell(f"setoption name Hash value {hash_mb}")
        self._ask("isready", "readyok")

    def clear(self) -> None:
        """Forget all that was searched."""
        self._tell("ucinewgame")
        self._ask("isready", "readyok")

    def search(self, fen: str, nodes: int) -> Search:
        """Search one position, with what the hash still holds."""
        self._tell(f"position fen {fen}")
        lines = self._ask(f"go nodes {nodes}", "bestmove")
        infos = [line.split() for line in lines if " nodes " in line]
        exact = [words for words in infos if "score" in words and not {"lowerbound", "upperbound"} & {*words}]
        return _read(exact[-1], max(int(_after(words, "nodes")) for words in infos), fen.split()[1] == "w")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        self._stdin.write(line + "\n")

    def _ask(self, line: str, last_word: str) -> list[str]:
        self._tell(line)
        answer = []
        for reply in self._stdout:
            answer.append(reply)
            if reply.startswith(last_word):
                return answer
        raise RuntimeError("the bare engine died")


def _read(words: list[str], nodes: int, white_moves: bool) -> Search:
    sign = 1 if white_moves else -1
    at = words.index("score")
    value = sign * int(words[at + 2])
    return Search(
        score=Score(mate=value) if words[at + 1] == "mate" else Score(cp=value),
        best=_after(words, "pv"),
        depth=int(_after(words, "depth")),
        nodes=nodes,
    )


def _after(words: list[str], key: str) -> str:
    return words[words.index(key) + 1]
