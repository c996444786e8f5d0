"""Does the API say honestly whether it can serve?"""

from tests.integration.conftest import Api


def test_healthz_needs_no_token(api: Api) -> None:
    assert api.anonymous.get("/healthz").json() == {"status": "ok"}


def test_readyz_is_ok_when_everything_is(api: Api) -> None:
    answer = api.anonymous.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "schema": "ok", "broker": "ok"}
