"""Can this host analyse games at all?"""

import asyncio
import functools
from dataclasses import replace
from pathlib import Path

from app.kit.environment import ConfigurationError, NotNowError
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_builds import EngineBuild, fastest, installed, try_builds
from workers.analysis.plugin_registry import NothingInstalled, PluginError, PluginRegistry, load_plugins
from workers.settings import Settings

_PATIENCE_SECONDS = 60.0
"""For an engine's first answer. A host that boots, or whose analysis has used up its share of the processor,
needs a multiple of a free one's 0.3 s."""


def check(settings: Settings) -> None:
    """Raise ConfigurationError, one line, if a plugin can't be loaded or no engine plays, or NotNowError."""
    plugins(settings)
    engine_options(settings)


@functools.cache
def plugins(settings: Settings) -> PluginRegistry:
    """Return the active plugins, or raise ConfigurationError; NotNowError if not even Scoresheet's are there.

    Forked processes inherit the answer: those that come later run what the first ones run, whatever has
    become of the installation.
    """
    try:
        return load_plugins(settings.selected_plugins)
    except NothingInstalled as error:  # as amid an upgrade in place
        raise NotNowError(str(error)) from error
    except PluginError as error:
        chosen = "SCORESHEET_PLUGINS: " if settings.selected_plugins else ""
        raise ConfigurationError(f"{chosen}{error}") from error


@functools.cache
def builds(settings: Settings) -> list[EngineBuild]:
    """Return the installed builds of the engine, tried. Forked processes inherit the answer."""
    patient = replace(_options(settings), patience_seconds=_PATIENCE_SECONDS)
    return asyncio.run(try_builds(installed(settings.engine_path), patient))


def engine_options(settings: Settings) -> EngineOptions:
    """Return how to run the fastest build that works.

    Raises ConfigurationError if none does, NotNowError if one may yet.
    """
    tried = builds(settings)
    best = fastest(tried)
    if best is None:
        faults = "; ".join(f"{build.path}: {build.fault}" for build in tried)
        kind = NotNowError if any(build.too_slow for build in tried) else ConfigurationError
        raise kind(f"SCORESHEET_ENGINE_PATH: no engine works: {faults or 'none is named'}")
    return replace(_options(settings), path=best.path)


def engine_table(settings: Settings) -> str:
    """Return a line for each installed build: whether it is used, its speed, name and path, and its fault."""
    tried = builds(settings)
    best = fastest(tried)
    rows = [("", "nodes/s", "engine", "program", "")]
    for build in tried:
        speed = "-" if build.nodes_per_second is None else f"{build.nodes_per_second:,.0f}"
        name = "-" if build.identity is None else build.identity.name
        rows.append(("used" if build is best else "", speed, name, str(build.path), build.fault))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def _options(settings: Settings) -> EngineOptions:
    return EngineOptions(path=Path(), hash_mb=settings.engine_hash_mb)
