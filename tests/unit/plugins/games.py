"""Which games do the tests give to plugins?"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import chess
import chess.pgn
import pytest

from app.contract.games import Clock, Color
from app.contract.positions import Score
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from plugins.api import AnalysedGame, EarlierGames, PositionEvaluation
from plugins.lichess import INITIAL

BLACK_STARTS = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"
FOOLS_MATE = ("f2f3", "e7e5", "g2g4", "d8h4")

DATA = Path(__file__).parents[4] / "shared" / "data" / "lichess"
RAPID, RARITIES, ONE_GAME = (
    DATA / name for name in ("rapid_analysed_3000.ndjson.gz", "edge_cases.ndjson", "accuracy_example.json")
)
CLOCKS = DATA / "db_sample_999.pgn.gz"
needs_data = pytest.mark.skipif(not RAPID.exists(), reason=f"no {DATA}")
"""The files are real people's games and no part of the repository."""


def cp(value: int) -> Score:
    return Score(cp=value)


def mate(value: int) -> Score:
    return Score(mate=value)


def game(
    uci: Sequence[str],
    scores: Sequence[Score | int],
    *,
    best: Mapping[int, str] | None = None,
    fen: str | None = None,
    **fields: Any,
) -> AnalysedGame:
    """Build a game; an integer is a score in centipawns, `best` maps a ply to the engine's line there, as
    moves in UCI notation. Elsewhere the engine prefers the first legal move that was not played.
    """
    variant = "standard" if fen is None else "fromPosition"
    board = initial_board(variant, fen)
    evaluations = []
    for ply, score in enumerate(scores):
        played = uci[ply] if ply < len(uci) else None
        line = (best or {}).get(ply) or next(
            (move.uci() for move in board.legal_moves if move.uci() != played), ""
        )
        evaluations.append(
            PositionEvaluation(
                score=cp(score) if isinstance(score, int) else score,
                depth=9,
                nodes=100,
                pv=tuple(line.split()),
                budget_nodes=100_000,
            )
        )
        if played is not None:
            board.push_uci(played)
    known: dict[str, Any] = {"id": "abcdefgh", "status": "resign", "winner": None, **fields}
    return AnalysedGame(
        variant=variant, initial_fen=fen, uci=tuple(uci), evaluations=tuple(evaluations), **known
    )


def fools_mate(best: Mapping[int, str] | None = None, **fields: Any) -> AnalysedGame:
    scores = [cp(30), cp(-60), cp(-70), mate(-1), mate(0)]
    return game(FOOLS_MATE, scores, best=best, status="mate", winner=Color.BLACK, **fields)


def earlier(*reached: int, complete: bool = True) -> EarlierGames:
    return EarlierGames(games=reached[0] if reached else 0, reached=reached, complete=complete)


def exported(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the exported games of a file that Lichess has analysed and engines can play."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in [lines.read()] if path.suffix == ".json" else lines:
            entry = json.loads(line)
            if entry.get("analysis") and entry["variant"] in ANALYSABLE_VARIANTS:
                yield entry


def lichess_score(entry: Mapping[str, Any]) -> Score | None:
    if "eval" in entry:
        return cp(entry["eval"])
    return mate(entry["mate"]) if "mate" in entry else None


def as_analysed(entry: Mapping[str, Any]) -> AnalysedGame:
    """Build a game of an export, with Lichess's evaluations in place of the engine's, as far as they go."""
    fen = entry.get("initialFen")
    board = initial_board(entry["variant"], fen)
    analysis = entry["analysis"]
    lines: list[tuple[str, ...]] = []
    uci: list[str] = []
    for item, san in zip(analysis, entry["moves"].split(), strict=False):
        lines.append(_line_of(board, item))
        move = board.push_san(san)
        uci.append(move.uci())
    scores = [INITIAL, *(lichess_score(item) or cp(0) for item in analysis)]
    clock = entry.get("clock")
    return AnalysedGame(
        id=entry["id"],
        variant=entry["variant"],
        initial_fen=fen,
        status=entry["status"],
        winner=Color(entry["winner"]) if "winner" in entry else None,
        uci=tuple(uci),
        clocks_cs=tuple(entry["clocks"]) if "clocks" in entry else None,
        evaluations=tuple(
            PositionEvaluation(score=score, depth=0, nodes=0, pv=line)
            for score, line in zip(scores, [*lines, ()], strict=True)
        ),
        speed=entry["speed"],
        clock=clock and Clock(initial_seconds=clock["initial"], increment_seconds=clock["increment"]),
    )


def real_clocks(count: int) -> Iterator[tuple[tuple[str, ...], tuple[int, ...], Clock]]:
    """Yield moves, clocks and time control of the first real games of more than ten moves that have them."""
    with gzip.open(CLOCKS, "rt") as lines:
        while count and (played := chess.pgn.read_game(lines)) is not None:
            nodes = list(played.mainline())
            clocks = [node.clock() for node in nodes]
            initial, _, increment = played.headers.get("TimeControl", "-").partition("+")
            if len(nodes) > 20 and increment and None not in clocks and "Variant" not in played.headers:
                count -= 1
                yield (
                    tuple(node.move.uci() for node in nodes),
                    tuple(round(100 * (seconds or 0)) for seconds in clocks),
                    Clock(initial_seconds=int(initial), increment_seconds=int(increment)),
                )


@cache
def real_games(count: int) -> tuple[AnalysedGame, ...]:
    """Return the first games of a file of real ones, each with the evaluations of Lichess."""
    return tuple(as_analysed(entry) for entry, _ in zip(exported(RAPID), range(count), strict=False))


def _line_of(board: chess.Board, item: Mapping[str, Any]) -> tuple[str, ...]:
    if "best" not in item:
        return ()
    ahead = board.copy(stack=False)
    moves = [ahead.push_san(san).uci() for san in item.get("variation", "").split()]
    return tuple(moves) or (item["best"],)
