"""How does an answer reach the client, at which pace, and when does it end?"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.types import Message, Receive, Send

from tests.fakes.lichess.connections import Connection
from tests.fakes.lichess.journal import Outcome
from tests.fakes.lichess.playback import HangUp, Stall, Step
from tests.fakes.lichess.playback import Send as SendStep

# A slow drip is sent in slices of this length, often enough to look alive and seldom enough to cost nothing.
DRIP_SLICE_SECONDS = 0.05
# Without a speed limit nothing in the loop waits: let others, above all the watcher, run now and then.
GAMES_BETWEEN_YIELDS = 16
# A stream that is held says so often that it is alive, by a blank line.
HELD_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type (None: unsaid) and the steps of the body; `games_per_second` None for no limit."""

    status: int
    media_type: str | None
    steps: Iterable[Step]
    games_per_second: float | None = None
    content_coding: str | None = None

    @property
    def start(self) -> Message:
        """The ASGI message that begins it."""
        said = {b"content-type": self.media_type, b"content-encoding": self.content_coding}
        headers = [(name, value.encode()) for name, value in said.items() if value is not None]
        return {"type": "http.response.start", "status": self.status, "headers": headers}


@dataclass(frozen=True, slots=True)
class Observer:
    """Whom to tell, in the very moment it happens, that a game went out or the answer ended.

    `may_send` is asked before each game.
    """

    may_send: Callable[[], bool]
    game_sent: Callable[[], None]
    ended: Callable[[Outcome], None]


class Delivery:
    """Sends one answer, and stops the moment the client leaves, be it in a stall, drip or pause."""

    def __init__(self, answer: Answer, connection: Connection, receive: Receive, send: Send) -> None:
        self._answer = answer
        self._connection = connection
        self._receive = receive
        self._send = send

    async def run(self, observer: Observer) -> None:
        """Deliver; returns when the answer has been sent, cut, or left by the client."""
        sending = asyncio.create_task(self._send_all(observer))
        watching = asyncio.create_task(self._client_left())
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            else:
                observer.ended(Outcome.CLIENT_LEFT)
        finally:
            sending.cancel()
            watching.cancel()

    async def _client_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _send_all(self, observer: Observer) -> None:
        await self._send(self._answer.start)
        pace = _Pace(self._answer.games_per_second)
        for step in self._answer.steps:
            while isinstance(step, SendStep) and step.is_game and not observer.may_send():
                await self._send_body(b"\n")
                await asyncio.sleep(HELD_SECONDS)
            match step:
                case HangUp(reset=reset):
                    if reset:
                        self._connection.reset()
                    # The server closes a connection whose answer was left incomplete.
                    observer.ended(Outcome.CUT)
                    return
                case Stall(seconds=seconds):
                    await _silence(seconds)
                case SendStep(data=data, bytes_per_second=None):
                    await self._send_body(data)
                case SendStep(data=data, bytes_per_second=int(bytes_per_second)):
                    await self._drip(data, bytes_per_second)
            if isinstance(step, SendStep) and step.is_game:
                observer.game_sent()
                await pace.after_game()
        # No await may come between the last bytes and the end, or the next request could overtake it.
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        observer.ended(Outcome.COMPLETE)

    async def _send_body(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _drip(self, data: bytes, bytes_per_second: int) -> None:
        size = max(1, round(bytes_per_second * DRIP_SLICE_SECONDS))
        for start in range(0, len(data), size):
            await self._send_body(data[start : start + size])
            await asyncio.sleep(size / bytes_per_second)


class _Pace:
    """Spaces games evenly; time lost elsewhere is not caught up in a burst."""

    def __init__(self, games_per_second: float | None) -> None:
        self._games_per_second = games_per_second
        self._games = 0
        self._next_s = asyncio.get_running_loop().time()

    async def after_game(self) -> None:
        self._games += 1
        if self._games_per_second is not None:
            now_s = asyncio.get_running_loop().time()
            self._next_s = max(self._next_s + 1 / self._games_per_second, now_s)
            await asyncio.sleep(self._next_s - now_s)
        elif self._games % GAMES_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)


async def _silence(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(seconds)
