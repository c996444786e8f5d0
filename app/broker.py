"""How does the API hint to the workers that there is something to do?"""

from typing import Any

import structlog
from celery import Celery
from fastapi import Request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from app.contract.names import QUEUE_OF_TASK, TaskName
from app.settings import Settings

_LOG = structlog.get_logger(__name__)
_TIMEOUT_SECONDS = 2
_PROBE_KEY = "scoresheet:probe"
# Kombu wraps only some of the ways in which Redis can be away, frozen or full.
_AWAY = (OperationalError, RedisError, OSError)


class Broker:
    """Sends Celery messages by name: hints only, since all work can be found in PostgreSQL."""

    def __init__(self, settings: Settings) -> None:
        self._celery = Celery(
            "scoresheet-api", broker=settings.broker_url.get_secret_value(), set_as_current=False
        )
        self._celery.conf.update(
            task_ignore_result=True,
            task_serializer="json",
            broker_transport_options={
                "socket_timeout": _TIMEOUT_SECONDS,
                "socket_connect_timeout": _TIMEOUT_SECONDS,
            },
        )

    async def hint(self, task: TaskName, *args: str) -> None:
        """Send a task after the request's commit; a broker that is away is logged, not raised."""
        try:
            await run_in_threadpool(self._send, task, args)
        except _AWAY as error:
            _LOG.warning("hint_not_sent", task=task.value, error=str(error))

    async def is_up(self) -> bool:
        """Tell whether the broker takes messages; one that does not is logged with what it says."""
        try:
            await run_in_threadpool(self._probe)
        except _AWAY as error:
            _LOG.warning("broker_takes_no_messages", error=str(error))
            return False
        return True

    def close(self) -> None:
        """Close all connections."""
        self._celery.close()

    def _send(self, task: TaskName, args: tuple[str, ...]) -> None:
        with self._celery.connection_for_write() as connection:
            # Kombu itself would go on trying for ever, with a thread for each hint.
            connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_SECONDS)
            self._celery.send_task(
                task.value,
                args=args,
                queue=QUEUE_OF_TASK[task].value,
                connection=connection,
                retry=False,
                ignore_result=True,
            )

    def _probe(self) -> None:
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_SECONDS)
            channel: Any = connection.channel()
            with channel:
                # Redis answers a PING too where it is full, a replica, or can't save to its disk. Asked to
                # put nothing into a key that is not there, it checks whether it may write, and writes none.
                channel.client.setrange(_PROBE_KEY, 0, "")


async def broker_of(request: Request) -> Broker:
    """Return the broker of the running application (a dependency)."""
    broker: Broker = request.app.state.broker
    return broker
