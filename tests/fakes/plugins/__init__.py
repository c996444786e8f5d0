"""How does a worker come to have plugins that no distribution of ours carries?"""

from collections.abc import Mapping
from pathlib import Path

from dev.paths import CHECKOUT

GROUP = "scoresheet.plugins"


def install(folder: Path, plugins: Mapping[str, str], distribution: str = "fakes") -> str:
    """Install plugins, as name and "module:Class", for processes that get the returned PYTHONPATH.

    The folder then looks like one of site-packages with another distribution in it. Replaces what was
    installed there under the same name of a distribution.
    """
    metadata = folder / f"{distribution}-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    lines = [f"{name} = {where}" for name, where in plugins.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    return f"{folder}:{CHECKOUT}"
