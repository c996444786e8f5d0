"""Do the same games give the same bytes by any build of the engine?"""

from pathlib import Path

import pytest

from dev.paths import TOOLS
from tests.integration.test_reproducibility import Store, analyse, some_games
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_builds import installed, try_builds

BUILDS = TOOLS / "stockfish-17"


async def test_another_build_of_the_engine_finds_the_same_bytes() -> None:
    builds = (
        await try_builds(installed(str(BUILDS)), EngineOptions(Path(), hash_mb=1, patience_seconds=60))
        if BUILDS.is_dir()
        else []
    )
    fit = [build.path for build in builds if not build.fault]
    if len(fit) < 2:
        pytest.skip(f"no two builds of one engine in {BUILDS} that run on this processor")
    games = some_games()
    found = []
    for path in fit:
        store = Store()
        found.append((await analyse(games, path, store), store.rows))
    assert all(item == found[0] for item in found)
