"""Can this host analyse games at all?"""

import asyncio
import functools

import chess

from app.contract.positions import EngineIdentity
from app.kit.environment import ConfigurationError
from workers.analysis.engine import Engine, EngineError, EngineOptions
from workers.analysis.plugin_registry import PluginError, PluginRegistry, load_plugins
from workers.settings import Settings

_PROBE_NODES = 1_000


def check(settings: Settings) -> None:
    """Raise ConfigurationError, one line, if a plugin can't be loaded or the engine does not play."""
    plugins()
    engine(settings)


def plugins() -> PluginRegistry:
    """Return the active plugins, or raise ConfigurationError."""
    try:
        return load_plugins()
    except PluginError as error:
        raise ConfigurationError(str(error)) from error


@functools.cache
def engine(settings: Settings) -> EngineIdentity:
    """Return who will evaluate, after a short search, or raise ConfigurationError.

    Only a search shows that its network is there and that the CPU can run it. Forked processes inherit
    the answer.
    """
    try:
        return asyncio.run(_probe(engine_options(settings)))
    except EngineError as error:
        raise ConfigurationError(
            f"SCORESHEET_ENGINE_PATH: the engine {settings.engine_path} does not work: {error}"
        ) from error


def engine_options(settings: Settings) -> EngineOptions:
    """Return how the settings want an engine to run."""
    return EngineOptions(path=settings.engine_path, hash_mb=settings.engine_hash_mb)


async def _probe(options: EngineOptions) -> EngineIdentity:
    candidate = await Engine.launch(options)
    try:
        await candidate.evaluate(chess.Board(), _PROBE_NODES)
    finally:
        await candidate.close()
    return candidate.identity
