"""How large may a request body be?"""

from contextlib import suppress
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem


class _BodyTooLarge(Exception):
    """The body grew past the limit while it was read."""


class BodyLimit:
    """ASGI middleware that counts the bytes that really arrive: chunked bodies declare no length."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer 413 once its body is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        answered = too_large = False

        async def counted_receive() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                too_large = True
                raise _BodyTooLarge
            return message

        async def noted_send(message: Message) -> None:
            nonlocal answered
            if too_large and not answered:
                return  # FastAPI makes a 400 of whatever goes wrong while it reads a body
            answered = True
            await send(message)

        with suppress(_BodyTooLarge):
            await self._app(scope, counted_receive, noted_send)
        if too_large and not answered:
            response = problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body_too_large",
                f"the body is larger than {self._limit} bytes",
                # The rest of the body was not read: the connection cannot be used again.
                headers={"Connection": "close"},
            )
            await response(scope, receive, send)
