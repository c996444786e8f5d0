"""How do the ingestion workers and the API talk about what was seen, stored and refused?"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.contract.games import GameRecord
from app.contract.wire import GameId, LongText, PositiveBigInt, Text, Username, UtcDatetime, WireModel

EXPORT_BY_ID_MAX = 300
"""Ids that one `POST /api/games/export/_ids` takes (lichess-org/api @ f59dc80)."""
SEEN_BATCH_MAX = 500
STORE_BATCH_MAX = 100


LineNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Number of a line in its run."""


class FetchKind(StrEnum):
    """What a request asks Lichess for."""

    STREAM = "stream"
    """A player's games by date, oldest first."""
    IDS = "ids"
    """Named games: holes in the manifest, unfinished games, games that Lichess may have analysed since."""


class FetchOutcome(StrEnum):
    """How one request to Lichess ended."""

    COMPLETE = "complete"
    """The whole answer arrived, with a clean end."""
    CUT = "cut"
    """Broken off: reset, stall, half a line, or the safeguard that shut the socket."""
    UNORDERED = "unordered"
    """A stream's dates went backwards: the cursor may have passed over games that come later in it."""
    STOPPED = "stopped"
    """Ended by us: a warm stop, or consumers that fell too far behind."""
    RATE_LIMITED = "rate_limited"
    """429."""
    UNAVAILABLE = "unavailable"
    """5xx, refused connection, timeout before the answer, an answer that is no NDJSON, or a 404 or 401 that
    is not Lichess's own JSON."""
    NOT_FOUND = "not_found"
    """Lichess's own 404, as JSON with an `error`: unknown and closed accounts look alike."""
    UNAUTHORISED = "unauthorised"
    """Lichess's own 401: the token is not, or no longer, valid."""


class DuePlayers(WireModel):
    """Whom to fetch now, the longest waiting first."""

    players: list[Username]


class FetchClaim(WireModel):
    """A producer that holds the global gate asks what to fetch for one player."""

    player: Username
    fence: PositiveBigInt
    """The gate's fence: a claim with one older than the newest seen is refused (409 stale_fence)."""


class FetchPlan(WireModel):
    """One request to Lichess."""

    run_id: PositiveBigInt
    """Identifies the request and fences its reports; larger means later, over all players."""
    player: Username
    kind: FetchKind
    since_ms: PositiveBigInt | None = None
    """Inclusive lower bound of createdAt in epoch milliseconds; None asks from the beginning."""
    max_games: Annotated[int, Field(ge=1)]
    ids: list[GameId] = Field(default_factory=list, max_length=EXPORT_BY_ID_MAX)


class FetchAnswer(WireModel):
    """What a claim yields; without a plan nothing is due, or Lichess must not be asked before a moment."""

    plan: FetchPlan | None
    not_before: UtcDatetime | None = None


class SeenGame(WireModel):
    """One line of the stream, entered in the manifest before anybody has parsed its moves."""

    id: GameId
    created_at_ms: PositiveBigInt
    line: LineNumber


class SeenGames(WireModel):
    """Lines of one run, in the order in which they came."""

    games: Annotated[list[SeenGame], Field(min_length=1, max_length=SEEN_BATCH_MAX)]


class GarbledLine(WireModel):
    """A line that has no usable id or date, in an answer whose other lines name games."""

    line: LineNumber
    reason: Text
    raw: LongText
    """The line, cut to 64 Ki characters, NUL replaced."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the whole line."""


class GarbledVerdict(StrEnum):
    """What the producer does about a garbled line."""

    STOP = "stop"
    """End the run here as cut: the next one reads the line again, in case it was a fault on the way."""
    REFUSED = "refused"
    """The same bytes came too often: the line is recorded as refused, go on behind it."""


class GarbledAnswer(WireModel):
    """The API's decision on a garbled line."""

    verdict: GarbledVerdict


class FetchReport(WireModel):
    """How a run ended."""

    outcome: FetchOutcome
    lines: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """Complete lines received, blank ones not counted."""
    detail: Text | None = None


class KeptLine(WireModel):
    """The line of a game that was refused once, is tried again, and that Lichess does not return any more."""

    id: GameId
    run_id: PositiveBigInt
    """The run that the line came in."""
    line: LineNumber
    raw: LongText


class FetchVerdict(WireModel):
    """What is left to do after a run."""

    more: bool
    """Whether the same player has more to fetch at once."""
    kept: list[KeptLine] = Field(default_factory=list, max_length=EXPORT_BY_ID_MAX)
    """What goes to the consumers in place of what Lichess did not return."""


class Refusal(WireModel):
    """Why a line could not be stored."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    """Stable and searchable: "invalid_field", "not_accepted", "vanished", …"""
    detail: Text
    raw: LongText


class Observation(WireModel):
    """One line of one run, parsed: a game to store, or the reason why it can't be."""

    player: Username
    run_id: PositiveBigInt
    line: LineNumber
    id: GameId
    created_at_ms: PositiveBigInt
    game: GameRecord | None = None
    refusal: Refusal | None = None


class Observations(WireModel):
    """What consumers made of some lines."""

    observations: Annotated[list[Observation], Field(min_length=1, max_length=STORE_BATCH_MAX)]


class StoreAnswer(WireModel):
    """Counts over the observations of one request."""

    stored: int
    """New games."""
    updated: int
    """Known games that changed."""
    unchanged: int
    """Known games that did not, or that were newer already."""
    refused: int
