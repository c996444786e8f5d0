"""Does every bad input end in a clear problem document, and never in an internal error?"""

import base64
import json
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import compile_path

from app.main import create_app
from app.problems import Problem
from app.settings import Settings
from tests.integration.api.driver import Ledger, make_game, observe
from tests.integration.conftest import Api

JSON: Final = {"Content-Type": "application/json"}
CLAIMS: Final = "/v1/ingestion/claims"
LISTS: Final = (
    "/v1/players",
    "/v1/players/alice/runs",
    "/v1/players/alice/refusals",
    "/v1/games",
    "/v1/analyses?state=failed",
)


_DESCRIPTION: Final = create_app(
    Settings.model_validate({"database_url": "postgresql+psycopg://", "broker_url": "redis://x"})
).openapi()
_PATHS: Final = [(compile_path(path)[0], operations) for path, operations in _DESCRIPTION["paths"].items()]


def _assert_described(answer: httpx.Response) -> None:
    """Hold an answer against what the API's own description promises of the route."""
    method = answer.request.method.lower()
    for pattern, operations in _PATHS:
        if pattern.match(answer.request.url.path) and method in operations:
            described = operations[method]["responses"][str(answer.status_code)]["content"]
            assert described == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
            return
    assert answer.status_code in {404, 405}


def assert_problem(answer: httpx.Response, status: int, code: str | None = None, detail: str = "") -> None:
    """Hold an answer against RFC 9457, what the API says of itself, and what it should say."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    Problem.model_validate(document)
    _assert_described(answer)
    assert document["status"] == status
    assert document["type"] == f"urn:scoresheet:problem:{document['code']}"
    assert document["title"]
    assert code in {None, document["code"]}
    assert detail in document["detail"]


def _post(api: Api, body: bytes | str, path: str = CLAIMS, **headers: str) -> httpx.Response:
    return api.worker_http.post(path, content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Field required"),
        (b'{"player": "alice", "fence"', "JSON decode error"),
        (b'{"player": "alice", "fence": 1, "fence": 2}', "duplicate key 'fence'"),
        (b'{"player": "alice", "fence": NaN}', "NaN is no JSON"),
        (b'{"player": "alice", "fence": -Infinity}', "-Infinity is no JSON"),
        (b'{"player": "alice", "fence": 1e999}', "body.fence"),
        (b'{"player": "alice", "fence": ' + b"9" * 5_000 + b"}", "JSON decode error"),
        (b'{"player": "alice", "fence": 9223372036854775808}', "less than or equal"),
        (b'{"player": "alice", "fence": -1}', "greater than or equal"),
        (b'{"player": "alice", "fence": 1.5}', "body.fence"),
        (b'{"player": "alice", "fence": 1, "more": 1}', "body.more: Extra inputs are not permitted"),
        (b'{"player": "al\\u0000ce", "fence": 1}', "body.player"),
        (b'{"player": "al\\ud800ce", "fence": 1}', "body.player"),
        (b'{"player": "al\xff", "fence": 1}', "utf-8"),
        ('{"player": "alice", "fence": 1}'.encode("utf-16"), "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "body"),
        (b"null", "body"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_with_the_reason(api: Api, body: bytes, detail: str) -> None:
    assert_problem(_post(api, body), 422, "invalid_request", detail)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
def test_a_body_that_is_not_declared_as_json_is_refused(api: Api, content_type: str | None) -> None:
    request = api.worker_http.build_request("POST", CLAIMS, content=b'{"player": "alice", "fence": 1}')
    if content_type is not None:
        request.headers["Content-Type"] = content_type
    assert_problem(api.worker_http.send(request), 415, "unsupported_media_type", "application/json")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused_whether_it_says_so_or_not(api: Api, declared: bool) -> None:
    size = api.backend.settings.body_limit_bytes + 1
    content = b" " * size if declared else (b" " * 65_536 for _ in range(size // 65_536 + 1))
    answer = api.worker_http.post(CLAIMS, content=content, headers=JSON)
    assert_problem(answer, 413, "body_too_large", str(size - 1))


def test_a_body_of_just_the_limit_is_read(api: Api) -> None:
    body = b'{"player": "nobody", "fence": 1}'
    padded = body + b" " * (api.backend.settings.body_limit_bytes - len(body))
    assert_problem(_post(api, padded), 404, "not_found")


def test_a_path_that_is_not_there_and_a_method_that_is_not_allowed(api: Api) -> None:
    assert_problem(api.reader.get("/v1/nothing"), 404, "not_found")
    answer = api.reader.patch("/v1/games")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "name", ["a b", "%00", "é", "a" * 31, "-a", "a'; DROP TABLE players;--", "a%0a", "%ff"]
)
def test_an_odd_username_is_refused(api: Api, name: str) -> None:
    for path in (f"/v1/players/{name}", f"/v1/players/{name}/runs", f"/v1/players/{name}/summary"):
        assert_problem(api.reader.get(path), 422, "invalid_request", "path.username")
    assert_problem(api.writer.put(f"/v1/players/{name}"), 422, "invalid_request", "path.username")
    assert_problem(api.reader.get(f"/v1/games?player={name}"), 422, "invalid_request", "query.player")


@pytest.mark.parametrize("game", ["short", "ninechars", "%00%00%00%00%00%00%00%00", "game-001"])
def test_an_odd_game_id_is_refused(api: Api, game: str) -> None:
    assert_problem(api.reader.get(f"/v1/games/{game}"), 422, "invalid_request", "path.game_id")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "201", "99999999999999999999", "ten", "1e2", ""])
def test_a_page_of_no_sensible_size_is_refused(api: Api, path: str, limit: str) -> None:
    Ledger(api).track()
    answer = api.reader.get(path, params={**httpx.QueryParams(urlsplit(path).query), "limit": limit})
    assert_problem(answer, 422, "invalid_request", "query.limit")


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%%%",
        "é",
        "\x00",
        "AAAA",
        _cursor(None),
        _cursor({}),
        _cursor(["2024-01-01T00:00:00", 1]),
        _cursor(["0001-01-01T00:00:00+14:00", 1]),
        _cursor(["2024-01-01T00:00:00Z", 2**63]),
        _cursor(["2024-01-01T00:00:00Z", 1, 1]),
        _cursor(2**63),
        _cursor("a\x00b"),
        _cursor("a\ud800b"),
        base64.urlsafe_b64encode(b"[" * 300).decode(),
    ],
)
def test_a_tampered_cursor_is_refused(api: Api, path: str, cursor: str) -> None:
    Ledger(api).track()
    answer = api.reader.get(path, params={**httpx.QueryParams(urlsplit(path).query), "after": cursor})
    assert_problem(answer, 422, "invalid_input", "after: not a cursor of this list")


def test_a_cursor_that_is_too_long_is_refused(api: Api) -> None:
    assert_problem(api.reader.get("/v1/games", params={"after": "A" * 501}), 422, "invalid_request")


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "moment",
    [
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2024-02-30T00:00:00Z",
        "2024-01-01T00:00:00",
        "yesterday",
        "99999999999999999999",
        "1704067200",
        "1704067200000",
        "NaN",
        "",
    ],
)
def test_a_moment_that_is_none_or_whose_unit_is_a_guess_is_refused(api: Api, name: str, moment: str) -> None:
    assert_problem(
        api.reader.get("/v1/games", params={name: moment}), 422, "invalid_request", f"query.{name}"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("color", "red"),
        ("result", "won"),
        ("rated", "perhaps"),
        ("analysis", "none"),
        ("speed", "\x00"),
        ("variant", "\x00"),
        ("eco", "\x00"),
        ("opening", "\x00"),
        ("opening", "x" * 2_001),
    ],
)
def test_a_filter_with_no_such_value_is_refused(api: Api, name: str, value: str) -> None:
    answer = api.reader.get("/v1/games", params={"player": "alice", name: value})
    assert_problem(answer, 422, "invalid_request", f"query.{name}")


@pytest.mark.parametrize("name", ["color=white", "opponent=bob", "result=win"])
def test_a_filter_of_a_players_needs_the_player(api: Api, name: str) -> None:
    assert_problem(api.reader.get(f"/v1/games?{name}"), 422, "invalid_input", "name the player")


def test_a_filter_that_does_not_exist_is_refused(api: Api) -> None:
    assert_problem(api.reader.get("/v1/games?colour=white"), 422, "invalid_input", "unknown parameter colour")


@pytest.mark.parametrize("created_at_ms", [0, 1_704_067_200, 4_102_444_800_000, 2**63 - 1])
def test_a_game_of_seconds_or_of_the_future_is_refused(api: Api, created_at_ms: int) -> None:
    ledger = Ledger(api).track()
    path = f"/v1/ingestion/runs/{ledger.plan().run_id}/seen"
    entry = {"id": "game0001", "created_at_ms": created_at_ms, "line": 1}
    assert_problem(
        _post(api, json.dumps({"games": [entry]}), path), 422, "invalid_input", "no time in milliseconds"
    )
    assert ledger.view().cursor is None


@pytest.mark.parametrize("line", [0, -1, 2**31, 2**63])
def test_a_line_number_beyond_reason_is_refused(api: Api, line: int) -> None:
    run = f"/v1/ingestion/runs/{Ledger(api).track().plan().run_id}"
    entry = {"id": "game0001", "created_at_ms": 1_704_067_200_000, "line": line}
    garbled = {"line": line, "reason": "x", "raw": "x", "digest": "ab" * 32}
    assert_problem(_post(api, json.dumps({"games": [entry]}), f"{run}/seen"), 422, "invalid_request")
    assert_problem(_post(api, json.dumps(garbled), f"{run}/garbled"), 422, "invalid_request")
    report = {"outcome": "complete", "lines": line or -1}
    assert_problem(_post(api, json.dumps(report), f"{run}/finish"), 422, "invalid_request")


@pytest.mark.parametrize("run_id", ["0x1", "-1", str(2**63), "1.5", "%00"])
def test_a_run_id_that_is_none_is_refused(api: Api, run_id: str) -> None:
    answer = _post(api, b'{"outcome": "complete", "lines": 0}', f"/v1/ingestion/runs/{run_id}/finish")
    assert_problem(answer, 422, "invalid_request", "path.run_id")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "game0001\n"},
        {"digest": "00"},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "9999-12-31T23:59:59.999Z", "last_move_at": "9999-12-31T23:59:59.999Z"},
        {"status": "a\x00b"},
        {"extra": {"a\x00b": 1}},
        {"extra": {"a": ["\ud800"]}},
        {"days_per_turn": 2**40},
        {"moves": {"san": ["e4"], "uci": [], "position_keys": None}},
        {"moves": {"san": ["e4"], "uci": ["e2e4"], "position_keys": [1, 2**63]}},
        {"moves": {"san": ["e4"] * 6_001, "uci": None, "position_keys": None}},
        {"moves": {"san": [], "uci": [], "position_keys": [1], "clocks_cs": [2**31]}},
        {"unknown": 1},
    ],
)
def test_a_game_that_the_database_could_not_hold_is_refused(api: Api, change: dict[str, Any]) -> None:
    ledger = Ledger(api).track()
    observation = observe(make_game(1), 1, 1).model_dump(mode="json")
    observation["game"] |= change
    answer = _post(api, json.dumps({"observations": [observation]}), "/v1/ingestion/observations")
    assert_problem(answer, 422)
    assert ledger.manifest() == {}


@pytest.mark.parametrize(
    "result",
    [b'{"x": 1e999}', b'{"x": "\\u0000"}', b'{"x": "\\ud800"}', b'{"x": ' + b"[" * 600 + b"]" * 600 + b"}"],
)
def test_a_plugins_result_that_jsonb_could_not_hold_is_refused(api: Api, result: bytes) -> None:
    Ledger(api).track().store(1, [make_game(1)])
    body = (
        b'{"fence": 1, "provenance": {"source": "lichess", "engine": null, "nodes": null, "mode": null,'
        b' "position_nodes": [], "searched_positions": 0, "searched_nodes": 0},'
        b' "results": [{"plugin": {"name": "x", "version": 1}, "result": ' + result + b"}]}"
    )
    assert_problem(_post(api, body, "/v1/analyses/game0001/results"), 422, "invalid_request")


def test_the_refused_value_is_not_repeated(api: Api) -> None:
    answer = _post(api, b'{"player": "sst_a-secret-by-mistake-!", "fence": 1}')
    assert_problem(answer, 422)
    assert "by-mistake" not in answer.text


def _raw(api: Api, request: bytes) -> bytes:
    parts = urlsplit(api.url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "value", [b"Bearer \xff\xfe", b"\xff", b"Bearer \xc3\xa9", b"Bearer", b"Bearer  ", b"Basic eDp5"]
)
def test_an_authorization_header_of_any_bytes_is_answered(api: Api, value: bytes) -> None:
    request = (
        b"GET /v1/games HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + value + b"\r\n\r\n"
    )
    head, _, body = _raw(api, request).partition(b"\r\n\r\n")
    assert b" 401 " in head
    assert b"www-authenticate: Bearer" in head
    assert json.loads(body)["code"] == "unauthenticated"


_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["0", "-1", "1", "9223372036854775808", "null", "NaN", "\x00", "alice", "game0001", "failed"]
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_parameters_and_no_body_lead_to_an_internal_error(api: Api, data: st.DataObject) -> None:
    """Draws requests from the API's own description."""
    paths = api.app.openapi()["paths"]
    template, method = data.draw(
        st.sampled_from([(path, method) for path in paths for method in paths[path]])
    )
    client = data.draw(st.sampled_from([api.reader, api.writer, api.worker_http]))
    path, operation, query = template, paths[template][method], {}
    for parameter in operation.get("parameters", []):
        value = data.draw(_TEXTS, label=parameter["name"])
        if parameter["in"] == "path":
            quoted = httpx.QueryParams({"": value}).__str__().removeprefix("=").replace("+", "%20")
            path = path.replace("{" + parameter["name"] + "}", quoted or "x")
        elif data.draw(st.booleans()):
            query[parameter["name"]] = value
    body = None
    if "requestBody" in operation:
        keys = st.sampled_from(
            ["player", "fence", "games", "plugins", "limit", "results", "line", "lines", "worker"]
        )
        leaves = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS
        values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
        body = json.dumps(data.draw(st.dictionaries(keys, values, max_size=4), label="body"))
    answer = client.request(method, path, params=query, content=body, headers=JSON if body else None)
    assert answer.status_code < 500 or path == "/readyz", answer.text
    if answer.status_code >= 400:
        assert_problem(answer, answer.status_code)
