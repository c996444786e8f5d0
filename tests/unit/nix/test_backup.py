"""Does scoresheet-backup keep a dump only if it can be read back whole, and do the passwords stay hidden?"""

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

    def __init__(self, folder: Path, scripts: Path) -> None:
        """Begin empty; pg_dump makes a file, pg_restore shows the tables."""
        self._folder, self._scripts = folder, scripts
        for name in ("programs", "state"):
            (folder / name).mkdir()
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
            [self._scripts / script, *arguments],
            env={**given, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def records_calls(self, name: str) -> None:
        """Have a program on this host note its arguments and its password, then do what it does."""
        path = self._folder / "programs" / name
        noting = f'printf "%s|" "$0" "$@" "$PGPASSWORD" >> {self._folder}/calls\necho >> {self._folder}/calls'
        path.write_text(path.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{noting}\n"))

    def calls(self, option: str) -> list[tuple[str, str]]:
        """Return the value of the option and the password of each call that was recorded with the option."""
        found = []
        for line in (self._folder / "calls").read_text().splitlines():
            *arguments, password, _ = line.split("|")
            values = [value.removeprefix(option) for value in arguments if value.startswith(option)]
            found += [(value, password) for value in values]
        return found

    def kept(self) -> dict[str, str]:
        """Return what a backup left, by suffix."""
        return {path.suffix: path.read_text() for path in (self._folder / "state").iterdir()}


@pytest.fixture(name="scripts", scope="module")
def installed_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the scripts."""
    root = tmp_path_factory.mktemp("root")
    assert install(root).returncode == 0
    return root / "usr/local/libexec"


@pytest.fixture(name="host")
def empty_host(tmp_path: Path, scripts: Path) -> Host:
    """Return a host without dumps."""
    return Host(tmp_path, scripts)


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


_ADDRESSES = {
    "postgresql+psycopg://m@/scoresheet?host=/run/postgresql&port=5432": (
        "postgresql://m@/scoresheet?host=/run/postgresql&port=5432",
        "",
    ),
    "postgresql+psycopg://m:p%40%25%2Fss%c3%A9%21%zz@db:5432/s?sslmode=require": (
        "postgresql://m@db:5432/s?sslmode=require",
        "p@%/ssé!%zz",
    ),
    "postgresql://m:a/b:c@db/s?application_name=x@y": ("postgresql://m@db/s?application_name=x@y", "a/b:c"),
    "postgresql://db:5432/s?user=m@x&password=a%20b&sslmode=require": (
        "postgresql://db:5432/s?user=m@x&sslmode=require",
        "a b",
    ),
    "postgresql://m@[::1]:5432/s?password=x": ("postgresql://m@[::1]:5432/s?", "x"),
}


@pytest.mark.parametrize("address", _ADDRESSES)
@pytest.mark.parametrize("script", ["scoresheet-backup", "scoresheet-restore"])
def test_no_command_line_shows_the_password(host: Host, tmp_path: Path, script: str, address: str) -> None:
    done = host.run(script, *_arguments(host, tmp_path, script), SCORESHEET_MIGRATION_DATABASE_URL=address)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(host.calls("--dbname=")) == {_ADDRESSES[address]}


@pytest.mark.parametrize("script", ["scoresheet-backup", "scoresheet-restore"])
def test_the_address_may_come_as_a_credential(host: Host, tmp_path: Path, script: str) -> None:
    (tmp_path / "scoresheet_migration_database_url").write_text("postgresql://m:secret@db/s\n")
    done = host.run(
        script,
        *_arguments(host, tmp_path, script),
        SCORESHEET_MIGRATION_DATABASE_URL="",
        CREDENTIALS_DIRECTORY=str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(host.calls("--dbname=")) == {("postgresql://m@db/s", "secret")}


def _arguments(host: Host, folder: Path, script: str) -> list[str]:
    """Have calls recorded, and return what the script is called with."""
    host.program("psql", "echo 0")
    for program in ("pg_dump", "pg_restore", "psql"):
        host.records_calls(program)
    if script == "scoresheet-backup":
        return []
    for name in ("a.dump", "a.rows"):
        (folder / name).write_text("t\t0\n")
    return [f"{folder}/a.dump"]
