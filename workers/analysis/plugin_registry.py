"""Which plugins are installed and fit to run?"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from app.contract.analyses import PluginId
from plugins.api import API_VERSION, Needs, Plugin, PluginOutput

GROUP = "scoresheet.plugins"
"""Entry points of this group are plugins."""

AnyPlugin = Plugin[PluginOutput]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class PluginError(Exception):
    """A plugin is missing, broken or in conflict with another; the message is one line."""


class PluginRegistry:
    """The active plugins, by name."""

    def __init__(self, plugins: Iterable[AnyPlugin]) -> None:
        self._plugins: Mapping[str, AnyPlugin] = {plugin.name: plugin for plugin in plugins}

    def __iter__(self) -> Iterator[AnyPlugin]:
        return iter(self._plugins.values())

    @property
    def ids(self) -> list[PluginId]:
        """Every active plugin at its version, in the order of their names."""
        return self.ids_that(lambda _: True)

    def ids_that(self, need: Callable[[Needs], bool]) -> list[PluginId]:
        """Return the active plugins that have a need, in the order of their names."""
        return [PluginId(name=plugin.name, version=plugin.version) for plugin in self if need(plugin.needs)]

    def get(self, plugin: PluginId) -> AnyPlugin | None:
        """Return the plugin of this name and version, None if another version or none is active."""
        found = self._plugins.get(plugin.name)
        return found if found is not None and found.version == plugin.version else None


def load_plugins(
    selection: Collection[str] | None = None, *, installed: Iterable[EntryPoint] | None = None
) -> PluginRegistry:
    """Return the plugins of all installed distributions, or only those selected by name.

    Raises PluginError for the first that is missing, broken, incompatible or named twice: a worker
    with half of its plugins would leave gaps that nobody notices.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP) if installed is None else installed:
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise PluginError(f"plugin {entry.name!r} is installed twice: {other.value} and {entry.value}")
        found[entry.name] = entry
    names = sorted(found) if selection is None else sorted(set(selection))
    missing = [name for name in names if name not in found]
    if missing:
        raise PluginError(
            f"no such plugin: {', '.join(missing)} (installed: {', '.join(sorted(found)) or 'none'})"
        )
    if not names:
        raise PluginError(f"no plugin is installed (entry points of the group {GROUP})")
    return PluginRegistry([_load(found[name]) for name in names])


def _load(entry: EntryPoint) -> AnyPlugin:
    where = f"plugin {entry.name!r} ({entry.value})"
    # Code of others runs here for the first time, and may do anything.
    try:
        kind = entry.load()
    except BaseException as error:
        raise PluginError(f"{where} cannot be imported: {_one_line(error)}") from error
    _check(kind, entry.name, where)
    try:
        plugin: AnyPlugin = kind()
    except BaseException as error:
        raise PluginError(f"{where} cannot be created: {_one_line(error)}") from error
    return plugin


def _check(kind: Any, name: str, where: str) -> None:
    if not isinstance(kind, type) or not issubclass(kind, Plugin):
        raise PluginError(f"{where} is no subclass of plugins.api.Plugin")
    written_for = getattr(kind, "api_version", None)
    if written_for != API_VERSION:
        raise PluginError(f"{where} is written for plugin API {written_for}, this is {API_VERSION}")
    if kind.__abstractmethods__:
        raise PluginError(f"{where} does not define {', '.join(sorted(kind.__abstractmethods__))}")
    for attribute, is_valid in _DECLARED.items():
        value = getattr(kind, attribute, None)
        if not is_valid(value):
            raise PluginError(f"{where} has no valid {attribute}: {value!r}"[:500])
    if kind.name != name:
        raise PluginError(f"{where} calls itself {kind.name!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_DECLARED: Mapping[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and _NAME.fullmatch(value) is not None,
    "version": lambda value: type(value) is int and 1 <= value < 2**31,
    "title": _is_text,
    "description": _is_text,
    "result_type": lambda value: isinstance(value, type) and issubclass(value, PluginOutput),
    "needs": lambda value: isinstance(value, Needs),
}
"""What each plugin declares, and what is valid there."""


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
