"""How does a client see a tracked account?"""

from enum import StrEnum

from app.contract.wire import Text, Username, UtcDatetime, WireModel


class PlayerState(StrEnum):
    """Whether Scoresheet can fetch the account."""

    ACTIVE = "active"
    NOT_FOUND = "not_found"
    """Lichess says that it has no such account: misspelt, or closed; asked again over the next days."""
    GONE = "gone"
    """Lichess said so three times over days: asked again once a week, or when somebody asks for a sync."""
    UNAUTHORISED = "unauthorised"
    """Lichess says that the token is not valid. Paused until somebody asks for a sync."""


class Completeness(WireModel):
    """The ledger's sum: at rest `seen == stored + refused`."""

    seen: int
    """Lines that Lichess showed, by game id."""
    stored: int
    refused: int
    pending: int
    """Seen and neither stored nor refused yet."""
    complete: bool
    """The whole history was seen and nothing is pending."""


class PlayerView(WireModel):
    """A tracked account with its sync state."""

    username: Username
    tracked: bool
    state: PlayerState
    """`not_found`, later `gone`: Lichess says that it has no such account; it is asked again, in the end once
    a week. `unauthorised`: the token is not valid; paused until somebody asks for a sync."""
    state_detail: Text | None
    """Why the state is what it is, or how the last request failed: what was answered, if anything."""
    cursor: UtcDatetime | None
    """Every game created before this moment is stored, or refused with its reason."""
    syncing: bool
    """A request to Lichess is under way."""
    backfilling: bool
    """There is more of the history to fetch."""
    next_sync_at: UtcDatetime
    synced_at: UtcDatetime | None
    completeness: Completeness
