"""What is known of a game?"""

import chess
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.games import LichessEvaluation
from app.contract.positions import EngineIdentity, Evaluation
from app.db.models import Game, GameAnalysis, GameMoves
from app.errors import NotFound
from app.games import repository, views
from app.positions import repository as positions


async def detail(session: AsyncSession, source_id: str) -> views.GameDetail:
    """Return a game with moves, clocks, evaluations and results; raises NotFound."""
    found = await repository.find(session, source_id)
    if found is None:
        raise NotFound(f"there is no game {source_id}")
    game, moves, analysis = found
    evaluations = await _evaluations(session, game, moves, analysis)
    return views.GameDetail(
        **views.summary(game, None if analysis is None else analysis.state),
        initial_fen=game.initial_fen,
        initial_score=None if evaluations[0] is None else evaluations[0].score,
        middlegame_ply=game.middlegame_ply,
        endgame_ply=game.endgame_ply,
        moves=_moves(moves, evaluations[1:]),
        details=None if analysis is None else await _analysis(session, analysis),
        results=[
            views.PluginResultView(
                plugin=row.plugin,
                version=row.version,
                result=row.result,
                error=row.error,
                nodes=row.budget_nodes,
                computed_at=row.computed_at,
            )
            for row in await repository.results(session, game.id)
        ],
        extra=game.extra,
    )


def _moves(moves: GameMoves, evaluations: list[Evaluation | None]) -> list[views.MoveView]:
    clocks = moves.clocks_cs or []
    lichess = moves.source_evaluations or []
    return [
        views.MoveView(
            ply=index + 1,
            san=san,
            uci=None if moves.uci is None else moves.uci[index],
            clock_cs=clocks[index] if index < len(clocks) else None,
            score=None if evaluation is None else evaluation.score,
            best_line=None if evaluation is None else evaluation.pv,
            lichess=LichessEvaluation.model_validate(lichess[index]) if index < len(lichess) else None,
        )
        for index, (san, evaluation) in enumerate(zip(moves.san, evaluations, strict=True))
    ]


async def _analysis(session: AsyncSession, analysis: GameAnalysis) -> views.AnalysisView:
    engine: EngineIdentity | None = None
    if analysis.engine_id is not None:
        engine = await positions.engine(session, analysis.engine_id)
    return views.AnalysisView(
        state=analysis.state,
        attempts=analysis.attempts,
        error_code=analysis.error_code,
        error=analysis.error,
        engine=engine,
        nodes=analysis.budget_nodes,
        analysed_at=analysis.analysed_at,
    )


async def _evaluations(
    session: AsyncSession, game: Game, moves: GameMoves, analysis: GameAnalysis | None
) -> list[Evaluation | None]:
    """Return one entry a position, the initial one first; None where nothing is stored."""
    keys = moves.position_keys
    if keys is None or moves.uci is None or analysis is None or analysis.engine_id is None:
        return [None] * (len(moves.san) + 1)
    stored = await positions.known(session, keys, analysis.engine_id, analysis.budget_nodes or 0)
    by_position = {(item.position_key, item.halfmove_clock): item for item in stored}
    clocks = _halfmove_clocks(game, moves.uci)
    return [by_position.get(position) for position in zip(keys, clocks, strict=True)]


def _halfmove_clocks(game: Game, uci: list[str]) -> list[int]:
    chess960 = game.variant == "chess960"
    board = chess.Board(game.initial_fen or chess.STARTING_FEN, chess960=chess960)
    clocks = [board.halfmove_clock]
    for move in uci:
        board.push(chess.Move.from_uci(move))
        clocks.append(board.halfmove_clock)
    return clocks
