"""What is known of a game?"""

from collections.abc import Iterator
from typing import NamedTuple

import chess
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.analyses import BudgetMode
from app.contract.borrowing import Searched, best_line, lenders
from app.contract.positions import EngineIdentity, EvaluationSource, Score, exact_score, position_key
from app.contract.rules import initial_board
from app.db.models import Game, GameAnalysis, GameMoves, PluginResult
from app.errors import NotFound
from app.games import lichess, repository, views
from app.positions import repository as positions


class _Worth(NamedTuple):
    """What the engine says of a position."""

    score: Score
    nodes: int
    best_line: list[str]


async def detail(session: AsyncSession, source_id: str) -> views.GameDetail:
    """Return a game with moves, clocks, evaluations and results; raises NotFound."""
    found = await repository.find(session, source_id)
    if found is None:
        raise NotFound(f"there is no game {source_id}")
    game, moves, analysis = found
    worth = await _worth(session, game, moves, analysis)
    return views.GameDetail(
        **views.summary(game, None if analysis is None else analysis.state),
        initial_fen=game.initial_fen,
        initial_score=None if worth[0] is None else worth[0].score,
        middlegame_ply=game.middlegame_ply,
        endgame_ply=game.endgame_ply,
        moves=_moves(game, moves, worth[1:]),
        details=None if analysis is None else await _analysis(session, game, analysis),
        results=[await _result(session, row) for row in await repository.results(session, game.id)],
        extra=game.extra,
    )


def _moves(game: Game, moves: GameMoves, worth: list[_Worth | None]) -> list[views.MoveView]:
    uci = moves.uci or []
    clocks = moves.clocks_cs or []
    given = lichess.evaluations(game.variant, game.initial_fen, moves.source_evaluations) or []
    return [
        views.MoveView(
            ply=index + 1,
            san=san,
            uci=uci[index] if index < len(uci) else None,
            clock_cs=clocks[index] if index < len(clocks) else None,
            score=None if after is None else after.score,
            nodes=None if after is None else after.nodes,
            best_line=None if after is None else after.best_line,
            lichess=given[index] if index < len(given) else None,
        )
        for index, (san, after) in enumerate(zip(moves.san, worth, strict=True))
    ]


async def _engine(session: AsyncSession, engine_id: int | None) -> EngineIdentity | None:
    return None if engine_id is None else await positions.engine(session, engine_id)


async def _result(session: AsyncSession, row: PluginResult) -> views.PluginResultView:
    return views.PluginResultView(
        plugin=row.plugin,
        version=row.version,
        result=row.result,
        error=row.error,
        engine=await _engine(session, row.engine_id),
        source=_source(row),
        nodes=row.budget_nodes,
        mode=row.mode,
        computed_at=row.computed_at,
    )


def _source(row: PluginResult) -> EvaluationSource | None:
    if row.engine_id is not None:
        return EvaluationSource.ENGINE
    return EvaluationSource.LICHESS if row.budget_nodes is None else None


async def _analysis(session: AsyncSession, game: Game, analysis: GameAnalysis) -> views.AnalysisView:
    return views.AnalysisView(
        state=analysis.state,
        attempts=analysis.attempts,
        **views.problem(game, analysis),
        engine=await _engine(session, analysis.engine_id),
        source=analysis.source,
        nodes=analysis.budget_nodes,
        mode=analysis.mode,
        searched_positions=analysis.searched_positions,
        searched_nodes=analysis.searched_nodes,
        analysed_at=analysis.analysed_at,
    )


async def _worth(
    session: AsyncSession, game: Game, moves: GameMoves, analysis: GameAnalysis | None
) -> list[_Worth | None]:
    """Return one entry a position, the initial one first; None where the engine was not asked."""
    nothing: list[_Worth | None] = [None] * (len(moves.san) + 1)
    keys = moves.position_keys
    if keys is None or moves.uci is None or analysis is None or analysis.engine_id is None:
        return nothing
    if len(keys) != len(nothing):
        return nothing  # what can't be replayed to its end is not analysed
    budgets = analysis.position_nodes
    if budgets is None:  # analysed by a release that knew one budget
        budgets = [analysis.budget_nodes or 0] * len(keys)
    if len(budgets) != len(keys):
        return nothing
    least = min((nodes for nodes in budgets if nodes), default=1)
    stored = await positions.known(session, keys, analysis.engine_id, least)
    found = {
        (item.position_key, item.halfmove_clock, item.budget_nodes): item
        for item in stored
        if item.lines == 1
    }
    worth: list[_Worth | None] = []
    for key, nodes, board in zip(keys, budgets, _boards(game, moves.uci), strict=True):
        exact = exact_score(board)
        if exact is not None:
            worth.append(_Worth(exact, 0, []))
            continue
        item = found.get((key, board.halfmove_clock, nodes))
        worth.append(None if item is None else _Worth(item.score, nodes, item.pv))
    return _borrowed(worth, moves.uci) if analysis.mode is BudgetMode.ADAPTIVE else worth


def _borrowed(worth: list[_Worth | None], uci: list[str]) -> list[_Worth | None]:
    """Return what the plugins were given: of two neighbours, what the deeper search found for both."""
    searched = [
        Searched(0, mate=False, best=None, played=move)
        if item is None
        else Searched(item.nodes, item.score.mate is not None, next(iter(item.best_line), None), move)
        for item, move in zip(worth, [*uci, None], strict=True)
    ]
    borrowed = [*worth]
    for ply, lender in enumerate(lenders(searched)):
        own, other = worth[ply], worth[lender]
        if lender != ply and own is not None and other is not None:
            line = best_line(own.best_line, other.best_line, searched[ply].played, from_before=lender < ply)
            borrowed[ply] = _Worth(other.score, other.nodes, line)
    return borrowed


def follow_rules(game: Game, moves: GameMoves) -> None:
    """Write a game's moves and keys anew where the release that stored it knew other rules for it.

    From Position was ordinary chess once, whatever its castling. The first key tells whether all are as they
    should be. A game that has no rules, or breaks them, is left to whoever analyses it.
    """
    if moves.uci is None or not moves.position_keys:
        return
    try:
        board = initial_board(game.variant, game.initial_fen)
        uci, keys = [], [position_key(board)]
        if keys == moves.position_keys[:1]:
            return
        for text in moves.uci:
            move = board.parse_uci(text)
            uci.append(move.uci())
            board.push(move)
            keys.append(position_key(board))
    except ValueError:
        return
    moves.uci, moves.position_keys = uci, keys


def _boards(game: Game, uci: list[str]) -> Iterator[chess.Board]:
    """Yield the position of every ply from 0; each is good until the next is asked for."""
    board = initial_board(game.variant, game.initial_fen)
    yield board
    for move in uci:
        board.push(chess.Move.from_uci(move))
        yield board
