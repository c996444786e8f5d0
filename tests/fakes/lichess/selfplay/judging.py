"""What does Lichess's computer analysis of a game say: evaluations, judgements, accuracy?

Formulas: lila (WinPercent, Advice, AccuracyPercent, AccuracyCP), as published in 2026.
"""

import math
import statistics
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import chess
import chess.engine

START_CP = 15
CEILING_CP = 1000
MAX_VARIATION_PLIES = 12


class Judgement(StrEnum):
    """Lichess's names of bad moves, worst last."""

    INACCURACY = "Inaccuracy"
    MISTAKE = "Mistake"
    BLUNDER = "Blunder"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the engine thinks of one position: the score from White's view and its line."""

    score: chess.engine.Score
    line: list[chess.Move]


def winning_chances(cp: float) -> float:
    """Map centipawns to [-1, 1]."""
    return 2 / (1 + math.exp(-0.00368208 * cp)) - 1


def judge(before: chess.engine.Score, after: chess.engine.Score) -> tuple[Judgement, str] | None:
    """Judge a move by the scores around it, both from the mover's view; the text is for people."""
    before_mate, after_mate = before.mate(), after.mate()
    if before_mate is None and after_mate is None:
        loss = winning_chances(_cp(before)) - winning_chances(_cp(after))
        name = _by_limits(loss, (0.3, 0.2, 0.1))
        return (name, name.value) if name else None
    if before_mate is None and after_mate is not None and after_mate < 0:
        return _excused(-_cp(before)), "Checkmate is now unavoidable"
    if before_mate is not None and before_mate > 0 and (after_mate is None or after_mate < 0):
        return _excused(0 if after_mate else _cp(after)), "Lost forced checkmate sequence"
    return None


def _by_limits(loss: float, limits: tuple[float, float, float]) -> Judgement | None:
    names = (Judgement.BLUNDER, Judgement.MISTAKE, Judgement.INACCURACY)
    return next((name for name, limit in zip(names, limits, strict=True) if loss >= limit), None)


def _excused(hopeless_cp: int) -> Judgement:
    """Judge a mate missed or allowed: it matters less in a game decided by this many centipawns anyway."""
    if hopeless_cp > 999:
        return Judgement.INACCURACY
    return Judgement.MISTAKE if hopeless_cp > 700 else Judgement.BLUNDER


def _cp(score: chess.engine.Score) -> int:
    cp = score.score()
    if cp is None:
        raise ValueError(f"{score!r} is no centipawn score")
    return cp


def _clamped_cp(score: chess.engine.Score) -> int:
    mate = score.mate()
    cp = CEILING_CP * (1 if score > chess.engine.Cp(0) else -1) if mate is not None else _cp(score)
    return max(-CEILING_CP, min(CEILING_CP, cp))


def accuracies(scores: list[chess.engine.Score], first_mover: chess.Color) -> dict[chess.Color, int | None]:
    """Return both sides' game accuracy in percent, from the scores after each move (White's view)."""
    wins = [50 + 50 * winning_chances(cp) for cp in (START_CP, *map(_clamped_cp, scores))]
    size = min(8, max(2, len(scores) // 10))
    windows = [wins[:size]] * (min(size, len(wins)) - 2)
    windows += [wins[start : start + size] for start in range(len(wins) - size + 1)]
    weights = [max(0.5, min(12.0, statistics.pstdev(window))) for window in windows]
    moves: dict[chess.Color, list[tuple[float, float]]] = {chess.WHITE: [], chess.BLACK: []}
    for ply, (before, after, weight) in enumerate(zip(wins, wins[1:], weights, strict=False)):
        mover = first_mover if ply % 2 == 0 else not first_mover
        fall = (before - after) if mover else (after - before)
        moves[mover].append((_move_accuracy(fall), weight))
    return {color: _game_accuracy(of_color) for color, of_color in moves.items()}


def _move_accuracy(fall: float) -> float:
    if fall <= 0:
        return 100.0
    raw = 103.1668100711649 * math.exp(-0.04354415386753951 * fall) - 3.166924740191411
    return max(0.0, min(100.0, raw + 1))


def _game_accuracy(moves: list[tuple[float, float]]) -> int | None:
    if not moves:
        return None
    weighted = sum(value * weight for value, weight in moves) / sum(weight for _, weight in moves)
    harmonic = len(moves) / sum(1 / max(1.0, value) for value, _ in moves)
    return round((weighted + harmonic) / 2)


def attach_analysis(game: dict[str, Any], board: chess.Board, evaluations: list[Evaluation]) -> None:
    """Add Lichess's analysis to a game object, from an evaluation of each position, the first included.

    The position of a checkmate has none: the list then ends one ply earlier.
    """
    replayed = board.root()
    first_mover = replayed.turn
    entries: list[dict[str, Any]] = []
    counts = {color: dict.fromkeys(Judgement, 0) for color in chess.COLORS}
    losses: dict[chess.Color, list[int]] = {chess.WHITE: [], chess.BLACK: []}
    before: chess.engine.Score = chess.engine.Cp(START_CP)
    for ply, after in enumerate(evaluation.score for evaluation in evaluations[1:]):
        mover, best = replayed.turn, evaluations[ply].line
        sign = 1 if mover else -1
        losses[mover].append(max(0, sign * (_clamped_cp(before) - _clamped_cp(after))))
        entry: dict[str, Any] = _score_json(after)
        verdict = judge(*(score if mover else -score for score in (before, after)))
        if verdict and best and best[0] != board.move_stack[ply]:
            name, text = verdict
            counts[mover][name] += 1
            entry |= _better(replayed, best, name, text)
        entries.append(entry)
        replayed.push(board.move_stack[ply])
        before = after
    game["analysis"] = entries
    accuracy = accuracies([evaluation.score for evaluation in evaluations[1:]], first_mover)
    for color, player in ((chess.WHITE, "white"), (chess.BLACK, "black")):
        named = {name.value.lower(): count for name, count in counts[color].items()}
        acpl = round(statistics.fmean(losses[color])) if losses[color] else 0
        game["players"][player]["analysis"] = {**named, "acpl": acpl, "accuracy": accuracy[color]}


def _score_json(score: chess.engine.Score) -> dict[str, Any]:
    mate = score.mate()
    return {"eval": _cp(score)} if mate is None else {"mate": mate}


def _better(board: chess.Board, line: list[chess.Move], name: Judgement, text: str) -> dict[str, Any]:
    sans = []
    replayed = board.copy(stack=False)
    for move in line[:MAX_VARIATION_PLIES]:
        sans.append(replayed.san(move))
        replayed.push(move)
    comment = f"{text}. {sans[0]} was best."
    return {
        "best": line[0].uci(),
        "variation": " ".join(sans),
        "judgment": {"name": name.value, "comment": comment},
    }
