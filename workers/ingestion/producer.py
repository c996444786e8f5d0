"""What happens between a player who is due and the last line of the request to Lichess?"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import redis
import structlog
from celery.exceptions import SoftTimeLimitExceeded

from app.contract.ingestion import (
    FetchAnswer,
    FetchClaim,
    FetchKind,
    FetchOutcome,
    FetchPlan,
    FetchReport,
    GarbledLine,
    GarbledVerdict,
    KeptLine,
    SeenGame,
    SeenGames,
)
from workers import status
from workers.api_client import ApiClient, NotFound, StaleFence, StaleRun
from workers.ingestion.cutoff import CutOff, RequestEnded
from workers.ingestion.lichess import LichessClient
from workers.ingestion.lines import GarbledError, RawLine, for_people, read_game
from workers.ingestion.lock import Gate, Hold
from workers.ingestion.pressure import Pressure
from workers.progress import board

_LOG = structlog.get_logger(__name__)

SEEN_BATCH: Final = 100
SEEN_SECONDS: Final = 1.0
"""Lines enter the manifest in batches of so many, or after so long, whichever comes first."""
_CLAIM_TRIES: Final = 3
_HELD_LINES: Final = 16
"""Lines at the beginning of an answer that may name no game; each may have 1 MiB."""

Dispatch = Callable[[FetchPlan, int, str], None]
"""Sends one game on its way: plan, number of its line, payload. Raises where the broker does not take it."""


class Producer:
    """Fetches one player's next slice of games."""

    def __init__(
        self,
        api: ApiClient,
        gate: Gate,
        lichess: LichessClient,
        dispatch: Dispatch,
        pressure: Pressure,
        *,
        gate_wait_seconds: float,
        deadline_seconds: float,
        rate_limit_seconds: float,
    ) -> None:
        self._api = api
        self._gate = gate
        self._lichess = lichess
        self._dispatch = dispatch
        self._pressure = pressure
        self._gate_wait_seconds = gate_wait_seconds
        self._deadline_seconds = deadline_seconds
        self._rate_limit_seconds = rate_limit_seconds

    def fetch(self, player: str) -> bool:
        """Run one request for a player, if one is due; tell whether the same player has more at once.

        Raises GateBusyError, GateClosedError, RedisError and ApiError; whatever happens, the run that
        was opened ends by report or, if nobody can report, by the next claim.
        """
        for _ in range(_CLAIM_TRIES):
            with self._gate.hold(
                wait_seconds=self._gate_wait_seconds, deadline_seconds=self._deadline_seconds
            ) as hold:
                try:
                    return self._take_turn(player, hold)
                except StaleFence as error:
                    # Redis lost its data, and the counter with it: go on from where PostgreSQL stands.
                    _LOG.warning("fence_behind", fence=hold.fence, floor=error.floor)
                    self._gate.raise_fence(error.floor or hold.fence)
        raise RuntimeError("the API refuses every fence")

    def _take_turn(self, player: str, hold: Hold) -> bool:
        try:
            answer = self._api.claim_fetch(FetchClaim(player=player, fence=hold.fence))
        except NotFound:
            _LOG.info("player_not_tracked")
            return False
        if answer.plan is None:
            self._heed(answer)
            return False
        with structlog.contextvars.bound_contextvars(run_id=answer.plan.run_id):
            try:
                return self._run(answer.plan, hold.cutoff)
            except StaleRun as error:
                _LOG.warning("run_taken_over", detail=error.detail)
                return False

    def _heed(self, answer: FetchAnswer) -> None:
        if answer.not_before is None:
            return
        # By the clock of this host, as the API's: they are one host, or keep time.
        seconds = answer.not_before.timestamp() - time.time()
        self._gate.close_for(seconds)
        board.say(status.closed_for(seconds), stays=True)

    def _run(self, plan: FetchPlan, cutoff: CutOff) -> bool:
        run = Run(plan, self._api, self._dispatch, self._pressure, cutoff)
        _LOG.info("fetch_started", kind=plan.kind.value, since_ms=plan.since_ms, ids=len(plan.ids))
        board.say(f"fetching {plan.player}: asking Lichess")
        outcome, detail = FetchOutcome.COMPLETE, None
        try:
            cutoff.check()
            self._gate.request_sent()
            with self._lichess.games(plan, cutoff) as lines:
                self._gate.status_known()
                run.read(lines)
        except RequestEnded as end:
            outcome, detail = end.outcome, end.detail
            if outcome is FetchOutcome.RATE_LIMITED:
                self._gate.close_for(self._rate_limit_seconds)
            if cutoff.reason is None:  # else we may not have waited for the status
                self._gate.status_known()
        except (redis.RedisError, SoftTimeLimitExceeded) as error:
            outcome, detail = FetchOutcome.CUT, f"on our side: {type(error).__name__}"
        run.flush()
        verdict = self._api.finish_fetch(
            plan.run_id, FetchReport(outcome=outcome, lines=run.lines, detail=detail)
        )
        self._send_kept(plan, verdict.kept)
        if outcome is FetchOutcome.RATE_LIMITED:
            board.say(status.closed_for(self._rate_limit_seconds), stays=True)
        else:
            board.say(f"idle; last {plan.player}: {run.lines:,} games at {status.utc()}", stays=True)
        _LOG.info("fetch_finished", outcome=outcome.value, detail=detail, lines=run.lines, more=verdict.more)
        return verdict.more

    def _send_kept(self, plan: FetchPlan, lines: Sequence[KeptLine]) -> None:
        """Send lines on that came once; a game of which none is sent stays a hole, and has its turn again."""
        for kept in lines:
            try:
                game = read_game(RawLine(kept.raw.encode()))
            except GarbledError as error:
                _LOG.warning("kept_line_garbled", game=kept.id, reason=str(error))
                continue
            try:
                self._dispatch(plan.model_copy(update={"run_id": kept.run_id}), kept.line, game.payload)
            except Exception as error:  # noqa: BLE001  the broker's are of many kinds
                _LOG.warning("dispatch_failed", game=kept.id, error=f"{type(error).__name__}: {error}")
                return


class Run:
    """The lines of one request on their way to the consumers and into the manifest."""

    def __init__(
        self,
        plan: FetchPlan,
        api: ApiClient,
        dispatch: Dispatch,
        pressure: Pressure,
        cutoff: CutOff,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._api = api
        self._dispatch = dispatch
        self._pressure = pressure
        self._cutoff = cutoff
        self._clock = clock
        self._seen: list[SeenGame] = []
        self._started_at = self._flushed_at = clock()
        self._last_created_at_ms = 0
        self.lines = 0
        """Complete lines so far, blank ones not counted."""

    def read(self, lines: Iterator[RawLine]) -> None:
        """Send each line on as it comes; raises RequestEnded, StaleRun, ApiError.

        On RequestEnded some lines may still have to be flushed: those that were sent on.
        """
        for line in _of_games(lines):
            self._take(line)
            if len(self._seen) >= SEEN_BATCH or self._clock() - self._flushed_at >= SEEN_SECONDS:
                self.flush()
            self._pressure.yield_to_consumers(self._cutoff)

    def flush(self) -> None:
        """Enter in the manifest what was sent on since the last time; raises StaleRun, ApiError."""
        if self._seen:
            self._api.report_seen(self._plan.run_id, SeenGames(games=self._seen))
            self._seen = []
        self._flushed_at = self._clock()
        elapsed = self._flushed_at - self._started_at
        rate = self.lines / elapsed if elapsed else 0.0
        board.say(f"fetching {self._plan.player}: {self.lines:,} games, {rate:.0f}/s")

    def _take(self, line: RawLine) -> None:
        number = self.lines + 1
        try:
            game = read_game(line)
        except GarbledError as error:
            self._ask_about(line, number, str(error))
            self.lines = number
            return
        if self._plan.kind is FetchKind.STREAM and game.created_at_ms < self._last_created_at_ms:
            # The cursor would pass over games that come later in the stream and are older: what is newer than
            # this line must not move it (those games are stored all the same, and seen again).
            self._seen = [seen for seen in self._seen if seen.created_at_ms <= game.created_at_ms]
            raise RequestEnded(FetchOutcome.UNORDERED, f"line {number} is older than the one before")
        try:
            self._dispatch(self._plan, number, game.payload)
        except Exception as error:
            # Not in the manifest, so the next run reads this line again.
            _LOG.warning("dispatch_failed", line=number, error=f"{type(error).__name__}: {error}")
            raise RequestEnded(FetchOutcome.CUT, "the broker did not take a game") from error
        self._last_created_at_ms = game.created_at_ms
        self._seen.append(SeenGame(id=game.id, created_at_ms=game.created_at_ms, line=number))
        self.lines = number

    def _ask_about(self, line: RawLine, number: int, reason: str) -> None:
        # First the lines before it: a refused line takes its date from them.
        self.flush()
        garbled = GarbledLine(
            line=number,
            reason=reason.replace("\x00", "")[:500],
            raw=for_people(line),
            digest=line.digest or hashlib.sha256(line.data).hexdigest(),
        )
        _LOG.warning("line_garbled", line=number, reason=garbled.reason)
        if self._api.report_garbled(self._plan.run_id, garbled).verdict is GarbledVerdict.STOP:
            raise RequestEnded(FetchOutcome.CUT, f"line {number} is garbled: {garbled.reason}")


def _of_games(lines: Iterator[RawLine]) -> Iterator[RawLine]:
    """Yield the lines of an answer; raises RequestEnded where it begins with too many that name no game.

    A line is garbled only in an answer that has games. Without one, the whole is something else that bears
    NDJSON's name, as a page or an error: none of its lines may be held against the account.
    """
    held: list[RawLine] = []
    reason = ""
    for line in lines:
        held.append(line)
        try:
            read_game(line)
        except GarbledError as error:
            reason = reason or str(error)
            if len(held) == _HELD_LINES:
                break
        else:
            yield from held
            yield from lines
            return
    if held:
        detail = f"status 200 without a line that names a game; the first: {reason}"
        raise RequestEnded(FetchOutcome.UNAVAILABLE, detail.replace("\x00", "")[:500])
