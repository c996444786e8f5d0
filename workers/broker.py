"""How do workers speak to Redis beside Celery: for the gate, and for the length of a queue?"""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.contract.names import QueueName


def connect(broker_url: str, timeout_seconds: float) -> redis.Redis:
    """Return a client for a URL in Celery's notation; a command fails after `timeout_seconds`, untried again.

    No retries: a repeated heartbeat would hide for how long the lock has been out of reach.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
    }
    parts = urlsplit(broker_url)
    if parts.scheme != "redis+socket":
        return redis.Redis.from_url(broker_url, **options)
    query = parse_qs(parts.query)
    options.pop("socket_connect_timeout")
    return redis.Redis(
        unix_socket_path=unquote(parts.path),
        db=int(query.get("virtual_host", ["0"])[0].strip("/") or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        **options,
    )


def queue_length(client: redis.Redis, queue: QueueName) -> int:
    """Return how many messages wait; Kombu keeps a queue of the default priority in a list of its name."""
    length = client.llen(str(queue))
    assert isinstance(length, int)  # noqa: S101  the stubs cover the asynchronous client too
    return length
