"""What do the API, Lichess and Redis look like to the producer?"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from app.contract.ingestion import (
    DuePlayers,
    FetchAnswer,
    FetchClaim,
    FetchKind,
    FetchPlan,
    FetchReport,
    FetchVerdict,
    GarbledAnswer,
    GarbledLine,
    GarbledVerdict,
    KeptLine,
    Observation,
    Observations,
    SeenGame,
    SeenGames,
    StoreAnswer,
)
from workers.api_client import ApiClient
from workers.ingestion.cutoff import CutOff
from workers.ingestion.lock import Gate, Hold

NEVER = float("inf")


def make_plan(**changes: Any) -> FetchPlan:
    values = {"run_id": 7, "player": "alice", "kind": FetchKind.STREAM, "max_games": 1_000} | changes
    return FetchPlan(**values)


@dataclass
class FakeApi:
    """Answers as told and keeps what it was told; raises what `faults` hold for a call, unless None."""

    answers: list[FetchAnswer] = field(default_factory=lambda: [FetchAnswer(plan=make_plan())])
    verdict: GarbledVerdict = GarbledVerdict.STOP
    more: bool = False
    kept: list[KeptLine] = field(default_factory=list)
    due: list[str] = field(default_factory=list)
    faults: dict[str, Sequence[Exception | None]] = field(default_factory=dict)
    claims: list[FetchClaim] = field(default_factory=list)
    batches: list[list[SeenGame]] = field(default_factory=list)
    garbled: list[GarbledLine] = field(default_factory=list)
    reports: list[FetchReport] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    stores: int = 0
    """Requests that brought them."""

    def _maybe_fail(self, what: str) -> None:
        fault, *rest = self.faults.get(what) or [None]
        self.faults[what] = rest
        if fault is not None:
            raise fault

    def due_players(self, limit: int) -> DuePlayers:
        return DuePlayers(players=self.due[:limit])

    def claim_fetch(self, claim: FetchClaim) -> FetchAnswer:
        self.claims.append(claim)
        self._maybe_fail("claim")
        return self.answers.pop(0)

    def report_seen(self, run_id: int, games: SeenGames) -> None:
        assert run_id == 7
        self._maybe_fail("seen")
        self.batches.append(games.games)

    def report_garbled(self, run_id: int, line: GarbledLine) -> GarbledAnswer:
        assert run_id == 7
        self._maybe_fail("garbled")
        self.garbled.append(line)
        return GarbledAnswer(verdict=self.verdict)

    def finish_fetch(self, run_id: int, report: FetchReport) -> FetchVerdict:
        assert run_id == 7
        self._maybe_fail("finish")
        self.reports.append(report)
        return FetchVerdict(more=self.more, kept=self.kept)

    def store(self, observations: Observations) -> StoreAnswer:
        self.stores += 1
        self._maybe_fail("store")
        self.observations.extend(observations.observations)
        return StoreAnswer(stored=len(observations.observations), updated=0, unchanged=0, refused=0)

    @property
    def seen(self) -> list[tuple[int, str]]:
        """All lines entered in the manifest, as (line, game)."""
        return [(game.line, game.id) for batch in self.batches for game in batch]

    def as_client(self) -> ApiClient:
        return cast("ApiClient", self)


@dataclass
class FakeGate:
    """Always free; counts fences up and remembers what it was asked to do."""

    fence: int = 0
    closed_for: list[float] = field(default_factory=list)
    inside: bool = False
    events: list[str] = field(default_factory=list)
    """What was noted, in order."""
    cutoff: CutOff = field(default_factory=lambda: CutOff(NEVER))

    @contextmanager
    def hold(self, *, wait_seconds: float, deadline_seconds: float) -> Iterator[Hold]:
        assert wait_seconds >= 0
        assert deadline_seconds > 0
        self.fence += 1
        self.inside = True
        try:
            yield Hold(self.fence, self.cutoff, NEVER)
        finally:
            self.inside = False

    def raise_fence(self, floor: int) -> None:
        self.fence = max(self.fence, floor)

    def close_for(self, seconds: float) -> None:
        self.closed_for.append(seconds)
        self.events.append("closed")

    def request_sent(self) -> None:
        assert self.inside
        self.events.append("sent")

    def status_known(self) -> None:
        assert self.inside
        self.events.append("known")

    def as_gate(self) -> Gate:
        return cast("Gate", self)


class Answer(httpx.SyncByteStream):
    """The body of an answer of Lichess: chunks, or an exception where the connection breaks."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = chunks
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed = True


def error_of_lichess(status: int, message: str) -> httpx.Response:
    """Return an error as Lichess itself answers it."""
    body = json.dumps({"error": message}, separators=(",", ":")).encode()
    return httpx.Response(status, headers={"Content-Type": "application/json"}, stream=Answer(body))


def ndjson(*chunks: bytes | Exception, chunked: bool = True) -> httpx.Response:
    """Return an answer of Lichess that is well so far."""
    headers = {"Content-Type": "application/x-ndjson"} | ({"Transfer-Encoding": "chunked"} if chunked else {})
    return httpx.Response(200, headers=headers, stream=Answer(*chunks))
