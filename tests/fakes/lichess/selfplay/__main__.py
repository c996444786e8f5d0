"""Make a file of games: `python -m tests.fakes.lichess.selfplay --out FILE --engine stockfish`."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import chess
import chess.engine

from tests.fakes.lichess.selfplay.clocks import MS_PER_HOUR, simulate
from tests.fakes.lichess.selfplay.judging import Evaluation, attach_analysis
from tests.fakes.lichess.selfplay.plan import make_plans
from tests.fakes.lichess.selfplay.playing import SEARCH_DEADLINE_SECONDS, Played, play_game
from tests.fakes.lichess.selfplay.writing import Scribe, in_lichess_order

FIRST_GAME_AT = datetime(2026, 1, 5, 18, 30, tzinfo=UTC)
HOURS_BETWEEN_GAMES = range(20, 160)
ANALYSIS_NODES = 50_000


def make_games(count: int, seed: int, engine: chess.engine.SimpleEngine) -> list[dict[str, Any]]:
    """Return `count` games, oldest first; the same for the same count, seed and engine."""
    rng = Random(seed)
    plans = make_plans(count)
    rng.shuffle(plans)
    scribe = Scribe(rng)
    created_at_ms = int(FIRST_GAME_AT.timestamp() * 1000)
    games = []
    for number, plan in enumerate(plans, start=1):
        played = play_game(plan, rng, engine)
        board = played.board
        timing = simulate(plan, len(board.move_stack), rng, ended_by_move=board.outcome() is not None)
        color = rng.choice(chess.COLORS)
        game = scribe.write(plan, played, timing, created_at_ms, color)
        if plan.analysed:
            attach_analysis(game, board, _evaluate(played, engine))
        games.append(in_lichess_order(game))
        created_at_ms += timing.duration_ms // 4 + rng.choice(HOURS_BETWEEN_GAMES) * MS_PER_HOUR
        created_at_ms += rng.randrange(MS_PER_HOUR)
        sys.stderr.write(f"{number}/{count} {plan.variant} {plan.status}: {len(board.move_stack)} plies\n")
    return games


def _evaluate(played: Played, engine: chess.engine.SimpleEngine) -> list[Evaluation]:
    board = played.board.root()
    game = object()
    limit = chess.engine.Limit(nodes=ANALYSIS_NODES, time=SEARCH_DEADLINE_SECONDS)
    evaluations = [_evaluation(board, engine, limit, game)]
    for move in played.board.move_stack:
        board.push(move)
        if not board.is_checkmate():
            evaluations.append(_evaluation(board, engine, limit, game))
    return evaluations


def _evaluation(
    board: chess.Board, engine: chess.engine.SimpleEngine, limit: chess.engine.Limit, game: object
) -> Evaluation:
    if board.is_game_over():
        return Evaluation(chess.engine.Cp(0), [])
    info = engine.analyse(board, limit, game=game)
    return Evaluation(info["score"].white(), info["pv"])


def main() -> None:
    """Play, and write one game a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.lichess.selfplay", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--games", type=int, default=41)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", required=True, metavar="PATH", help="a UCI engine, best Stockfish")
    arguments = parser.parse_args()
    with chess.engine.SimpleEngine.popen_uci(arguments.engine) as engine:
        engine.configure({"Threads": 1, "Hash": 16})
        games = make_games(arguments.games, arguments.seed, engine)
    lines = (json.dumps(game, ensure_ascii=False, separators=(",", ":")) + "\n" for game in games)
    arguments.out.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
