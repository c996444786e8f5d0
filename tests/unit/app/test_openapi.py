"""Does the API's description promise the errors that the API answers with?"""

import json
from typing import Any, Final

import pytest

from app.main import create_app
from app.settings import Settings

_APP: Final = create_app(
    Settings.model_validate({"database_url": "postgresql+psycopg://", "broker_url": "redis://x"})
)
_PATHS: Final = _APP.openapi()["paths"]
_OPEN: Final = {"/healthz", "/readyz"}


def _statuses(method: str, path: str) -> set[int]:
    return {int(status) for status in _PATHS[path][method]["responses"]}


def test_nothing_is_left_of_the_framework_s_own_errors() -> None:
    assert "ValidationError" not in json.dumps(_APP.openapi())


def test_every_error_of_a_closed_route_is_a_problem() -> None:
    errors: list[dict[str, Any]] = [
        response["content"]
        for path in _PATHS.keys() - _OPEN
        for operation in _PATHS[path].values()
        for status, response in operation["responses"].items()
        if int(status) >= 400
    ]
    assert len(errors) > 100
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert all(content == {"application/problem+json": reference} for content in errors)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/healthz", {200}),
        ("get", "/readyz", {200, 503}),
        ("get", "/v1/games", {200, 401, 403, 422, 503}),
        ("get", "/v1/games/{game_id}", {200, 401, 403, 404, 422, 503}),
        ("put", "/v1/players/{username}", {200, 201, 401, 403, 422, 503}),
        ("post", "/v1/analyses/retry", {200, 401, 403, 413, 415, 422, 503}),
        ("post", "/v1/ingestion/claims", {200, 401, 403, 404, 409, 413, 415, 422, 503}),
        ("post", "/v1/ingestion/observations", {200, 401, 403, 404, 413, 415, 422, 503}),
        ("post", "/v1/analyses/{game_id}/results", {200, 401, 403, 404, 409, 413, 415, 422, 503}),
    ],
)
def test_a_route_names_the_errors_that_it_can_end_with(method: str, path: str, statuses: set[int]) -> None:
    assert _statuses(method, path) == statuses


def test_the_readiness_s_503_is_no_problem() -> None:
    assert "application/json" in _PATHS["/readyz"]["get"]["responses"]["503"]["content"]


def test_every_reference_leads_somewhere() -> None:
    schemas = _APP.openapi()["components"]["schemas"]
    text = json.dumps(_APP.openapi())
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert {"Problem", "FieldError"} <= named <= schemas.keys()
