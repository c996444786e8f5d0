"""How a game's tournament is called, and indexes by the end of games

Revision: 0007, after 0006. Works with the release before it, which neither reads nor writes the column: what it
stores has no name until Lichess shows the game again.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_INDEXES = {
    "ix_games_last_move_at_id": "last_move_at DESC, id DESC",
    "ix_games_white_id_last_move_at": "white_id, last_move_at DESC, id DESC",
    "ix_games_black_id_last_move_at": "black_id, last_move_at DESC, id DESC",
}


def upgrade() -> None:
    """Apply; may be repeated after it was broken off."""
    op.execute("ALTER TABLE games ADD COLUMN IF NOT EXISTS tournament_name text")
    # Games are stored and read meanwhile.
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON games ({columns})")


def downgrade() -> None:
    """Undo."""
    for name in _INDEXES:
        op.drop_index(name, table_name="games")
    op.drop_column("games", "tournament_name")
