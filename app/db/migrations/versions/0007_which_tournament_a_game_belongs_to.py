"""What the tournament of a game is called

Revision: 0007, after 0004. Works with the release before it, which neither reads nor writes the column: what it
stores has no name until Lichess shows the game again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.add_column("games", sa.Column("tournament_name", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("games", "tournament_name")
