"""Evaluations of several budgets and lines, and what an analysis rests on

Revision: 0002, after 0001. Works with the release before it, which knows nothing of the new columns: all have
a default or may be NULL, and what it stores gets one line.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_KEY = ("position_key", "halfmove_clock", "engine_id", "budget_nodes")


def upgrade() -> None:
    """Apply; may be repeated after it was broken off."""
    op.execute("ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS lines smallint NOT NULL DEFAULT 1")
    _replace_key((*_KEY, "lines"))
    op.add_column(
        "evaluations",
        sa.Column("further", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "game_analyses", sa.Column("source", _enum("evaluationsource", "engine", "lichess"), nullable=True)
    )
    op.add_column("game_analyses", sa.Column("mode", _enum("budgetmode", "fixed", "adaptive"), nullable=True))
    op.add_column("game_analyses", sa.Column("position_nodes", sa.ARRAY(sa.BigInteger()), nullable=True))
    op.add_column("game_analyses", sa.Column("searched_positions", sa.Integer(), nullable=True))
    op.add_column("game_analyses", sa.Column("searched_nodes", sa.BigInteger(), nullable=True))
    op.execute("UPDATE game_analyses SET source = 'engine', mode = 'fixed' WHERE engine_id IS NOT NULL")
    op.alter_column("plugin_results", "engine_id", nullable=True)
    op.alter_column("plugin_results", "budget_nodes", nullable=True)


def downgrade() -> None:
    """Undo; fails where results rest on Lichess's evaluations. What several lines say is lost."""
    op.alter_column("plugin_results", "budget_nodes", nullable=False)
    op.alter_column("plugin_results", "engine_id", nullable=False)
    for column in ("searched_nodes", "searched_positions", "position_nodes", "mode", "source"):
        op.drop_column("game_analyses", column)
    op.execute("DELETE FROM evaluations WHERE lines > 1")
    op.drop_column("evaluations", "further")
    _replace_key(_KEY)
    op.drop_column("evaluations", "lines")


def _replace_key(columns: tuple[str, ...]) -> None:
    # Workers read and write the table meanwhile: the new index is built beside them, and takes over in no time.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS pk_evaluations_new")
        op.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY pk_evaluations_new ON evaluations ({', '.join(columns)})"
        )
    op.execute(
        "ALTER TABLE evaluations DROP CONSTRAINT pk_evaluations,"
        " ADD CONSTRAINT pk_evaluations PRIMARY KEY USING INDEX pk_evaluations_new"
    )


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)
