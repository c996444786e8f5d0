"""Does the command line say what it can do, and what is wrong?"""

import importlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.kit.environment import PREFIX, NotNowError
from workers import cli, memory
from workers.analysis import preflight
from workers.analysis.plugin_registry import load_plugins
from workers.celery_app import app
from workers.ingestion.tasks import GAMES_AT_ONCE
from workers.settings import Role, Settings, get_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Set what every role needs, read anew."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("secret-token\n")
    monkeypatch.setenv("SCORESHEET_BROKER_URL", "redis://127.0.0.1/0")
    monkeypatch.setenv("SCORESHEET_WORKER_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SCORESHEET_STATE_DIR", str(tmp_path))
    get_settings.cache_clear()
    return monkeypatch


@pytest.mark.parametrize("arguments", [[], ["cook"], ["producer", "beat"]])
def test_an_unknown_role_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_help_names_every_role(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    assert all(role.value in text for role in Role)


@pytest.mark.parametrize("role", [*Role, "check"])
def test_a_wrong_configuration_is_one_line_and_status_78(
    role: str, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("SCORESHEET_CONSUMER_CONCURRENCY", "0")
    assert cli.main([role]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"scoresheet-worker {role}: SCORESHEET_CONSUMER_CONCURRENCY")


def test_check_looks_at_what_every_role_needs(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("SCORESHEET_STATE_DIR", "/nowhere")
    assert cli.main(["check"]) == 78
    assert "SCORESHEET_STATE_DIR" in capsys.readouterr().err


def test_the_engine_matters_to_the_analysis_roles_alone(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Role] = []

    def start(role: Role, _: Settings) -> int:
        started.append(role)
        return 0

    environment.setattr(cli, "_run_worker", start)
    environment.setenv("SCORESHEET_ENGINE_PATH", "/nowhere/stockfish")
    assert cli.main(["consumer"]) == 0
    assert cli.main(["analysis-consumer"]) == 78
    assert started == [Role.CONSUMER]
    assert "/nowhere/stockfish" in capsys.readouterr().err


def test_a_host_that_is_too_busy_now_is_no_wrong_configuration(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(_: Settings) -> None:
        raise NotNowError("no answer in 60 s")

    environment.setattr(preflight, "check", busy)
    assert cli.main(["analysis-consumer"]) == 75  # which systemd tries again
    assert capsys.readouterr().err == "scoresheet-worker analysis-consumer: no answer in 60 s\n"


def test_a_plugin_that_is_not_installed_is_a_wrong_configuration(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("SCORESHEET_PLUGINS", "accuracy, nonsense")
    assert cli.main(["analysis-producer"]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert "analysis-producer: SCORESHEET_PLUGINS: no such plugin: nonsense (installed: accuracy, " in line


def test_the_selected_plugins_are_active_alone(environment: pytest.MonkeyPatch) -> None:
    assert [plugin.name for plugin in preflight.plugins(get_settings())] == [
        plugin.name for plugin in load_plugins()
    ]
    get_settings.cache_clear()
    environment.setenv("SCORESHEET_PLUGINS", "largest_swing,accuracy")
    assert [plugin.name for plugin in preflight.plugins(get_settings())] == ["accuracy", "largest_swing"]


@pytest.mark.parametrize(
    ("left_mib", "consumers", "analysts"), [(None, 8, 4), (4_000, 8, 4), (600, 7, 2), (300, 3, 1), (0, 1, 1)]
)
def test_where_memory_is_short_fewer_processes_start_and_it_is_said(
    environment: pytest.MonkeyPatch, left_mib: int | None, consumers: int, analysts: int
) -> None:
    environment.setattr(memory, "available_mib", lambda: left_mib)
    with capture_logs() as logged:
        assert cli._concurrency(Role.CONSUMER, get_settings()) == consumers
        assert cli._concurrency(Role.ANALYSIS_CONSUMER, get_settings()) == analysts
        assert cli._concurrency(Role.PRODUCER, get_settings()) == 1
    assert [(line["event"], line["processes"], line["default"]) for line in logged] == [
        ("fewer_processes", fit, default) for fit, default in ((consumers, 8), (analysts, 4)) if fit < default
    ]


def test_what_the_owner_sets_starts_whatever_the_memory(environment: pytest.MonkeyPatch) -> None:
    environment.setattr(memory, "available_mib", lambda: 0)
    environment.setenv("SCORESHEET_CONSUMER_CONCURRENCY", "8")
    environment.setenv("SCORESHEET_ANALYSIS_CONCURRENCY", "4")
    assert cli._concurrency(Role.CONSUMER, get_settings()) == 8
    assert cli._concurrency(Role.ANALYSIS_CONSUMER, get_settings()) == 4


def test_only_a_process_that_stores_games_takes_up_several_messages() -> None:
    roles = [role for role in Role if role is not Role.BEAT]
    for role in roles:
        importlib.import_module(cli._WORKERS[role].tasks)
    assert {role: cli._messages_at_once(role, app) for role in roles} == dict.fromkeys(roles, 1) | {
        Role.CONSUMER: GAMES_AT_ONCE
    }
