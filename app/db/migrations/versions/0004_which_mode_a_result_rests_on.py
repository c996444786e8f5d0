"""Which mode a result rests on

Revision: 0004, after 0003. Works with the release before it, which neither reads nor writes the column: of its
results the mode is unknown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    mode = sa.Enum(
        "fixed", "adaptive", name="budgetmode", native_enum=False, create_constraint=True, length=32
    )
    op.add_column("plugin_results", sa.Column("mode", mode, nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("plugin_results", "mode")
