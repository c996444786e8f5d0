"""What does the API answer to a worker that analyses? (A fake, behind the real client, without a socket.)"""

import json
from typing import Any

import httpx

from app.contract.analyses import AnalysisClaim
from workers.api_client import ApiClient

PROBLEM = {"content-type": "application/problem+json"}


class FakeApi:
    """Hands out one claim and remembers what comes back; any endpoint can be told to refuse."""

    def __init__(self, claim: AnalysisClaim | None = None, pending: list[str] | None = None) -> None:
        self.claim = claim
        self.pending = pending or []
        self.refuse: dict[str, tuple[int, str]] = {}
        """Status and problem code by the last word of a path."""
        self.received: list[tuple[str, dict[str, Any]]] = []
        """Last word of the path, and body, of every request."""

    @property
    def client(self) -> ApiClient:
        """A client of this API that does not wait between tries."""
        transport = httpx.MockTransport(self._answer)
        return ApiClient("http://api", "token", transport=transport, retry_total=0, sleep=lambda _: None)

    def bodies(self, endpoint: str) -> list[dict[str, Any]]:
        """Return what was sent to an endpoint."""
        return [body for name, body in self.received if name == endpoint]

    @property
    def endpoints(self) -> list[str]:
        """The endpoints asked, in order."""
        return [name for name, _ in self.received]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.rpartition("/")[2]
        self.received.append((endpoint, json.loads(request.content)))
        if endpoint in self.refuse:
            status, code = self.refuse[endpoint]
            problem = {"title": code, "status": status, "detail": f"refused: {code}", "code": code}
            return httpx.Response(status, json=problem, headers=PROBLEM)
        if endpoint == "claim":
            assert self.claim is not None
            return httpx.Response(200, json=self.claim.model_dump(mode="json"))
        if endpoint == "pending":
            limit = self.received[-1][1]["limit"]
            return httpx.Response(200, json={"games": self.pending[:limit]})
        if endpoint == "backlog":
            return httpx.Response(200, json={"games": len(self.pending)})
        if endpoint in {"renew", "handback", "evaluations"}:
            return httpx.Response(204)
        state = {"results": "done", "failure": "pending"}[endpoint]
        return httpx.Response(200, json={"state": state})
