"""How does a test send messages by hand, and take those away that wait?"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import redis
from celery import Celery

from tests.e2e.harness import System

__all__ = ["drain_games", "send"]


def send(system: System, task: str, queue: str, all_arguments: Sequence[Sequence[Any]]) -> None:
    """Send one message for each list of arguments."""
    with Celery(broker=system.pipeline.environment["SCORESHEET_BROKER_URL"], set_as_current=False) as app:
        for arguments in all_arguments:
            app.send_task(task, args=arguments, queue=queue, ignore_result=True)


def _texts(client: "redis.Redis") -> list[bytes]:
    texts = client.lrange("db_queue", 0, -1)
    assert isinstance(texts, list)  # the stubs cover the asynchronous client too
    return texts


def drain_games(system: System, expected: int) -> list[list[Any]]:
    """Take all messages out of db_queue once it holds so many games; return the games' arguments."""
    with system.redis() as client:

        def waiting() -> list[list[Any]]:
            messages = [json.loads(text) for text in _texts(client)]
            return [
                json.loads(base64.b64decode(message["body"]))[0]
                for message in messages
                if message["headers"]["task"] == "process_game_data"
            ]

        found = system.wait_until(lambda: games if len(games := waiting()) >= expected else None, "the games")
        client.delete("db_queue")
    return found or []
