"""What does the fake Lichess know, and how does it answer an export?"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from tests.fakes.lichess.delivery import Answer
from tests.fakes.lichess.faults import Fault, FaultKind, FaultScript
from tests.fakes.lichess.game_json import game_line, visible_game
from tests.fakes.lichess.gate import DEFAULT_PENALTY_SECONDS, Gate
from tests.fakes.lichess.journal import Endpoint, Journal, RecordedRequest
from tests.fakes.lichess.pgn import game_to_pgn
from tests.fakes.lichess.playback import Send, play
from tests.fakes.lichess.query import BadRequestError, FieldSwitches, Sort, UserExport, parse_ids
from tests.fakes.lichess.world import ONGOING, UNFINISHED, StoredGame, World

NDJSON = "application/x-ndjson"
PGN = "application/x-chess-pgn"
JSON = "application/json"
HTML = "text/html; charset=utf-8"

ANONYMOUS_GAMES_PER_SECOND = 20.0
TOKEN_GAMES_PER_SECOND = 30.0
OWN_GAMES_PER_SECOND = 60.0

# Lichess serves its "Page not found" to a client that does not say who it is (lichess-org/api#667).
# Which names it takes for nameless is not documented; these are what HTTP libraries send by default.
NAMELESS_AGENTS = ("", "curl", "python-httpx", "python-requests", "python-urllib", "wget")

_ERRORS = {
    400: "Bad request",
    401: "No such token",
    404: "Not found",
    429: "Please only run 1 request(s) at a time",
}


class RefusedError(Exception):
    """The answer is an error with this status and message."""

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message or _ERRORS.get(status, "Something went wrong")


@dataclass
class Site:
    """The whole state of a fake Lichess; `speed_limit` None is Lichess's own, 0 none, else games a second."""

    world: World
    tokens: Mapping[str, str] = field(default_factory=dict)
    speed_limit: float | None = None
    gate: Gate = field(default_factory=Gate)
    journal: Journal = field(default_factory=Journal)
    faults: FaultScript = field(default_factory=FaultScript)
    games_sent: int = 0
    """Since the last reset, repeats included."""
    hold_after: int | None = None
    """So many games go out, then every answer waits."""

    def may_send(self) -> bool:
        """Tell whether another game may go out now."""
        return self.hold_after is None or self.games_sent < self.hold_after

    def reset(self, games: Iterable[StoredGame]) -> None:
        """Return to these games: no faults, hold, requests and penalty; tokens and the speed limit stay."""
        self.world = World(games)
        self.games_sent, self.hold_after = 0, None
        self.journal.clear()
        self.faults.clear()
        self.gate.forgive()
        self.gate.penalty_seconds = DEFAULT_PENALTY_SECONDS

    async def answer(self, request: Request, record: RecordedRequest) -> Answer:
        """Decide the answer to a request that the gate let in or refused; fills the record."""
        record.params = dict(request.query_params)
        record.accept = request.headers.get("accept", "")
        record.user_agent = request.headers.get("user-agent", "")
        record.username = request.path_params.get("username")
        try:
            return await self._answer(request, record)
        except RefusedError as error:
            if error.status == 429:
                self.gate.penalise()
            return _error(error)
        except BadRequestError as error:
            return _error(RefusedError(400, str(error)))

    async def _answer(self, request: Request, record: RecordedRequest) -> Answer:
        if record.refusal is not None:
            raise RefusedError(429)
        if record.user_agent.partition("/")[0].lower() in NAMELESS_AGENTS:
            page = b"<!DOCTYPE html><title>Page not found</title>Say who you are in the User-Agent header.\n"
            return Answer(404, HTML, [Send(page)])
        fault = self.faults.take(record.endpoint, record.username)
        if fault is not None:
            record.fault = fault.kind.value
            if fault.kind is FaultKind.STATUS and fault.body is not None:
                return Answer(fault.status, fault.media_type, [Send(fault.body.encode())])
            if fault.kind is FaultKind.STATUS:
                raise RefusedError(fault.status)
        viewer = record.authenticated_as = self._viewer(request)
        if record.endpoint is Endpoint.GAMES_OF_USER:
            switches, ids = self._games_of_user(request)
        else:
            switches, ids = await self._games_by_ids(request)
            record.ids = ids
        return self._export(record, switches, ids, viewer, fault)

    def _viewer(self, request: Request) -> str | None:
        authorization = request.headers.get("authorization")
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            raise RefusedError(401)
        return self.tokens[token].lower()

    def _games_of_user(self, request: Request) -> tuple[FieldSwitches, list[str]]:
        username = request.path_params["username"]
        if not self.world.has_account(username):
            raise RefusedError(404)
        query = UserExport.parse(request.query_params)
        ids = self.world.select(username, since_ms=query.since, until_ms=query.until)
        if query.sort is Sort.DATE_DESC:
            ids.reverse()
        wanted = [game_id for game_id in ids if self._is_wanted(game_id, query)]
        return query, wanted[: query.max]

    def _is_wanted(self, game_id: str, query: UserExport) -> bool:
        game = self.world.get(game_id)
        if game is None:
            return False
        if not query.finished:
            return game.status in ONGOING
        return query.ongoing or game.status not in UNFINISHED

    async def _games_by_ids(self, request: Request) -> tuple[FieldSwitches, list[str]]:
        switches = FieldSwitches.parse(request.query_params)
        ids = dict.fromkeys(parse_ids((await request.body()).decode()))
        known = [game for game_id in ids if (game := self.world.get(game_id))]
        newest_first = sorted(known, key=lambda game: game.created_at_ms, reverse=True)
        return switches, [game.game_id for game in newest_first]

    def _export(
        self,
        record: RecordedRequest,
        switches: FieldSwitches,
        ids: list[str],
        viewer: str | None,
        fault: Fault | None,
    ) -> Answer:
        as_json = NDJSON in record.accept or JSON in record.accept
        lines = self._lines(ids, switches, viewer, as_json=as_json)
        media_type = NDJSON if as_json else PGN
        if fault is not None and fault.kind in (FaultKind.HTML, FaultKind.JSON_ERROR):
            media_type = HTML if fault.kind is FaultKind.HTML else JSON
        coding = "gzip" if fault is not None and fault.kind is FaultKind.GZIP else None
        return Answer(200, media_type, play(lines, fault), self._games_per_second(record, viewer), coding)

    def _lines(
        self, ids: list[str], switches: FieldSwitches, viewer: str | None, *, as_json: bool
    ) -> Iterator[bytes]:
        for game_id in ids:
            # Looked up only now: a long stream shows what has changed since it began.
            game = self.world.get(game_id)
            if game is None:
                continue
            if as_json:
                yield game_line(game, switches, viewer)
            else:
                everything = FieldSwitches(clocks=True, evals=True, opening=True)
                yield game_to_pgn(visible_game(game, everything, None), switches).encode()

    def _games_per_second(self, record: RecordedRequest, viewer: str | None) -> float | None:
        if self.speed_limit is not None:
            return self.speed_limit or None
        if record.endpoint is Endpoint.GAMES_BY_IDS:
            return TOKEN_GAMES_PER_SECOND
        if viewer is None:
            return ANONYMOUS_GAMES_PER_SECOND
        own = viewer == (record.username or "").lower()
        return OWN_GAMES_PER_SECOND if own else TOKEN_GAMES_PER_SECOND


def _error(error: RefusedError) -> Answer:
    body = json.dumps({"error": error.message}, separators=(",", ":")).encode()
    return Answer(error.status, JSON, [Send(body)])
