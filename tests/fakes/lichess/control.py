"""How does a test steer a running fake Lichess and learn what it was asked?"""

import json
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import httpx

from tests.fakes.lichess.faults import Fault
from tests.fakes.lichess.journal import RecordedRequest, overlaps, penalty_violations

POLL_SECONDS = 0.05


class Control:
    """Client of the control endpoints; `url` is the base address to give to the program under test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/_control", timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request since the last reset, in order of arrival, those still under way included."""
        return [
            RecordedRequest.from_json(record) for record in self._call("GET", "/requests").json()["requests"]
        ]

    def overlaps(self) -> list[tuple[RecordedRequest, RecordedRequest]]:
        """Return the pairs of requests that were under way at once (see journal.overlaps)."""
        return overlaps(self.requests)

    def penalty_violations(self) -> list[RecordedRequest]:
        """Return the requests made within the penalty time of a 429."""
        return penalty_violations(self.requests)

    def wait_for_requests(
        self,
        condition: Callable[[list[RecordedRequest]], bool],
        *,
        timeout_seconds: float = 30,
    ) -> list[RecordedRequest]:
        """Return the requests once they meet the condition; raises TimeoutError when they don't in time."""
        deadline_s = time.monotonic() + timeout_seconds
        while not condition(requests := self.requests):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the requests to {self.url} are still {requests}")
            time.sleep(POLL_SECONDS)
        return requests

    def add_fault(self, *faults: Fault) -> None:
        """Script faults; each request takes the first that matches it, in the order they were added."""
        self._call("POST", "/faults", json=[fault.model_dump(mode="json") for fault in faults])

    def clear_faults(self) -> None:
        """Drop the faults that have not happened yet."""
        self._call("DELETE", "/faults")

    def put_games(self, games: Iterable[dict[str, Any]]) -> None:
        """Add games in Lichess's JSON, or replace those with the same id."""
        self._call("POST", "/games", content="\n".join(json.dumps(game) for game in games))

    def remove_game(self, game_id: str) -> None:
        """Make a game vanish."""
        self._call("DELETE", f"/games/{game_id}")

    def close_account(self, username: str) -> None:
        """Make the account answer 404 from now on."""
        self._call("PUT", f"/accounts/{username}", json={"closed": True})

    def reopen_account(self, username: str) -> None:
        """Undo `close_account`."""
        self._call("PUT", f"/accounts/{username}", json={"closed": False})

    def set_penalty_seconds(self, seconds: float) -> None:
        """Set how long after a 429 every request is answered 429 again; a minute on Lichess."""
        self._call("POST", "/settings", json={"penalty_seconds": seconds})

    def set_speed_limit(self, games_per_second: float | None) -> None:
        """Set the pace of exports: None for Lichess's own, 0 for as fast as possible."""
        self._call("POST", "/settings", json={"speed_limit": games_per_second})

    def hold_after(self, games: int | None) -> None:
        """Let so many games go out, counted over all requests since the last reset; None lets all go.

        Then every answer stays under way, with blank lines for a sign of life, until this is called again.
        """
        self._call("POST", "/settings", json={"hold_after": games})

    def set_tokens(self, tokens: dict[str, str]) -> None:
        """Replace the valid tokens, each with the username it belongs to."""
        self._call("POST", "/settings", json={"tokens": tokens})

    def reset(self) -> None:
        """Return to the games of the start: no faults, hold, records, penalty; limit and tokens stay."""
        self._call("POST", "/reset")

    def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        response = self._http.request(method, path, **kwargs)
        if response.is_error:
            raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
        return response
