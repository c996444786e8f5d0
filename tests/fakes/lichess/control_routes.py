"""How does a test change the fake Lichess and read what happened, over HTTP?"""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.lichess.faults import Fault
from tests.fakes.lichess.journal import overlaps, penalty_violations
from tests.fakes.lichess.site import Site
from tests.fakes.lichess.world import parse_lines

Handler = Callable[[Request], Awaitable[Response]]


class Settings(BaseModel):
    """What can be set while the server runs; absent fields stay as they are.

    A `speed_limit` of null is Lichess's own, 0 none; a `hold_after` of null lets all games go out.
    """

    model_config = ConfigDict(extra="forbid")

    penalty_seconds: float | None = Field(default=None, ge=0)
    speed_limit: float | None = Field(default=None, ge=0)
    hold_after: int | None = Field(default=None, ge=0)
    tokens: dict[str, str] | None = None


class Account(BaseModel):
    """State of an account."""

    model_config = ConfigDict(extra="forbid")

    closed: bool


class ControlRoutes:
    """The control endpoints of a site, which returns to its present games when reset."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._games = site.world.games()

    def routes(self) -> list[Route]:
        """Build the routes; a malformed body is answered 400."""
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/requests", self.get_requests),
            ("POST", "/faults", self.post_faults),
            ("DELETE", "/faults", self.delete_faults),
            ("POST", "/games", self.post_games),
            ("DELETE", "/games/{game_id}", self.delete_game),
            ("PUT", "/accounts/{username}", self.put_account),
            ("POST", "/settings", self.post_settings),
            ("POST", "/reset", self.post_reset),
        ]
        return [Route(path, _clear_errors(handler), methods=[method]) for method, path, handler in handlers]

    async def get_requests(self, _: Request) -> Response:
        """Return all records, with the numbers of those that broke a rule."""
        requests = self._site.journal.requests
        return JSONResponse(
            {
                "requests": [record.to_json() for record in requests],
                "overlaps": [[first.number, second.number] for first, second in overlaps(requests)],
                "penalty_violations": [record.number for record in penalty_violations(requests)],
            },
        )

    async def post_faults(self, request: Request) -> Response:
        """Append a list of faults to the script."""
        for fault in TypeAdapter(list[Fault]).validate_json(await request.body()):
            self._site.faults.add(fault)
        return _done()

    async def delete_faults(self, _: Request) -> Response:
        """Drop the faults still to come."""
        self._site.faults.clear()
        return _done()

    async def post_games(self, request: Request) -> Response:
        """Add or replace the games of an NDJSON body, all or none."""
        for game in list(parse_lines((await request.body()).split(b"\n"), source="body")):
            self._site.world.put(game)
        return _done()

    async def delete_game(self, request: Request) -> Response:
        """Remove a game."""
        self._site.world.remove(request.path_params["game_id"])
        return _done()

    async def put_account(self, request: Request) -> Response:
        """Close or reopen an account."""
        account = Account.model_validate_json(await request.body())
        self._site.world.set_closed(request.path_params["username"], closed=account.closed)
        return _done()

    async def post_settings(self, request: Request) -> Response:
        """Change the settings that are present."""
        settings = Settings.model_validate_json(await request.body())
        if settings.penalty_seconds is not None:
            self._site.gate.penalty_seconds = settings.penalty_seconds
        if "speed_limit" in settings.model_fields_set:
            self._site.speed_limit = settings.speed_limit
        if "hold_after" in settings.model_fields_set:
            self._site.hold_after = settings.hold_after
        if settings.tokens is not None:
            self._site.tokens = settings.tokens
        return _done()

    async def post_reset(self, _: Request) -> Response:
        """Return to the games of the start."""
        self._site.reset(self._games)
        return _done()


def _done() -> Response:
    return Response(status_code=204)


def _clear_errors(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ValueError as error:  # of which pydantic's and the game parser's errors are kinds
            return JSONResponse({"error": str(error)}, status_code=400)

    return handle
