"""Which plugins are installed and fit to run?"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, entry_points

from app.contract.analyses import PluginId
from plugins.api import Needs
from plugins.contract import AnyPlugin, BrokenContract, check_class

GROUP = "scoresheet.plugins"
"""Entry points of this group are plugins."""


class PluginError(Exception):
    """A plugin is missing, broken or in conflict with another; the message is one line."""


class NothingInstalled(PluginError):
    """No plugin is there at all, not even those that come with Scoresheet."""


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


def find_plugins(installed: Iterable[EntryPoint] | None = None) -> dict[str, list[EntryPoint]]:
    """Return the entry points of all installed distributions, by the plugin's name; nothing is imported.

    More than one of a name is a fault, unless they are the same.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP) if installed is None else installed:
        found.setdefault(entry.name, []).append(entry)
    return dict(sorted(found.items()))


def distributions(selection: Collection[str] | None = None) -> list[Distribution]:
    """Return what the plugins of all installed distributions, or only those selected by name, come with."""
    return [
        entry.dist
        for name, entries in find_plugins().items()
        for entry in entries
        if entry.dist is not None and (selection is None or name in selection)
    ]


def load_plugins(
    selection: Collection[str] | None = None, *, installed: Iterable[EntryPoint] | None = None
) -> PluginRegistry:
    """Return the plugins of all installed distributions, or only those selected by name.

    Raises PluginError for the first that is missing, broken, incompatible or named twice: a worker
    with half of its plugins would leave gaps that nobody notices.
    """
    found = find_plugins(installed)
    for name, entries in found.items():
        if len(values := {entry.value for entry in entries}) > 1:
            raise PluginError(f"plugin {name!r} is installed twice: {' and '.join(sorted(values))}")
    if not found:
        raise NothingInstalled(f"no plugin is installed (entry points of the group {GROUP})")
    names = sorted(found) if selection is None else sorted(set(selection))
    missing = [name for name in names if name not in found]
    if missing:
        raise PluginError(f"no such plugin: {', '.join(missing)} (installed: {', '.join(sorted(found))})")
    return PluginRegistry([_load(found[name][0]) for name in names])


def _load(entry: EntryPoint) -> AnyPlugin:
    where = f"plugin {entry.name!r} ({entry.value})"
    # Code of others runs here for the first time, and may do anything.
    try:
        kind = entry.load()
    except BaseException as error:
        raise PluginError(f"{where} cannot be imported: {_one_line(error)}") from error
    try:
        check_class(kind)
    except BrokenContract as error:
        raise PluginError(f"{where} {error}") from error
    if kind.name != entry.name:
        raise PluginError(f"{where} calls itself {kind.name!r}")
    try:
        plugin: AnyPlugin = kind()
    except BaseException as error:
        raise PluginError(f"{where} cannot be created: {_one_line(error)}") from error
    return plugin


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
