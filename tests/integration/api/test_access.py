"""Is everything closed to those without the right token?"""

import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import httpx
import pytest
from fastapi.routing import APIRoute

from app.access.service import Scope
from app.main import create_app
from app.settings import Settings
from tests.integration.api.test_bad_input import assert_problem
from tests.integration.conftest import Api

OPEN: Final = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/oauth2-redirect"}
"""What anybody on the host may see: no data."""

_VALUES: Final = {"username": "alice", "game_id": "game0001", "run_id": "1"}


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    app = create_app(
        Settings.model_validate({"database_url": "postgresql+psycopg://", "broker_url": "redis://x"})
    )
    for path, operations in app.openapi()["paths"].items():
        if path in OPEN:
            continue
        for method in operations:
            yield method, path.format(**_VALUES), operations[method]


def _scope(method: str, tags: list[str]) -> Scope:
    if "workers" in tags:
        return Scope.WORKER
    return Scope.READ if method == "get" else Scope.WRITE


_OPERATIONS: Final = list(_operations())
ROUTES: Final = [
    (method.upper(), path, _scope(method, operation["tags"])) for method, path, operation in _OPERATIONS
]
WITH_BODY: Final = [path for _, path, operation in _OPERATIONS if "requestBody" in operation]


def test_every_route_is_described_or_open(api: Api) -> None:
    described = set(api.app.openapi()["paths"])
    for route in api.app.routes:
        path = getattr(route, "path", None)
        assert path is None or path in described | OPEN, path
        assert not isinstance(route, APIRoute) or route.include_in_schema
    assert len(ROUTES) == 28


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_needs_a_token_of_its_scope(api: Api, method: str, path: str, scope: Scope) -> None:
    def ask(client: httpx.Client) -> httpx.Response:
        return client.request(method, path, json={} if method == "POST" else None)

    anonymous = ask(api.anonymous)
    assert_problem(anonymous, 401, "unauthenticated")
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
    for other, client in (
        (Scope.READ, api.reader),
        (Scope.WRITE, api.writer),
        (Scope.WORKER, api.worker_http),
    ):
        answer = ask(client)
        if other is scope:
            assert answer.status_code not in {401, 403}
        else:
            assert_problem(answer, 403, "forbidden", scope.value)


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_stranger_s_body_is_not_looked_at(api: Api, path: str) -> None:
    declared = {"Content-Type": "application/json"}
    too_large = b" " * (api.backend.settings.body_limit_bytes + 1)
    for body in (b'{"player"', b'{"fence": 1, "fence": 2}', b"{}", b"", too_large):
        for headers in (declared, {}):
            anonymous = api.anonymous.post(path, content=body, headers=headers)
            assert_problem(anonymous, 401, "unauthenticated")
        if body is not too_large:
            other = api.worker_http if path.startswith("/v1/players") else api.reader
            assert_problem(other.post(path, content=body, headers=declared), 403, "forbidden")


@pytest.mark.smoke
def test_a_stranger_s_body_is_not_read(api: Api) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> NoReturn:
        raise AssertionError("the body was asked for")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000000000")]
    request = {
        "type": "http",
        "method": "POST",
        "path": WITH_BODY[0],
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(api.app(request, receive, send))
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("path", sorted(OPEN - {"/docs/oauth2-redirect"}))
def test_what_is_open_needs_no_token(api: Api, path: str) -> None:
    assert api.anonymous.get(path).status_code == 200


def _ask_with(api: Api, token: str) -> httpx.Response:
    return api.anonymous.get("/v1/games", headers={"Authorization": f"Bearer {token}"})


def test_a_token_that_was_never_given_out_is_refused(api: Api) -> None:
    assert_problem(_ask_with(api, "sst_" + "x" * 43), 401, "unauthenticated")
    assert_problem(_ask_with(api, "x" * 10_000), 401, "unauthenticated")


def test_an_expired_token_is_refused(api: Api) -> None:
    query = "UPDATE api_tokens SET expires_at = %s WHERE name = 'test-read'"
    api.app.state.tokens.__init__()
    api.execute(query, datetime.now(UTC))
    try:
        assert_problem(_ask_with(api, api.tokens[Scope.READ]), 401, "unauthenticated")
    finally:
        api.execute(query, None)
    assert _ask_with(api, api.tokens[Scope.READ]).is_success


def test_a_valid_token_is_not_looked_up_at_every_request(api: Api) -> None:
    api.app.state.tokens.__init__()  # else what is known of it may be forgotten in between
    _ask_with(api, api.tokens[Scope.READ])
    with api.queries() as queries:
        _ask_with(api, api.tokens[Scope.READ])
    assert not [query for query in queries if "api_tokens" in query]


def test_the_database_keeps_no_token(api: Api) -> None:
    rows = api.rows("SELECT * FROM api_tokens")
    assert api.value("SELECT count(*) FROM api_tokens WHERE starts_with(name, 'test-')") == len(Scope)
    assert not any(token.removeprefix("sst_") in str(rows) for token in api.tokens.values())
