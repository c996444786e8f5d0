"""Does `systemd/install` lay out units that systemd takes, and confines as promised?"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.nix.unit_files import CHECKOUT, SYSTEMD, install, read_unit

_ANALYZE = shutil.which("systemd-analyze")


def _systemd_version() -> int:
    if _ANALYZE is None:
        return 0
    version = subprocess.run([_ANALYZE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.split()[1])


_needs_systemd = pytest.mark.skipif(_systemd_version() < 252, reason="needs systemd-analyze 252 or newer")
_EXPOSURE_LIMIT = 1.5
_ANALYSIS_EXPOSURE_LIMIT = 1.0


@pytest.fixture(name="units")
def installed_units(tmp_path: Path) -> Path:
    """Return a folder of units whose programs exist."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("scoresheet", "scoresheet-worker", "ssh"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    done = install(tmp_path, f"bin={programs}", "libexec=/libexec", f"ssh={programs}/ssh")
    assert (done.returncode, done.stderr) == (0, "")
    units = tmp_path / "etc/systemd/system"
    backup = units / "scoresheet-backup.service"
    backup.write_text(backup.read_text().replace("=/libexec/", f"={tmp_path}/libexec/"))
    return units


def _analyze(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    assert _ANALYZE is not None
    return subprocess.run(
        [_ANALYZE, *arguments],
        cwd=folder,
        env={"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@_needs_systemd
def test_systemd_has_nothing_to_object(units: Path) -> None:
    names = sorted(f"./{path.name}" for path in units.iterdir() if path.is_file())
    done = _analyze("verify", "--man=no", "--recursive-errors=no", *names, folder=units)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@_needs_systemd
@pytest.mark.parametrize("drop_in", sorted(path.name for path in (SYSTEMD / "optional").iterdir()))
def test_systemd_takes_the_optional_drop_ins(units: Path, drop_in: str) -> None:
    shutil.copy(SYSTEMD / "optional" / drop_in, units / "scoresheet-producer.service.d")
    done = _analyze(
        "verify", "--man=no", "--recursive-errors=no", "./scoresheet-producer.service", folder=units
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@_needs_systemd
@pytest.mark.parametrize("unit", sorted(path.name for path in SYSTEMD.glob("*.service")))
def test_the_exposure_of_each_unit_is_bounded(units: Path, unit: str) -> None:
    done = _analyze("security", "--offline=true", "--no-pager", f"./{unit}", folder=units)
    (exposure,) = re.findall(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    limit = _ANALYSIS_EXPOSURE_LIMIT if "analysis-consumer" in unit else _EXPOSURE_LIMIT
    assert float(exposure) <= limit


def test_no_drop_in_reaches_a_unit_of_the_hosts_own(units: Path) -> None:
    """One in `scoresheet-.service.d` would hold for every service whose name begins so."""
    folders = {path.name for path in units.iterdir() if path.is_dir()}
    assert folders == {f"{path.name}.d" for path in units.glob("*.service")}


def test_no_placeholder_is_left(units: Path) -> None:
    texts = [path.read_text() for path in units.rglob("*") if path.is_file()]
    assert [found for text in texts for found in re.findall(r"@[a-z_]+@", text)] == []


def test_a_value_arrives_as_it_is_with_specifiers_quoted(tmp_path: Path) -> None:
    url = r"redis://:a|b\c&d%2F@host/0"
    assert install(tmp_path, f"broker_url={url}").returncode == 0
    environment = read_unit(tmp_path / "etc/systemd/system/scoresheet-beat.service").all("Environment")
    assert f'"SCORESHEET_BROKER_URL={url.replace("%", "%%")}"' in environment
    # A script knows no specifiers.
    assert f"--setenv=SCORESHEET_BROKER_URL={url}" in _admin(tmp_path)


def _admin(root: Path) -> list[str]:
    """Return what scoresheet-admin of the installation in a folder has systemd run."""
    folder = root / "usr/local/libexec"
    (folder / "systemd-run").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (folder / "systemd-run").chmod(0o755)
    admin = folder / "scoresheet-admin"
    admin.write_text(admin.read_text().replace("/etc/", f"{root}/etc/"))
    done = subprocess.run(
        [admin, "token", "create", "me"],
        env={"PATH": f"{folder}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_an_admins_command_gets_the_addresses_of_this_host(tmp_path: Path) -> None:
    install(tmp_path, "database_url=postgresql+psycopg://there", "broker_url=redis://there", "broker_group=")
    folder = tmp_path / "etc/scoresheet"
    (folder / "migration-database-url").touch()
    arguments = _admin(tmp_path)
    assert arguments[-4:] == ["/opt/scoresheet/bin/scoresheet", "token", "create", "me"]
    assert {argument for argument in arguments if "_url" in argument.lower()} == {
        "--setenv=SCORESHEET_DATABASE_URL=postgresql+psycopg://there",
        "--setenv=SCORESHEET_BROKER_URL=redis://there",
        f"--property=LoadCredential=scoresheet_migration_database_url:{folder}/migration-database-url",
    }


@pytest.mark.parametrize("wrong", ["brocker_url=redis://x", "prodcer"])
def test_what_install_does_not_know_it_refuses(tmp_path: Path, wrong: str) -> None:
    done = install(tmp_path, wrong)
    assert done.returncode == 2
    assert wrong.partition("=")[0] in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", ["systemd/debian/setup", "docs/debian.md"])
def test_postgres_opens_no_file_of_the_checkout(path: str) -> None:
    """It has no way into root's home, where the checkout may be: root opens what it reads."""
    lines = [line for line in (CHECKOUT / path).read_text().splitlines() if "-u postgres" in line]
    assert any("database.sql" in line for line in lines)
    assert [
        line for line in lines if "database.sql" in line and not re.search(r"< \S+database\.sql", line)
    ] == []


def _tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_what_was_given_once_holds_at_the_next_installation(tmp_path: Path) -> None:
    given = ["engine=/opt/a=b/stockfish", "broker_group=", r"broker_url=redis://a\b%2F", "link", "api"]
    once, again = tmp_path / "once", tmp_path / "again"
    install(once, *given)
    install(again, *given)
    assert install(again).returncode == 0
    assert _tree(again) == _tree(once)

    assert install(again, "broker_group=redis", "beat").returncode == 0
    kept = (again / "etc/scoresheet/install").read_text().splitlines()[1:]
    assert kept == [given[0], "broker_group=redis", given[2], "beat"]
    unit = read_unit(again / "etc/systemd/system/scoresheet-analysis-consumer.service")
    assert "SCORESHEET_ENGINE_PATH=/opt/a=b/stockfish" in unit.all("Environment")
    assert unit.one("SupplementaryGroups") == "redis"


def test_an_existing_environment_file_is_kept(tmp_path: Path) -> None:
    install(tmp_path)
    environment = tmp_path / "etc/scoresheet/environment"
    environment.write_text("SCORESHEET_NODES=7\n")
    install(tmp_path)
    assert environment.read_text() == "SCORESHEET_NODES=7\n"
