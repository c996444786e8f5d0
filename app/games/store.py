"""How does a game get into the database, whatever came before and in whatever order?

As parts of one statement (app/ingestion/storage.py), which this module knows best: the rows of a game.
"""

from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import CTE, Column, Text, bindparam, case, cast, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.selectable import TableValuedAlias

from app.contract.games import GameRecord, OpeningSource
from app.contract.rules import ANALYSABLE_VARIANTS
from app.db.base import Base
from app.games.revisits import next_revisit

GAMES: Final = Base.metadata.tables["games"]
MOVES: Final = Base.metadata.tables["game_moves"]


def is_analysable(record: GameRecord) -> bool:
    """Tell whether Stockfish plays the variant and all moves could be replayed."""
    return record.variant in ANALYSABLE_VARIANTS and record.moves.replayed


def rows(record: GameRecord, run_id: int, line: int) -> dict[str, str]:
    """Return a game's rows as the parameters that the parts below read: one JSON object a table.

    PostgreSQL takes a document apart faster than psycopg writes fifty parameters, long arrays above all.
    """
    game = {"source_id": record.id, "run_id": run_id, "line": line, **_columns(record)}
    moves = record.moves
    board = {
        "san": moves.san,
        "uci": moves.uci,
        "position_keys": moves.position_keys,
        "clocks_cs": moves.clocks_cs,
        "source_evaluations": None
        if record.evaluations is None
        else [item.model_dump(mode="json", exclude_none=True) for item in record.evaluations],
    }
    return {"game": to_json(game).decode(), "board": to_json(board).decode()}


def _columns(record: GameRecord) -> dict[str, Any]:
    opening, clock = record.opening, record.clock
    return {
        "digest": f"\\x{record.digest}",
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
        "opening_is_ours": opening is not None and opening.source is OpeningSource.SCORESHEET,
        "initial_seconds": clock and clock.initial_seconds,
        "increment_seconds": clock and clock.increment_seconds,
        "days_per_turn": record.days_per_turn,
        "tournament": record.tournament,
        "tournament_name": record.tournament_name,
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


_OPENING: Final = ("eco", "opening_name", "opening_ply", "opening_is_ours")
_OF_THE_DATABASE: Final = frozenset({"id", "source", "stored_at", "updated_at", "revisits"})
"""Columns that an observation says nothing of."""


def upsert_game() -> CTE:
    """Return the part that stores the game's row unless a later observation is stored already.

    Observations are ordered by (finished, run, line): a finished game never becomes unfinished again. So any
    number of observations, in any order, leave the same row, if Lichess names the opening in all of them or
    in none. It yields a row (id, created_at, inserted, changed), or none where a later observation stands;
    `changed` includes inserted.
    """
    names = [column.name for column in GAMES.c if column.name not in _OF_THE_DATABASE]
    statement = insert(GAMES).from_select(names, select(*_document("game", "games", names).c))
    new = statement.excluded
    # The same content sets the same values, so a second look only moves the observation on.
    observed = {name: new[name] for name in names if name != "source_id"}
    # But for an opening without Lichess's name: one that is stored already stays.
    stays = GAMES.c.eco.is_not(None) & ~GAMES.c.opening_is_ours & (new.eco.is_(None) | new.opening_is_ours)
    opening = {name: case((stays, GAMES.c[name]), else_=new[name]) for name in _OPENING}
    changed_at = case((new.digest != GAMES.c.digest, func.now()), else_=GAMES.c.updated_at)
    order = ("finished", "run_id", "line")
    return (
        statement.on_conflict_do_update(
            index_elements=["source", "source_id"],
            set_={**observed, **opening, "updated_at": changed_at},
            where=tuple_(*(new[name] for name in order)) > tuple_(*(GAMES.c[name] for name in order)),
        )
        .returning(
            GAMES.c.id,
            GAMES.c.created_at,
            literal_column("(games.xmax = 0)").label("inserted"),
            (GAMES.c.updated_at == func.now()).label("changed"),
        )
        .cte("stored")
    )


def upsert_moves(stored: CTE) -> CTE:
    """Return the part that stores the moves of a game that was inserted or changed."""
    names = [column.name for column in MOVES.c if column.name != "game_id"]
    board = _document("board", "game_moves", names)
    statement = insert(MOVES).from_select(
        ["game_id", *names], select(stored.c.id, *board.c).where(stored.c.changed)
    )
    return statement.on_conflict_do_update(
        index_elements=["game_id"], set_={name: statement.excluded[name] for name in names}
    ).cte("board_stored")


def moves_changed(stored: CTE) -> CTE:
    """Return the part that yields the game's id where its moves are others than before, else nothing.

    Nothing that was found in the old moves is of the game then. The keys tell another initial position or
    variant, too, under which the same moves are another game.
    """
    return _changed(stored, "moves_changed", ["variant"], ["san", "position_keys"])


def input_changed(stored: CTE) -> CTE:
    """Return the part that yields the game's id where a plugin would be told otherwise of it, else nothing.

    What plugins made of it is void then: of the moves, and of what Lichess adds later, mostly its analysis.
    """
    told = [
        *("variant", "initial_fen", "status", "winner", "speed"),
        *("initial_seconds", "increment_seconds", "days_per_turn", "middlegame_ply", "endgame_ply"),
    ]
    board = ["san", "uci", "position_keys", "clocks_cs", "source_evaluations"]
    return _changed(stored, "input_changed", told, board)


def _changed(stored: CTE, name: str, of_game: list[str], of_board: list[str]) -> CTE:
    """Return the part that yields the game's id where one of these columns has changed, else nothing.

    All parts of a statement see what was there before it.
    """
    was, now = GAMES.alias("was"), _document("game", "games", of_game)
    board = _document("board", "game_moves", of_board)
    before = [*(was.c[column] for column in of_game), *(MOVES.c[column] for column in of_board)]
    return (
        select(stored.c.id)
        .select_from(
            stored.join(was, was.c.id == stored.c.id)
            .join(MOVES, MOVES.c.game_id == stored.c.id)
            .join(now, literal_column("true"))
            .join(board, literal_column("true"))
        )
        .where(stored.c.changed, tuple_(*before).is_distinct_from(tuple_(*now.c, *board.c)))
        .cte(name)
    )


def _document(parameter: str, table: str, names: list[str]) -> TableValuedAlias:
    """Return a JSON object among the parameters as a row of a table, by the names of its columns."""
    columns = Base.metadata.tables[table].c
    document = cast(bindparam(parameter, type_=Text), JSONB)
    return func.jsonb_populate_record(literal_column(f"NULL::{table}"), document).table_valued(
        *(Column(name, columns[name].type) for name in names),
        name=f"{parameter}_document",
    )
