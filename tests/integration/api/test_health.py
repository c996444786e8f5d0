"""Does the API say honestly whether it can serve?"""

import pytest

from tests.integration.conftest import Api


def test_healthz_needs_no_token(api: Api) -> None:
    assert api.anonymous.get("/healthz").json() == {"status": "ok"}


@pytest.mark.smoke
def test_readyz_is_ok_when_everything_is(api: Api) -> None:
    answer = api.anonymous.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "schema": "ok", "broker": "ok"}


@pytest.mark.parametrize(("revision", "status"), [("9999", 200), ("0001", 503)])
def test_a_later_schema_is_served_and_an_earlier_one_is_not(api: Api, revision: str, status: int) -> None:
    head = api.value("SELECT version_num FROM alembic_version")
    try:
        api.execute("UPDATE alembic_version SET version_num = %s", revision)
        answer = api.anonymous.get("/readyz")
    finally:
        api.execute("UPDATE alembic_version SET version_num = %s", head)
    assert answer.status_code == status
    assert answer.json()["schema"] == ("ok" if status == 200 else "outdated")
