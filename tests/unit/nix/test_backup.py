"""Does scoresheet-backup keep a dump only if it can be read back whole?"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.nix.unit_files import install

_TABLES = """\
COPY public.players (id, name) FROM stdin;
1\tbobby
2\tCOPY of bobby
\\.

COPY public.games (note) FROM stdin;
COPY that
complete
\\.

--
-- PostgreSQL database dump complete
--
"""


class Host:
    """A host with the scripts, and with programs that stand in for PostgreSQL's."""

    def __init__(self, folder: Path) -> None:
        """Lay the scripts out; pg_dump makes a file, pg_restore shows the tables."""
        self._folder = folder
        for name in ("programs", "state"):
            (folder / name).mkdir()
        assert install(folder).returncode == 0
        self.program(
            "pg_dump", 'for argument; do case $argument in --file=*) echo > "${argument#*=}" ;; esac; done'
        )
        self.dump_holds(_TABLES)

    def program(self, name: str, does: str) -> None:
        """Have a program on this host."""
        path = self._folder / "programs" / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def dump_holds(self, tables: str, status: int = 0) -> None:
        """Have pg_restore print this, and end with the status."""
        (self._folder / "tables.sql").write_text(tables)
        self.program("pg_restore", f"cat {self._folder}/tables.sql; exit {status}")

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script as its unit does."""
        given: Mapping[str, str] = {
            "PATH": f"{self._folder}/programs:{os.defpath}",
            "STATE_DIRECTORY": str(self._folder / "state"),
            "KEEP": "14",
            "SCORESHEET_MIGRATION_DATABASE_URL": "postgresql+psycopg://m@/scoresheet",
        }
        return subprocess.run(
            [self._folder / "usr/local/libexec" / script, *arguments],
            env={**given, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def kept(self) -> dict[str, str]:
        """Return what a backup left, by suffix."""
        return {path.suffix: path.read_text() for path in (self._folder / "state").iterdir()}


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_beside_a_dump_stand_the_rows_of_its_tables(host: Host) -> None:
    done = host.run("scoresheet-backup")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.kept() == {".dump": "\n", ".rows": "public.games\t2\npublic.players\t2\n"}


@pytest.mark.parametrize(
    ("lines", "status"), [(1, 1), (4, 1), (7, 1), (None, 1), (2, 0)], ids=lambda value: f"{value}"
)
def test_a_dump_that_cannot_be_read_to_its_end_is_not_kept(
    host: Host, lines: int | None, status: int
) -> None:
    host.dump_holds("".join(_TABLES.splitlines(keepends=True)[:lines]), status)
    done = host.run("scoresheet-backup")
    assert done.returncode != 0
    assert done.stderr == "scoresheet-backup: the dump can't be read to its end\n"
    assert host.kept() == {}


def test_a_dump_without_tables_is_not_kept(host: Host) -> None:
    host.dump_holds("--\n-- PostgreSQL database dump complete\n--\n")
    assert host.run("scoresheet-backup").returncode != 0
    assert host.kept() == {}
