"""What does an author begin with?"""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def write_package(name: str, parent: Path) -> Path:
    """Write a package with a plugin that works, its entry point and its tests; return its folder.

    Raises ValueError for a name that no plugin can have, and FileExistsError rather than write over anything.
    """
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise ValueError(
            f"{name!r} is no name for a plugin: lower-case letters, digits and single underscores, at most 64"
        )
    words = name.split("_")
    values = {
        "name": name,
        "module": f"scoresheet_{name}",
        "kind": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
    }
    folder = parent / f"scoresheet-{name}"
    folder.mkdir(parents=True)
    for template, file in (
        ("pyproject.toml", "pyproject.toml"),
        ("plugin.py", f"{values['module']}.py"),
        ("test_plugin.py", f"test_{name}.py"),
    ):
        text = (files(__package__) / "template" / f"{template}.txt").read_text()
        (folder / file).write_text(Template(text).substitute(values))
    return folder
