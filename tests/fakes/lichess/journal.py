"""Which requests were made, from when to when, and did any break Lichess's rules?"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Endpoint(StrEnum):
    """The two exports that Scoresheet uses."""

    GAMES_OF_USER = "games_of_user"
    GAMES_BY_IDS = "games_by_ids"


class Refusal(StrEnum):
    """The rule that a request broke."""

    CONCURRENT = "concurrent"  # another request was under way
    PENALTY = "penalty"  # a 429 had been answered less than the penalty time ago


class Outcome(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"  # every byte handed to the connection
    CUT = "cut"  # the server hung up, by a scripted fault
    CLIENT_LEFT = "client_left"  # the client closed the connection first


@dataclass(slots=True)
class RecordedRequest:
    """One request; times are seconds of the system-wide monotonic clock, `ended_s` None while it runs.

    `status` is None until the answer begins; `games_sent` counts whole game lines, repeats included.
    """

    number: int
    endpoint: Endpoint
    started_s: float
    username: str | None = None
    ids: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    accept: str = ""
    user_agent: str = ""
    authenticated_as: str | None = None
    fault: str | None = None
    refusal: Refusal | None = None
    status: int | None = None
    outcome: Outcome | None = None
    games_sent: int = 0
    ended_s: float | None = None

    @property
    def accepted(self) -> bool:
        """Tell whether the server let it in, whatever it then answered."""
        return self.refusal is None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "RecordedRequest":
        """Read what `to_json` wrote."""
        enums = {"endpoint": Endpoint, "refusal": Refusal, "outcome": Outcome}
        typed = {key: enum(record[key]) for key, enum in enums.items() if record[key] is not None}
        return cls(**{**record, **typed})


class Journal:
    """Every request since the last reset, in order of arrival."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self.requests: list[RecordedRequest] = []

    def open(self, endpoint: Endpoint) -> RecordedRequest:
        """Start a record now."""
        self._count += 1
        record = RecordedRequest(number=self._count, endpoint=endpoint, started_s=self._clock())
        self.requests.append(record)
        return record

    def close(self, record: RecordedRequest, outcome: Outcome) -> None:
        """End a record now; a record ends once, later calls change nothing."""
        if record.ended_s is None:
            record.ended_s = self._clock()
            record.outcome = outcome

    def clear(self) -> None:
        """Forget all requests; numbers go on."""
        self.requests = []


def overlaps(requests: Iterable[RecordedRequest]) -> list[tuple[RecordedRequest, RecordedRequest]]:
    """Return the pairs of requests that were under way at the same time, refused ones included.

    The server refuses whatever arrives while it is busy, so two accepted requests can't overlap; the
    attempt is what breaks "one request at a time". A request without an end is still under way.
    """
    by_start = sorted(requests, key=lambda request: request.started_s)
    pairs = []
    for index, first in enumerate(by_start, start=1):
        for second in by_start[index:]:
            if first.ended_s is not None and second.started_s >= first.ended_s:
                break
            pairs.append((first, second))
    return pairs


def penalty_violations(requests: Iterable[RecordedRequest]) -> list[RecordedRequest]:
    """Return the requests made within the penalty time of a 429."""
    return [request for request in requests if request.refusal is Refusal.PENALTY]
