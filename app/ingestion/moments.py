"""How does Lichess write a moment, and which ones can be of a game?"""

from datetime import UTC, datetime, timedelta
from typing import Final

from app.errors import InvalidInput

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(moment: datetime) -> int:
    """Return epoch milliseconds, as Lichess counts."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(value: int) -> datetime:
    """Return the moment of epoch milliseconds; raises InvalidInput where no game can have begun then.

    One in the future would carry the cursor past games that are still to be played.
    """
    if not _FIRST_GAME_MS <= value <= to_ms(datetime.now(UTC) + _CLOCK_ERROR):
        raise InvalidInput(f"{value} is no time in milliseconds at which a game began")
    return EPOCH + timedelta(milliseconds=value)


_FIRST_GAME_MS: Final = to_ms(datetime(2010, 1, 1, tzinfo=UTC))
"""Lichess began in 2010: an earlier moment is seconds mistaken for milliseconds."""
_CLOCK_ERROR: Final = timedelta(days=3)
"""More than the clocks of Lichess, of a producer and of this host differ."""
