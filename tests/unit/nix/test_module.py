"""Do the options of the NixOS module do what they say?"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.unit.nix.nix_program import evaluate, needs_nix
from tests.unit.nix.unit_files import CHECKOUT

_MODULE: Final = CHECKOUT / "nix/module"
_NIXPKGS: Final = os.environ.get("SCORESHEET_NIXPKGS")
_ANALYZE: Final = shutil.which("systemd-analyze")


@needs_nix
@pytest.mark.skipif(_NIXPKGS is None, reason="needs a nixpkgs, in the folder SCORESHEET_NIXPKGS")
def test_hosts_are_what_their_options_say(tmp_path: Path) -> None:
    failures = evaluate(tmp_path, Path(__file__).with_name("evaluated.nix"), nixpkgs=_NIXPKGS)
    assert failures == []


# By type: section and setting that its values stand in, values that systemd reads, and values that it skips.
_VALUES: Final = {
    "calendarTime": (
        "Timer",
        "OnCalendar",
        [
            "03:15",
            "3:15:30.5",
            "daily",
            "weekly UTC",
            "Sun 05:00",
            "monday",
            "Mon..Fri,sun 3:15 Europe/Berlin",
            "*-*-1,15 04:00 UTC",
            "Sun *-*-1..7 5:00",
            "*-02~3",
            "2027-1-1",
            "*:0/15",
            "0/2:00",
        ],
        ["every night", "25:00", "3", "12:00 Mon", "*/2:00", "3:15/0", "*-13-1", "03:15 tonight", "3 am"],
    ),
    "memorySize": (
        "Slice",
        "MemoryMax",
        ["50%", "100%", "3G", "1.5G", "0.5G", "512M", "3221225472", "infinity"],
        ["half", "0%", "150%", "0", "0G", "3GB", "3g", "-1"],
    ),
    "cpuQuota": ("Slice", "CPUQuota", ["50%", "300%", "1000%"], ["half", "0%", "300", "-5%"]),
    "socketAddress": (
        "Socket",
        "ListenStream",
        ["127.0.0.1:8000", "0.0.0.0:80", "[::]:8000", "8000", "/run/api.sock", "@api", "[fe80::1]:80%%eth0"],
        ["localhost:8000", "*:8000", "::1:8000", "80000", "127.0.0.1:80000", "256.0.0.1:80", "run/api.sock"],
    ),
    "ipAddress": (
        "Socket",
        "IPAddressAllow",
        ["any", "localhost", "192.168.1.0/24", "10.0.0.7", "::1", "fd00::/8"],
        ["db.example", "10.0.0", "10.0.0.7/33", "fe80::1/129", "256.0.0.1"],
    ),
}  # fmt: skip


@needs_nix
@pytest.mark.parametrize("kind", _VALUES)
def test_a_type_refuses_what_systemd_would_skip(kind: str, tmp_path: Path) -> None:
    _, _, read, skipped = _VALUES[kind]
    accepted = evaluate(
        tmp_path, Path(__file__).with_name("accepted.nix"), type=kind, values=[*read, *skipped, ""]
    )
    assert accepted == read


@pytest.mark.skipif(_ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("kind", _VALUES)
def test_systemd_skips_these_values(kind: str, tmp_path: Path) -> None:
    section, setting, read, skipped = _VALUES[kind]
    unit = tmp_path / f"x.{section.lower()}"
    unit.write_text(f"[{section}]\n" + "".join(f"{setting}={value}\n" for value in [*read, *skipped]))
    (tmp_path / "x.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(
        [str(_ANALYZE), "verify", "--man=no", "--recursive-errors=no", f"./{unit.name}"],
        cwd=tmp_path,
        env={"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [int(line) for line in re.findall(rf"^\S+/{unit.name}:(\d+): ", done.stderr, re.MULTILINE)]
    first = 2 + len(read)
    assert lines == list(range(first, first + len(skipped))), done.stderr


@needs_nix
def test_a_secret_stays_out_of_the_store(tmp_path: Path) -> None:
    outside = "/var/lib/secrets/token"
    values = [outside, f"{tmp_path}/store/00000000000000000000000000000000-token", "token", "~/token", ""]
    accepted = evaluate(tmp_path, Path(__file__).with_name("accepted.nix"), type="secretFile", values=values)
    assert accepted == [outside]


@needs_nix
def test_an_address_holds_no_password(tmp_path: Path) -> None:
    without = [
        "redis://there:6379/0",
        "redis+socket:///run/redis/redis.sock?virtual_host=0",
        "postgresql+psycopg://scoresheet@/scoresheet?host=/run/pgbouncer&port=6432",
    ]
    with_password = [
        "redis://:secret@there/0",
        "postgresql+psycopg://scoresheet:secret@there/scoresheet",
        "postgresql+psycopg://there/scoresheet?user=scoresheet&password=secret",
    ]
    accepted = evaluate(
        tmp_path, Path(__file__).with_name("accepted.nix"), type="url", values=[*without, *with_password]
    )
    assert accepted == without


def test_every_file_with_a_secret_has_the_type_of_one() -> None:
    text = (_MODULE / "options.nix").read_text()
    types = dict(
        re.findall(r"^\s*(\w*File) =(?: mkOption \{|\n.*\n *mkOption \{)\n *type = (.*);", text, re.MULTILINE)
    )
    assert types.pop("knownHostsFile") == "types.nullOr types.path"
    assert set(types) == {"workerTokenFile", "lichessTokenFile", "keyFile", "urlFile"}
    assert set(types.values()) == {"types.nullOr own.secretFile"}


def test_a_switch_restarts_sockets_that_have_changed() -> None:
    """It skips a socket; what the socket is part of it restarts, where that has changed."""
    text = (_MODULE / "services.nix").read_text()
    (owner,) = re.findall(r'partOf = \[ "(.*)" \];', text)
    (unit,) = re.findall(rf'units\."{re.escape(owner)}" = \{{(.*?)^ +\}};', text, re.DOTALL | re.MULTILINE)
    assert 'config.systemd.units."scoresheet-api.socket".text' in unit
    assert "X-StopIfChanged=false" in unit


def test_what_nobody_wants_any_more_is_masked() -> None:
    """Its file comes with the package, and stays: without a mask, a switch would leave it running."""
    services, backup, link = (
        (_MODULE / name).read_text() for name in ("services.nix", "backup.nix", "link.nix")
    )
    conditions = re.findall(r" enable = (.*);\n *wantedBy = optional \((.*)\) ", services)
    assert [enabled for enabled, _ in conditions] == [wanted for _, wanted in conditions]
    assert len(conditions) == services.count("wantedBy = optional") > 0
    assert "inherit (cfg.backup) enable;" in backup
    assert "scoresheet-link.enable = linked;" in link


def test_the_module_follows_the_ports_and_sockets_of_the_host() -> None:
    texts = [path.read_text() for path in _MODULE.glob("*.nix")]
    assert [
        found
        for text in texts
        for found in re.findall(r"^[^#\n]*(?:5432|6432|redis-scoresheet/).*", text, re.MULTILINE)
    ] == []
