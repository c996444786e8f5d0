"""Does a host that cannot analyse say so, in one line, before the worker starts?"""

from pathlib import Path

import pytest

from app.kit.environment import ConfigurationError, NotNowError
from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from tests.unit.workers.analysis.bad_plugins import Good
from workers.analysis import preflight
from workers.analysis.engine import EngineOptions
from workers.analysis.plugin_registry import PluginError, PluginRegistry, load_plugins
from workers.settings import Settings


def settings(*engines: Path) -> Settings:
    setting = ":".join(map(str, engines))
    return Settings.model_validate(
        {"broker_url": "redis://127.0.0.1:1/0", "engine_path": setting, "engine_hash_mb": 4}
    )


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    preflight.plugins.cache_clear()
    monkeypatch.setattr(preflight, "load_plugins", lambda _names: PluginRegistry([Good()]))


def test_an_installation_without_any_plugin_may_be_whole_at_the_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "load_plugins", lambda _names: load_plugins(installed=[]))
    with pytest.raises(NotNowError, match="no plugin is installed"):
        preflight.plugins(settings(folder))


def test_what_was_loaded_at_the_start_stays_although_it_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_names: object) -> PluginRegistry:
        raise PluginError("no plugin is installed")

    loaded = preflight.plugins(settings(folder))
    monkeypatch.setattr(preflight, "load_plugins", gone)
    assert preflight.plugins(settings(folder)) is loaded


def test_a_good_host_passes_and_its_engine_is_tried_once(folder: Path) -> None:
    wanted = settings(fake.install(folder))
    preflight.check(wanted)
    assert preflight.engine_options(wanted) == EngineOptions(folder / "engine", 4)
    assert "go nodes 1000" in fake.commands(folder)
    assert len(fake.pids(folder)) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.ILLEGAL_INSTRUCTION, "exit status -4: built for another CPU"),
        (Fault.EXIT_AT_START, "last said 'info string no network here'"),
        (Fault.DIE_ON_GO, "exit status -11"),
        (Fault.NAMELESS, "does not say its name"),
    ],
)
def test_a_bad_engine_is_named_with_its_setting(folder: Path, fault: Fault, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        preflight.check(settings(fake.install(folder, fault)))
    message = str(caught.value)
    assert message.startswith(f"SCORESHEET_ENGINE_PATH: no engine works: {folder / 'engine'}: ")
    assert words in message
    assert "\n" not in message


def test_an_engine_that_is_slow_to_answer_is_no_wrong_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_PATIENCE_SECONDS", 0.3)
    with pytest.raises(NotNowError, match=r"SCORESHEET_ENGINE_PATH: no engine works: .*no answer in"):
        preflight.check(settings(fake.install(folder, Fault.HANG_ON_GO)))


def test_a_missing_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SCORESHEET_ENGINE_PATH: .*no such program"):
        preflight.check(settings(tmp_path / "none"))


def test_the_table_says_of_each_build_whether_it_is_used_and_why_not(folder: Path) -> None:
    good = fake.install(folder / "good")
    wrong_cpu = fake.install(folder / "wrong_cpu", Fault.ILLEGAL_INSTRUCTION)
    table = preflight.engine_table(settings(wrong_cpu, good))
    heading, first, second = [line.split() for line in table.splitlines()]
    assert heading == ["nodes/s", "engine", "program"]
    assert first[:3] == ["-", "-", str(wrong_cpu)]
    assert "another CPU" in table
    assert [second[0], *second[2:]] == ["used", "Fake", "1", str(good)]
    assert int(second[1].replace(",", "")) > 0
    assert preflight.engine_options(settings(wrong_cpu, good)).path == good


def test_a_bad_plugin_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_names: object) -> PluginRegistry:
        raise PluginError("plugin 'x' has no valid version: 0")

    monkeypatch.setattr(preflight, "load_plugins", fail)
    with pytest.raises(ConfigurationError, match="plugin 'x' has no valid version"):
        preflight.check(settings(fake.install(folder)))
