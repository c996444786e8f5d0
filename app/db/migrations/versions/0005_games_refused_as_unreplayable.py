"""Games refused because they could not be replayed

Revision: 0005, after 0004. Changes no table: it makes pending what was refused for its moves or its initial
position, so that it is fetched again, and stored. The line that came stays: Lichess may not return it any more.
The release before it would refuse the games once more.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.execute(
        # Locked in the order of ids, as consumers of a release that still runs lock them.
        """
        WITH reopened AS MATERIALIZED (
            SELECT player_id, source_id FROM seen_games
            WHERE state = 'refused' AND refusal_code IN ('illegal_move', 'invalid_fen')
            ORDER BY source_id, player_id
            FOR UPDATE
        )
        UPDATE seen_games
        SET state = 'pending', attempts = 0, retry_at = now(), updated_at = now(),
            refusal_code = NULL, refusal_detail = NULL
        FROM reopened
        WHERE (seen_games.player_id, seen_games.source_id) = (reopened.player_id, reopened.source_id)
        """
    )


def downgrade() -> None:
    """Undo nothing: what is pending is fetched by any release."""
