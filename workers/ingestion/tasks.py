"""Which Celery tasks bring games in?

All are delivered at least once, late acknowledged, and not retried: what one leaves undone, PostgreSQL
knows, and the next round of `orchestrator` finds. Their time limits are in celery_app.py.
"""

import functools
from typing import Any, Final

import redis
import structlog

from app.contract.ingestion import FetchPlan
from app.contract.names import QueueName, TaskName
from workers import broker
from workers.api_client import get_api_client
from workers.batches import BatchTask, SimpleRequest
from workers.celery_app import app, stop_requested
from workers.ingestion import consumer
from workers.ingestion.lichess import LichessClient
from workers.ingestion.lock import Gate, GateBusyError, GateClosedError
from workers.ingestion.pressure import Pressure
from workers.ingestion.producer import Producer
from workers.progress import board
from workers.settings import get_settings
from workers.status import closed_for, note_backlog

_LOG = structlog.get_logger(__name__)

DUE_PLAYERS: Final = 500
"""Players whom one round of the schedule sends on their way at most; the longest waiting go first."""

GAMES_AT_ONCE: Final = 16
"""Games that a process of the consumer takes up together at most: one request stores them all."""
_GATHERING_SECONDS: Final = 0.05
"""How long a game waits for others at most."""

_BACKLOG_SECONDS: Final = 5.0
"""Between two looks at the length of the queue, for the line of status."""

# Celery would put the arguments' `repr` into the headers: the payload a second time, for nobody.
_WITHOUT_REPR: Final[dict[str, Any]] = {"argsrepr": "", "kwargsrepr": ""}


@app.task(name=TaskName.ORCHESTRATOR)
def orchestrator() -> None:
    """Send each player who is due on the way to Lichess; a player sent twice is no harm."""
    players = get_api_client().due_players(DUE_PLAYERS).players
    for player in players:
        _send_fetch(player)
    _LOG.info("players_due", count=len(players))


@app.task(name=TaskName.FETCH_PLAYER_GAMES)
def fetch_player_games(player: str) -> None:
    """Fetch a player's next slice of games, if one is due; what remains goes behind the other players."""
    try:
        more = _producer().fetch(player)
    except (GateBusyError, GateClosedError) as reason:
        if isinstance(reason, GateClosedError):
            board.say(closed_for(reason.seconds), stays=True)
        _LOG.info("fetch_put_off", reason=str(reason))
        return
    except redis.RedisError as error:
        _LOG.warning("fetch_put_off", reason=f"no broker: {error}")
        return
    if more:
        _send_fetch(player)


@app.task(
    base=BatchTask,
    name=TaskName.PROCESS_GAME_DATA,
    flush_every=GAMES_AT_ONCE,
    flush_interval=_GATHERING_SECONDS,
)
def process_game_data(requests: list[SimpleRequest]) -> None:
    """Parse and store games, one a request; its arguments are those of Delivery."""
    consumer.process(get_api_client(), [request.args for request in requests])
    note_backlog(board, _BACKLOG_SECONDS, lambda: broker.queue_length(_redis(), QueueName.DB))


def _send_fetch(player: str) -> None:
    # Later rounds of the schedule bring the player again, so an old message is worth nothing.
    fetch_player_games.apply_async((player,), expires=2 * get_settings().orchestrator_seconds)


def _dispatch(plan: FetchPlan, line: int, payload: str) -> None:
    process_game_data.apply_async((plan.player, plan.run_id, line, payload), **_WITHOUT_REPR)


# Made in the child that runs the task: connections must not survive a fork.
@functools.cache
def _redis() -> redis.Redis:
    settings = get_settings()
    return broker.connect(
        settings.broker_url.get_secret_value(), timeout_seconds=min(5.0, settings.lock_heartbeat_seconds / 2)
    )


@functools.cache
def _producer() -> Producer:
    settings = get_settings()
    client = _redis()
    return Producer(
        get_api_client(),
        Gate(
            client,
            settings.state_dir,
            settings.boot_id,
            ttl_seconds=settings.lock_ttl_seconds,
            heartbeat_seconds=settings.lock_heartbeat_seconds,
            rate_limit_seconds=settings.rate_limit_seconds,
            stopping=stop_requested,
        ),
        LichessClient(
            settings.lichess_url,
            settings.lichess_token(),
            settings.lichess_timeout_seconds,
            contact=settings.contact,
        ),
        _dispatch,
        Pressure(
            lambda: broker.queue_length(client, QueueName.DB),
            high_water=settings.queue_high_water,
            low_water=settings.queue_low_water,
            pause_seconds=settings.pause_seconds,
        ),
        gate_wait_seconds=settings.gate_wait_seconds,
        deadline_seconds=settings.lichess_deadline_seconds,
        rate_limit_seconds=settings.rate_limit_seconds,
    )
