"""How does a client see the ledger?"""

from datetime import datetime

from pydantic import BaseModel, Field

from app.contract.ingestion import FetchKind
from app.db.models import RunState


class RunView(BaseModel):
    """One request to Lichess."""

    id: int
    kind: FetchKind
    state: RunState
    since: datetime | None
    lines: int = Field(description="Lines received so far.")
    new_games: int = Field(description="Of them, games that were not in the ledger before.")
    detail: str | None = Field(description="How it failed, where it did.")
    started_at: datetime
    finished_at: datetime | None


class RefusalView(BaseModel):
    """A line that Lichess sent and that could not be stored."""

    player: str
    id: str = Field(description='The game\'s id, or "line:…" where the line names none.')
    code: str
    detail: str
    raw: str = Field(description="The line as it came.")
    created_at: datetime
    refused_at: datetime
