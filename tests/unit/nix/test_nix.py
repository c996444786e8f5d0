"""Do the Nix files hold together, as far as can be told without nixpkgs?"""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.unit.nix.nix_program import evaluate, needs_nix, nix
from tests.unit.nix.unit_files import CHECKOUT, SYSTEMD, install

_NIX_FILES = [CHECKOUT / "flake.nix", *sorted((CHECKOUT / "nix").rglob("*.nix"))]
_VALUES = {
    "bin": "/opt/scoresheet/bin",
    "libexec": "/usr/local/libexec",
    "engine": "/usr/games/stockfish",
    "broker_group": "redis",
    "broker_url": "redis+socket:///run/redis/redis-server.sock?virtual_host=0",
    "database_url": "postgresql+psycopg://a%2Fb@/scoresheet?host=/run/postgresql&port=6432",
    "migration_database_url": "postgresql+psycopg://m@/scoresheet?host=/run/postgresql",
    "data_services": "",
    "link_broker": "/run/redis/redis-server.sock",
    "worker_token": "/etc/scoresheet/worker-token",
}


@needs_nix
def test_every_file_parses(tmp_path: Path) -> None:
    done = nix(tmp_path, "nix-instantiate", "--parse", *_NIX_FILES)
    assert done.returncode == 0, done.stderr


@needs_nix
def test_nixos_gets_the_same_units_as_any_other_host(tmp_path: Path) -> None:
    rendered = evaluate(tmp_path, Path(__file__).with_name("rendered.nix"), **_VALUES)

    root = tmp_path / "root"
    assert install(root, *(f"{name}={value}" for name, value in _VALUES.items())).returncode == 0
    units = root / "etc/systemd/system"
    installed = {
        str(path.relative_to(units)): path.read_text() for path in units.rglob("*") if path.is_file()
    }
    assert rendered["texts"] == installed
    scripts = root / "usr/local/libexec"
    assert rendered["scripts"] == {path.name: path.read_text() for path in scripts.iterdir()}


@needs_nix
def test_the_lock_is_in_step_with_the_flake(tmp_path: Path) -> None:
    flake = tmp_path / "flake"
    flake.mkdir()
    for name in ("flake.nix", "flake.lock"):
        shutil.copy(CHECKOUT / name, flake)
    done = nix(
        tmp_path,
        "nix", "--store", tmp_path / "flake-store", "--offline",
        "flake", "metadata", "--no-update-lock-file", f"path:{flake}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_input_is_locked_with_a_hash() -> None:
    lock = json.loads((CHECKOUT / "flake.lock").read_text())
    inputs = (CHECKOUT / "flake.nix").read_text().partition("outputs =")[0]
    named = set(re.findall(r"^\s*([\w-]+)(?:\.url = | = \{$)", inputs, re.MULTILINE)) - {"inputs"}
    assert set(lock["nodes"]["root"]["inputs"]) == named
    locked = [node["locked"] for name, node in lock["nodes"].items() if name != "root"]
    assert all(re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", entry["narHash"]) for entry in locked)
    assert all(re.fullmatch(r"[0-9a-f]{40}", entry["rev"]) for entry in locked)


def _options(text: str) -> list[str]:
    """Return the body of each option's declaration."""
    bodies = []
    for found in re.finditer(r"mkOption (?=\{)", text):
        depth = 0
        for end in range(found.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
        bodies.append(text[found.end() : end])
    return bodies


@pytest.mark.parametrize("key", ["type", "description", "example", "default"])
def test_every_option_has_what_its_documentation_shows(key: str) -> None:
    options = _options((CHECKOUT / "nix/module/options.nix").read_text())
    assert len(options) > 20
    said = re.compile(rf"^\s*(inherit )?{key}(Text)?( =|;)", re.MULTILINE)
    assert [option for option in options if not said.search(option)] == []


def test_the_units_package_leaves_no_unit_out() -> None:
    text = (CHECKOUT / "nix/units.nix").read_text()
    suffixes = set(re.findall(r'^\s+"(\.\w+)"$', text, re.MULTILINE))
    units = {path.suffix for path in SYSTEMD.iterdir() if path.name.startswith("scoresheet") and path.suffix}
    assert units == suffixes
