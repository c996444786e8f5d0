"""How does a game get into the database, whatever came before and in whatever order?"""

from typing import Any, NamedTuple

from sqlalchemy import Row, case, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.contract.games import ANALYSABLE_VARIANTS, GameRecord
from app.db.base import Base
from app.db.models import GameMoves
from app.db.prepared import prepared
from app.games.revisits import next_revisit


class Stored(NamedTuple):
    """What an upsert did."""

    game_id: int
    inserted: bool
    changed: bool
    """Inserted, or different from before."""
    moves_changed: bool
    """The board's part is new: analyses of the old moves are void."""


async def upsert(session: AsyncSession, record: GameRecord, run_id: int, line: int) -> Stored | None:
    """Store a game unless a later observation is stored already; return None then.

    Observations are ordered by (finished, run, line): a finished game never becomes unfinished again.
    So any number of observations, in any order, leave the same row.
    """
    row = await _upsert_game(session, record, run_id, line)
    if row is None:
        return None
    game_id, inserted, changed = row
    if not changed:
        return Stored(game_id, inserted=False, changed=False, moves_changed=False)
    moves_changed = inserted or await _moves_differ(session, game_id, record)
    await _upsert_moves(session, game_id, record)
    return Stored(game_id, inserted, changed=True, moves_changed=moves_changed)


def is_analysable(record: GameRecord) -> bool:
    """Tell whether Stockfish plays the variant and the moves could be replayed."""
    return record.variant in ANALYSABLE_VARIANTS and record.moves.uci is not None


async def _upsert_game(
    session: AsyncSession, record: GameRecord, run_id: int, line: int
) -> Row[tuple[int, bool, bool]] | None:
    values = {"source_id": record.id, "run_id": run_id, "line": line, **_columns(record)}
    connection = await session.connection()
    return (await connection.execute(_GAME_UPSERT, values)).one_or_none()


def _columns(record: GameRecord) -> dict[str, Any]:
    opening, clock = record.opening, record.clock
    return {
        "digest": bytes.fromhex(record.digest),
        "rated": record.rated,
        "variant": record.variant,
        "speed": record.speed,
        "perf": record.perf,
        "origin": record.origin,
        "created_at": record.created_at,
        "last_move_at": record.last_move_at,
        "status": record.status,
        "finished": record.finished,
        "winner": record.winner,
        "white_id": record.white.user_id,
        "black_id": record.black.user_id,
        "white_rating": record.white.rating,
        "black_rating": record.black.rating,
        "white": record.white.model_dump(mode="json", exclude_defaults=True),
        "black": record.black.model_dump(mode="json", exclude_defaults=True),
        "eco": opening and opening.eco,
        "opening_name": opening and opening.name,
        "opening_ply": opening and opening.ply,
        "initial_seconds": clock and clock.initial_seconds,
        "increment_seconds": clock and clock.increment_seconds,
        "days_per_turn": record.days_per_turn,
        "tournament": record.tournament,
        "swiss": record.swiss,
        "initial_fen": record.initial_fen,
        "middlegame_ply": record.middlegame_ply,
        "endgame_ply": record.endgame_ply,
        "plies": len(record.moves.san),
        "analysed_by_source": record.evaluations is not None,
        "flags": record.flags,
        "extra": record.extra,
        "revisit_at": next_revisit(record),
    }


async def _moves_differ(session: AsyncSession, game_id: int, record: GameRecord) -> bool:
    # The keys tell another initial position or variant, too, under which the same moves are another game.
    query = select(GameMoves.san, GameMoves.position_keys).where(GameMoves.game_id == game_id)
    row = (await session.execute(query)).one_or_none()
    return row is None or tuple(row) != (record.moves.san, record.moves.position_keys)


async def _upsert_moves(session: AsyncSession, game_id: int, record: GameRecord) -> None:
    moves = record.moves
    values = {
        "game_id": game_id,
        "san": moves.san,
        "uci": moves.uci,
        "position_keys": moves.position_keys,
        "clocks_cs": moves.clocks_cs,
        "source_evaluations": None
        if record.evaluations is None
        else [item.model_dump(mode="json", exclude_none=True) for item in record.evaluations],
    }
    connection = await session.connection()
    await connection.execute(_MOVES_UPSERT, values)


# This is the hot path of ingestion: statements are built once, since building one costs more than running it.
_OF_THE_DATABASE = {"id", "source", "stored_at", "updated_at", "revisits"}
"""Columns that an observation says nothing of."""


def _game_upsert() -> ReturningInsert[tuple[int, bool, bool]]:
    statement = insert(GAMES)
    new = statement.excluded
    # The same content sets the same values, so a second look only moves the observation on.
    observed = {
        column.name: new[column.name]
        for column in GAMES.c
        if column.name not in _OF_THE_DATABASE | {"source_id"}
    }
    changed_at = case((new.digest != GAMES.c.digest, func.now()), else_=GAMES.c.updated_at)
    order = ("finished", "run_id", "line")
    return statement.on_conflict_do_update(
        index_elements=["source", "source_id"],
        set_={**observed, "updated_at": changed_at},
        where=tuple_(*(new[name] for name in order)) > tuple_(*(GAMES.c[name] for name in order)),
    ).returning(GAMES.c.id, literal_column("(games.xmax = 0)"), GAMES.c.updated_at == func.now())


def _moves_upsert() -> Insert:
    statement = insert(MOVES)
    changes = {column.name: statement.excluded[column.name] for column in MOVES.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=["game_id"], set_=changes)


GAMES = Base.metadata.tables["games"]
MOVES = Base.metadata.tables["game_moves"]
_GAME_UPSERT = prepared(
    _game_upsert(),
    [column.name for column in GAMES.c if column.name not in _OF_THE_DATABASE],
)
_MOVES_UPSERT = prepared(_moves_upsert(), MOVES.c.keys())
