"""Which URLs does the fake Lichess answer?"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from tests.fakes.lichess.connections import Connection
from tests.fakes.lichess.control_routes import ControlRoutes
from tests.fakes.lichess.delivery import Delivery, Observer
from tests.fakes.lichess.journal import Endpoint, Outcome
from tests.fakes.lichess.site import Site


class Export:
    """ASGI application of one export: through the gate, into the journal, answered."""

    def __init__(self, site: Site, endpoint: Endpoint) -> None:
        self._site = site
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = self._site
        connection = Connection(scope)
        await site.gate.settle()
        record = site.journal.open(self._endpoint)
        record.refusal = site.gate.enter(connection.is_alive)

        def count_game() -> None:
            record.games_sent += 1
            site.games_sent += 1

        def end(outcome: Outcome) -> None:
            if record.ended_s is None:
                site.journal.close(record, outcome)
                if record.accepted:
                    site.gate.leave()

        try:
            answer = await site.answer(Request(scope, receive), record)
            record.status = answer.status
            await Delivery(answer, connection, receive, send).run(Observer(site.may_send, count_game, end))
        finally:
            end(Outcome.CUT)


def create_app(site: Site, *, control: bool = False) -> Starlette:
    """Build the server's application, with the control endpoints only where asked for."""
    routes: list[Route | Mount] = [
        Route("/api/games/user/{username}", Export(site, Endpoint.GAMES_OF_USER), methods=["GET"]),
        Route("/api/games/export/_ids", Export(site, Endpoint.GAMES_BY_IDS), methods=["POST"]),
    ]
    if control:
        routes.append(Mount("/_control", routes=ControlRoutes(site).routes()))
    return Starlette(routes=routes)
