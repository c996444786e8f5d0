"""What does a real systemd hear of a worker: when it is ready, that it lives, and when it does not?"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.access.service import Scope
from dev.paths import CHECKOUT
from tests.fakes.systemd import NotifiedProcess
from tests.integration.conftest import Api
from workers.settings import Role

WATCHDOG_SECONDS = 3.0
WORKER = Path(sys.executable).with_name("scoresheet-worker")


@pytest.fixture
def environment(api: Api, tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "worker-token"
    token.write_text(api.tokens[Scope.WORKER])
    (tmp_path / "state").mkdir()
    return {
        **api.backend.services.environment,
        "SCORESHEET_API_SOCKET": "",
        "SCORESHEET_API_URL": api.url,
        "SCORESHEET_WORKER_TOKEN_FILE": str(token),
        "SCORESHEET_STATE_DIR": str(tmp_path / "state"),
        "SCORESHEET_CONSUMER_CONCURRENCY": "2",
        "SCORESHEET_ANALYSIS_CONCURRENCY": "2",
        "PYTHONPATH": str(CHECKOUT),
    }


@contextmanager
def running(role: Role, folder: Path, environment: Mapping[str, str]) -> Iterator[NotifiedProcess]:
    with NotifiedProcess(
        folder / role.value, [WORKER, role.value], environment, watchdog_seconds=WATCHDOG_SECONDS
    ) as unit:
        yield unit


@pytest.mark.parametrize("role", list(Role))
def test_a_role_says_that_it_is_ready_lives_and_stops(
    role: Role, tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(role, tmp_path, environment) as unit:
        unit.wait_ready()
        unit.wait_fed(5)
        assert unit.status
        assert unit.stop() == 0
        assert "STOPPING=1" in unit.messages
