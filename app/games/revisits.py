"""When is a stored game worth fetching again by its id?"""

from datetime import UTC, datetime, timedelta

from app.contract.games import GameRecord

_UNFINISHED_WAIT = timedelta(minutes=10)
_CORRESPONDENCE_WAIT = timedelta(hours=6)
# Players ask Lichess for an analysis right after a game or days later; behind the cursor nothing
# else would ever show it.
_ANALYSIS_AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))


def next_revisit(record: GameRecord, now: datetime | None = None) -> datetime | None:
    """Return when to fetch a game again, or None for never.

    An unfinished game until it is finished; a finished one without Lichess's analysis at some ages
    of its last move, so an old game of a backfill never.
    """
    now = now or datetime.now(UTC)
    if not record.finished:
        # One without any limit counts as correspondence at Lichess.
        slow = record.days_per_turn is not None or record.speed == "correspondence"
        return now + (_CORRESPONDENCE_WAIT if slow else _UNFINISHED_WAIT)
    if record.evaluations is not None:
        return None
    return next(
        (record.last_move_at + age for age in _ANALYSIS_AGES if record.last_move_at + age > now), None
    )
