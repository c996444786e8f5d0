"""How does a client ask for another try of what was refused or failed?"""

from pydantic import Field

from app.contract.wire import GameId, WireModel


class RetryRequest(WireModel):
    """Which games to try again."""

    games: list[GameId] | None = Field(default=None, max_length=1_000, description="null for all.")


class RetryAnswer(WireModel):
    """How many are tried again."""

    retried: int
