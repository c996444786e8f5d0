"""What does the API's own description (OpenAPI) promise beyond the signatures of its routes?"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.constants import REF_PREFIX

from app.problems import Problem, documented


class DescribedApi(FastAPI):
    """FastAPI, with the problem documents in its description that every route answers with."""

    def openapi(self) -> dict[str, Any]:
        """Return the description."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _add_problems(method, path, operation)
            _replace_schemas(document["components"]["schemas"])
            self.openapi_schema = document
        return self.openapi_schema


def _add_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    # FastAPI's own, which no route answers with.
    responses.pop(str(HTTPStatus.UNPROCESSABLE_ENTITY.value), None)
    for status, response in documented(*_problems(method, path, operation)).items():
        responses.setdefault(str(status), response)
    operation["responses"] = dict(sorted(responses.items()))


def _problems(method: str, path: str, operation: dict[str, Any]) -> Iterator[HTTPStatus]:
    if "security" in operation:
        yield from (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
    if "{" in path and method != "put":  # which makes what is not there
        yield HTTPStatus.NOT_FOUND
        # A worker speaks of a run or a game that it holds, and that may be another's by now.
        if "workers" in operation["tags"]:
            yield HTTPStatus.CONFLICT
    if "requestBody" in operation:
        yield from (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if "requestBody" in operation or "parameters" in operation:
        yield HTTPStatus.UNPROCESSABLE_ENTITY


def _replace_schemas(schemas: dict[str, Any]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template=REF_PREFIX + "{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
