"""Will Release Please make of this checkout the release that comes next?"""

import json
import re
import tomllib

from dev.paths import CHECKOUT


def test_before_the_first_release_the_changelog_has_no_heading_and_after_it_all_name_one_version() -> None:
    released = json.loads((CHECKOUT / ".release-please-manifest.json").read_text())
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^#+ .*", changelog, re.MULTILINE)
    if not released:
        # The first entry is put before whatever is there, below a title of its own.
        assert headings == []
        return
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    assert released == {".": version}
    assert headings[0] == "# Changelog"
    assert re.match(rf"###? \[?{re.escape(version)}\b", headings[1])
