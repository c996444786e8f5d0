"""Are plugins found, and is a worker kept from starting with a bad one?"""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from app.contract.analyses import PluginId
from plugins.api import Plugin
from tests.unit.workers.analysis import bad_plugins
from workers.analysis.plugin_registry import GROUP, PluginError, load_plugins

HERE = "tests.unit.workers.analysis.bad_plugins"


def entry(name: str, target: str) -> EntryPoint:
    return EntryPoint(name=name, value=target, group=GROUP)


def variant_of_good(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> EntryPoint:
    """Install a copy of the good plugin with some attributes changed, or taken away (`...`)."""
    namespace = {key: value for key, value in vars(bad_plugins.Good).items() if not key.startswith("__")}
    namespace |= attributes
    kept = {key: value for key, value in namespace.items() if value is not ...}
    monkeypatch.setattr(bad_plugins, "Variant", type("Variant", (Plugin,), kept), raising=False)
    return entry("good", f"{HERE}:Variant")


def test_the_declared_plugins_are_all_fit_to_run() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())
    declared = pyproject["project"]["entry-points"][GROUP]
    registry = load_plugins(installed=[entry(name, target) for name, target in declared.items()])
    assert [plugin.name for plugin in registry] == sorted(declared)


def test_a_plugin_is_found_by_name_and_version() -> None:
    registry = load_plugins(installed=[entry("good", f"{HERE}:Good")])
    found = registry.get(PluginId(name="good", version=1))
    assert isinstance(found, bad_plugins.Good)
    assert registry.get(PluginId(name="good", version=2)) is None
    assert registry.get(PluginId(name="other", version=1)) is None


def test_a_selection_leaves_the_others_out_unseen() -> None:
    installed = [entry("good", f"{HERE}:Good"), entry("broken", "no.such.module:Plugin")]
    assert [plugin.name for plugin in load_plugins(["good"], installed=installed)] == ["good"]


def test_a_selected_plugin_that_is_not_installed_is_named() -> None:
    with pytest.raises(PluginError, match=r"no such plugin: missing \(installed: good\)"):
        load_plugins(["good", "missing"], installed=[entry("good", f"{HERE}:Good")])


def test_no_plugin_at_all_is_an_error() -> None:
    with pytest.raises(PluginError, match="no plugin is installed"):
        load_plugins(installed=[])


def test_one_name_for_two_plugins_is_an_error() -> None:
    installed = [entry("good", f"{HERE}:Good"), entry("good", f"{HERE}:Lazy")]
    with pytest.raises(PluginError, match=r"installed twice: .*Good and .*Lazy"):
        load_plugins(installed=installed)


def test_the_same_distribution_found_twice_is_none() -> None:
    assert len(load_plugins(installed=[entry("good", f"{HERE}:Good")] * 2).ids) == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no.such.module:Plugin", "cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:NoSuchClass", "cannot be imported: AttributeError"),
        (f"{HERE}:Verdict", "no subclass of plugins.api.Plugin"),
        (f"{HERE}:GAME_OVER", "cannot be imported"),
        (f"{HERE}:Lazy", "calls itself 'lazy'"),
    ],
)
def test_what_is_no_plugin_is_refused_in_one_line(target: str, words: str) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugins(installed=[entry("good", target)])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def _explode(_self: object) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"name": ...}, "no valid name: None"),
        ({"name": "Good Plugin"}, "no valid name: 'Good Plugin'"),
        ({"version": ...}, "no valid version: None"),
        ({"version": 0}, "no valid version: 0"),
        ({"version": "1.0"}, "no valid version: '1.0'"),
        ({"version": True}, "no valid version: True"),
        ({"api_version": ...}, "written for plugin API None, this is 1"),
        ({"api_version": 2}, "written for plugin API 2, this is 1"),
        ({"title": " "}, "no valid title"),
        ({"description": ...}, "no valid description"),
        ({"result_type": dict}, "no valid result_type"),
        ({"needs": "evaluations"}, "no valid needs"),
        ({"analyse": ...}, "does not define analyse"),
        ({"__init__": _explode}, "cannot be created: SystemExit: 3"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, Any], words: str
) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugins(installed=[variant_of_good(monkeypatch, **attributes)])
    assert words in str(caught.value)
    assert "good" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_variant_without_changes_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(load_plugins(installed=[variant_of_good(monkeypatch)]).ids) == 1
