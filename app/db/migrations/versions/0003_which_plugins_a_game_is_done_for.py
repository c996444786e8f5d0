"""Which plugins a game is done for

Revision: 0003, after 0002. Works with the release before it, which neither reads nor writes the column: a game
without it is looked at once more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply."""
    op.add_column("game_analyses", sa.Column("plugin_set", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("game_analyses", "plugin_set")
