"""Which games does the benchmark look at?"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import chess
import chess.pgn

from app.contract.games import Color
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from plugins.api import side_to_move
from workers.analysis.position import searchable

SHORTEST_PLIES = 20
"""Shorter games say little about anything."""


@dataclass(frozen=True, slots=True)
class Game:
    """A game as positions to search."""

    id: str
    starts: Color
    uci: tuple[str, ...]
    """The moves: entry i is ply i + 1."""
    fens: tuple[str, ...]
    """The positions as the engine gets them: entry n belongs to ply n."""
    over: bool
    """Whether the last position is checkmate or stalemate, which needs no search."""
    mated: bool
    """Whether it is checkmate."""
    chess960: bool
    """Whether castling is written king takes rook."""

    @property
    def searched(self) -> tuple[str, ...]:
        """The positions that need a search, from ply 0."""
        return self.fens[:-1] if self.over else self.fens


def sample(path: Path, count: int | None = None) -> list[Game]:
    """Return so many of a file's games, or all, in an order that is always the same and not the file's.

    NDJSON as Lichess exports it, or PGN; either may be gzipped.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
        entries = [*(_pgn if ".pgn" in path.suffixes else _ndjson)(text.read())]
    entries.sort(key=lambda entry: hashlib.sha256(entry.id.encode()).digest())
    return [_game(entry) for entry in entries[:count]]


class _Entry(NamedTuple):
    id: str
    start: chess.Board
    sans: list[str]


def _ndjson(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        game: dict[str, Any] = json.loads(line)
        sans = game.get("moves", "").split()
        if game["variant"] in ANALYSABLE_VARIANTS and len(sans) >= SHORTEST_PLIES:
            yield _Entry(game["id"], initial_board(game["variant"], game.get("initialFen")), sans)


def _pgn(text: str) -> Iterator[_Entry]:
    stream = io.StringIO(text)
    while (game := chess.pgn.read_game(stream)) is not None:
        board = game.board()
        sans = [node.san() for node in game.mainline()]
        if type(board) is chess.Board and len(sans) >= SHORTEST_PLIES:
            yield _Entry(game.headers["Site"].rpartition("/")[2], board, sans)


def _game(entry: _Entry) -> Game:
    board = entry.start
    starts, uci, fens = side_to_move(board), [], [searchable(board).fen()]
    for san in entry.sans:
        move = board.parse_san(san)
        uci.append(board.uci(move))
        board.push(move)
        board.clear_stack()
        fens.append(searchable(board).fen())
    over = not any(board.generate_legal_moves())
    mated = over and board.is_check()
    return Game(entry.id, starts, tuple(uci), tuple(fens), over, mated, board.chess960)
