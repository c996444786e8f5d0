"""Which games go into the analysis queue now?"""

from collections import deque
from collections.abc import Callable

import structlog

from app.contract.analyses import PENDING_MAX, PendingRequest
from workers.analysis.plugin_registry import PluginRegistry
from workers.api_client import ApiClient

_LOG = structlog.get_logger(__name__)


class Scheduler:
    """Keeps the analysis queue short but not empty.

    Short, so that a game which a user asks for waits behind few others. The queue is a hint: all that it
    holds can be found again in PostgreSQL, and a game that is sent twice is claimed once.
    """

    def __init__(
        self,
        client: ApiClient,
        plugins: PluginRegistry,
        *,
        waiting: Callable[[], int],
        send: Callable[[str], None],
        full: int,
    ) -> None:
        """Take the queue as two functions, its length and sending to it; `full` is how long it may grow."""
        self._client = client
        self._plugins = plugins
        self._waiting = waiting
        self._send = send
        self._full = min(full, PENDING_MAX)
        self._sent: deque[str] = deque(maxlen=self._full)

    def enqueue(self) -> int:
        """Send the games that lack a result, requested ones first, then the newest; returns how many."""
        waiting = self._waiting()
        if waiting >= self._full:
            return 0
        request = PendingRequest(plugins=self._plugins.ids, limit=self._full)
        # First in, first out: what still waits are the last ones sent. They are pending until claimed.
        still_waiting = set(list(self._sent)[-waiting:] if waiting else [])
        pending = self._client.pending_games(request).games
        games = [game for game in pending if game not in still_waiting][: self._full - waiting]
        for game in games:
            self._send(game)
            self._sent.append(game)
        if games:
            _LOG.info("games_enqueued", sent=len(games), waiting=waiting)
        return len(games)
