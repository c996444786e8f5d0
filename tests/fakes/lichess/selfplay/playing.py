"""Which moves are played until the game ends as planned?"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import chess
import chess.engine

from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from tests.fakes.lichess.selfplay.plan import Plan, Status

NODES_PER_MOVE = 1500
CANDIDATES = 4
# How far below the best, in centipawns, a move still is an equal choice; wider where openings are chosen.
TEMPERATURE_CP = 25.0
OPENING_TEMPERATURE_CP = 60.0
OPENING_PLIES = 8
RESIGNS_BELOW_CP = -400
DRAWS_WITHIN_CP = 60
CONVERTS_ABOVE_CP = 500
MATE_CP = 10_000
MAX_ATTEMPTS = 200
# python-chess only enforces deadlines where the limit has a time; no search of so few nodes comes near it.
SEARCH_DEADLINE_SECONDS = 60.0

CENTRE = (chess.D4, chess.E4, chess.D5, chess.E5)


class NoSuchGameError(RuntimeError):
    """No attempt ended as planned."""


@dataclass(frozen=True, slots=True)
class Played:
    """A game's final board, with its moves, and who won (None: nobody)."""

    board: chess.Board
    winner: chess.Color | None


def play_game(plan: Plan, rng: Random, engine: chess.engine.SimpleEngine) -> Played:
    """Play until the end is the planned one; raises NoSuchGameError after many attempts."""
    for _ in range(MAX_ATTEMPTS):
        board = _set_up(plan, rng)
        if plan.script is not None:
            for san in plan.script.split():
                board.push_san(san)
            return Played(board, None)
        if plan.variant in ANALYSABLE_VARIANTS:
            played = _engine_game(plan, board, rng, engine)
        else:
            played = _variant_game(plan, board, rng)
        if played is not None:
            return played
    raise NoSuchGameError(f"no game of {MAX_ATTEMPTS} ended as {plan}")


def _set_up(plan: Plan, rng: Random) -> chess.Board:
    if plan.variant == "chess960":
        return chess.Board.from_chess960_pos(rng.randrange(960))
    return initial_board(plan.variant, plan.initial_fen)


def _engine_game(
    plan: Plan, board: chess.Board, rng: Random, engine: chess.engine.SimpleEngine
) -> Played | None:
    last_ply = rng.randint(plan.min_plies, plan.max_plies)
    game = object()  # a new one makes the engine forget the game before
    while len(board.move_stack) <= 2 * plan.max_plies:
        outcome = board.outcome()
        if outcome is not None:
            return _ended_on_board(plan, board, outcome)
        candidates = _candidates(board, engine, game)
        best_cp = candidates[0][0]
        if _wants_to_stop(plan, len(board.move_stack), last_ply, best_cp):
            return _stopped(plan, board)
        board.push(_choose(board, candidates, plan.blunder_rate, rng))
    return None


def _ended_on_board(plan: Plan, board: chess.Board, outcome: chess.Outcome) -> Played | None:
    ends = {chess.Termination.CHECKMATE: Status.MATE, chess.Termination.STALEMATE: Status.STALEMATE}
    status = ends.get(outcome.termination, Status.DRAW)
    long_enough = len(board.move_stack) >= plan.min_plies
    return Played(board, outcome.winner) if status is plan.status and long_enough else None


def _wants_to_stop(plan: Plan, ply: int, last_ply: int, best_cp: int) -> bool:
    """Tell whether the game ends here, off the board; `best_cp` is the view of the one to move."""
    match plan.status:
        case Status.MATE:
            return False
        case Status.RESIGN:
            lost = best_cp <= RESIGNS_BELOW_CP
            earliest_ply = (plan.min_plies + last_ply) // 2
            return (lost and ply >= earliest_ply) or ply >= plan.max_plies
        case Status.DRAW:
            return ply >= last_ply and abs(best_cp) <= DRAWS_WITHIN_CP
        case _:
            return ply >= last_ply


def _stopped(plan: Plan, board: chess.Board) -> Played | None:
    """End the game while somebody is to move: that player loses, unless the status has no loser."""
    opponent = not board.turn
    hopeless = board.has_insufficient_material(opponent)
    match plan.status:
        case Status.OUT_OF_TIME:
            return Played(board, None if hopeless else opponent) if hopeless == plan.drawn else None
        case Status.INSUFFICIENT_MATERIAL_CLAIM:
            return Played(board, None) if hopeless else None
        case Status.RESIGN | Status.TIMEOUT | Status.CHEAT | Status.NO_START:
            return Played(board, opponent)
        case _:
            return Played(board, None)


def _candidates(
    board: chess.Board, engine: chess.engine.SimpleEngine, game: object
) -> list[tuple[int, chess.Move]]:
    """Return the best moves with their scores (centipawns, mover's view), best first."""
    limit = chess.engine.Limit(nodes=NODES_PER_MOVE, time=SEARCH_DEADLINE_SECONDS)
    infos = engine.analyse(board, limit, multipv=CANDIDATES, game=game)
    return [(info["score"].relative.score(mate_score=MATE_CP), info["pv"][0]) for info in infos]


def _choose(
    board: chess.Board, candidates: list[tuple[int, chess.Move]], blunder_rate: float, rng: Random
) -> chess.Move:
    best_cp, best = candidates[0]
    opening = len(board.move_stack) < OPENING_PLIES
    if not opening and rng.random() < blunder_rate:
        return rng.choice(sorted(board.legal_moves, key=chess.Move.uci))
    if best_cp > CONVERTS_ABOVE_CP:
        return best
    temperature = OPENING_TEMPERATURE_CP if opening else TEMPERATURE_CP
    weights = [math.exp(max(-50.0, (cp - best_cp) / temperature)) for cp, _ in candidates]
    return rng.choices([move for _, move in candidates], weights)[0]


def _variant_game(plan: Plan, board: chess.Board, rng: Random) -> Played | None:
    """Play at random, but take a win that is there and lean towards the variant's goal."""
    attraction = _ATTRACTIONS.get(plan.variant)
    while (outcome := board.outcome()) is None and len(board.move_stack) < 2 * plan.max_plies:
        moves = sorted(board.legal_moves, key=chess.Move.uci)
        winning = next(_winning(board, moves), None)
        if winning is not None:
            board.push(winning)
        elif attraction is not None and rng.random() < 0.5:
            board.push(max(moves, key=lambda move: attraction(board, move)))
        else:
            board.push(rng.choice(moves))
    if outcome is None or outcome.winner is None or len(board.move_stack) < 8:
        return None
    # Ended by the variant's own rule first: after a third check no move is legal either.
    status = Status.VARIANT_END if board.is_variant_end() else Status.MATE if board.is_checkmate() else None
    return Played(board, outcome.winner) if status is plan.status else None


def _winning(board: chess.Board, moves: list[chess.Move]) -> Iterator[chess.Move]:
    mover = board.turn
    for move in moves:
        board.push(move)
        outcome = board.outcome()
        board.pop()
        if outcome is not None and outcome.winner == mover:
            yield move


def _towards_centre(board: chess.Board, move: chess.Move) -> float:
    if board.piece_type_at(move.from_square) != chess.KING:
        return -100.0
    return -float(min(chess.square_distance(move.to_square, square) for square in CENTRE))


def _towards_last_rank(board: chess.Board, move: chess.Move) -> float:
    is_king = board.piece_type_at(move.from_square) == chess.KING
    return float(chess.square_rank(move.to_square)) if is_king else -1.0


def _check(board: chess.Board, move: chess.Move) -> float:
    return float(board.gives_check(move))


def _captures_by_black(board: chess.Board, move: chess.Move) -> float:
    return float(board.is_capture(move) == (board.turn is chess.BLACK))


_ATTRACTIONS: dict[str, Callable[[chess.Board, chess.Move], float]] = {
    "kingOfTheHill": _towards_centre,
    "racingKings": _towards_last_rank,
    "threeCheck": _check,
    "horde": _captures_by_black,
}
