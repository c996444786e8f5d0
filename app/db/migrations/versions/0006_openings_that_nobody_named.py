"""Openings that nobody named

Revision: 0006, after 0005. Works with the release before it, which writes Lichess's names only, and of new games the
column's default says so; a game that it sees again meanwhile may be said to have a name of ours. Names the openings of games that are stored without a name; nothing else of a game changes, not
even `updated_at`, which tells of what its source says.
"""

from collections.abc import Iterator, Sequence

from alembic import op
from sqlalchemy import Connection, Row, text

from app.contract.openings import NAMED_VARIANTS, SEARCHED_PLIES, name_opening

revision = "0006"
down_revision = "0005"

_BATCH_GAMES = 2_000
"""As many rows are locked, for a few hundredths of a second, while others go on reading and writing."""
_NAMELESS = text("""
    SELECT id, run_id, line, variant, position_keys[1:CAST(:plies AS int) + 1] AS position_keys,
           CASE variant WHEN 'crazyhouse' THEN san[1:CAST(:plies AS int)] ELSE '{}' END AS san
    FROM games JOIN game_moves ON game_id = id
    WHERE id > :last AND eco IS NULL AND plies > 0 AND variant = ANY(:variants)
    ORDER BY id LIMIT :games
""")
# Whoever observed a game meanwhile knows better.
_NAME = text("""
    WITH locked AS MATERIALIZED (  -- in the order in which consumers lock them
        SELECT id FROM games WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY source_id FOR UPDATE
    )
    UPDATE games
    SET eco = found.eco, opening_name = found.name, opening_ply = found.ply, opening_is_ours = true
    FROM unnest(CAST(:ids AS bigint[]), CAST(:runs AS bigint[]), CAST(:lines AS bigint[]),
                CAST(:ecos AS text[]), CAST(:names AS text[]), CAST(:plies AS smallint[]))
         AS found (id, run_id, line, eco, name, ply) JOIN locked USING (id)
    WHERE games.id = found.id AND games.run_id = found.run_id AND games.line = found.line
          AND games.eco IS NULL
""")


def upgrade() -> None:
    """Apply; may be repeated after it was broken off."""
    op.execute("ALTER TABLE games ADD COLUMN IF NOT EXISTS opening_is_ours boolean NOT NULL DEFAULT false")
    # Each batch is committed by itself: a million games take minutes.
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        for games in _batches(connection):
            _name(connection, games)


def downgrade() -> None:
    """Undo: names are Lichess's or none, as before."""
    op.execute("UPDATE games SET eco = NULL, opening_name = NULL, opening_ply = NULL WHERE opening_is_ours")
    op.drop_column("games", "opening_is_ours")


def _batches(connection: Connection) -> Iterator[Sequence[Row[tuple[object, ...]]]]:
    wanted = {"last": 0, "variants": sorted(NAMED_VARIANTS), "plies": SEARCHED_PLIES, "games": _BATCH_GAMES}
    while games := connection.execute(_NAMELESS, wanted).all():
        yield games
        wanted["last"] = games[-1].id


def _name(connection: Connection, games: Sequence[Row[tuple[object, ...]]]) -> None:
    found = [(game, name_opening(game.variant, game.san, game.position_keys)) for game in games]
    named = [(game, opening) for game, opening in found if opening is not None]
    connection.execute(
        _NAME,
        {
            "ids": [game.id for game, _ in named],
            "runs": [game.run_id for game, _ in named],
            "lines": [game.line for game, _ in named],
            "ecos": [opening.eco for _, opening in named],
            "names": [opening.name for _, opening in named],
            "plies": [opening.ply for _, opening in named],
        },
    )
