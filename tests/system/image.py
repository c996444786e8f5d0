"""What is on the disk of the test's machine? A Debian 13 on which Scoresheet was installed by docs/debian.md.

Made in two steps, each kept under `.tools/system` by a name that tells what went into it: the base (Debian's
packages, the virtual environment of `_LOCK`), and the disk (this checkout, installed).
"""

import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from dev import newer_debian
from dev.errors import DevError
from dev.paths import CHECKOUT, TOOLS
from tests.system import documented, programs
from tests.system.inside import faults, work
from tests.system.inside.host import ANALYSIS_SLICE
from tests.system.inside.lichess import RATE_LIMIT_SECONDS

__all__ = ["SOURCE", "Image", "build"]

SOURCE: Final = "/usr/src/scoresheet"
"""Where the checkout is in the machine."""

_FOLDER: Final = TOOLS / "system"
# Beside the documented ones: what makes a machine of it. Its kernel is a program.
_MACHINE_PACKAGES: Final = ("systemd-sysv", "dbus", "kmod", "user-mode-linux")
_KERNEL: Final = Path("/usr/bin/linux.uml")
_DISK_BYTES: Final = 4 * 2**30
_LOCK: Final = "systemd/requirements.lock"
_CHECKED_OUT: Final = (
    "app",
    "workers",
    "plugins",
    "systemd",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

# The owner's settings: short waits and few nodes, for the machine has to show many recoveries.
_SETTINGS: Final[Mapping[str, int | str]] = {
    "LICHESS_URL": "http://127.0.0.1:8090",
    "NODES": 1_000,
    "ANALYSIS_CONCURRENCY": 1,
    "CONSUMER_CONCURRENCY": 3,
    "ORCHESTRATOR_SECONDS": 10,
    "SYNC_INTERVAL_SECONDS": 10,
    "HOLE_AFTER_SECONDS": 10,
    "RATE_LIMIT_SECONDS": RATE_LIMIT_SECONDS,
    "ANALYSIS_SCHEDULE_SECONDS": 5,
    "ANALYSIS_LEASE_SECONDS": 30,
    "ANALYSIS_RETRY_SECONDS": 1,
    "ANALYSIS_ATTEMPTS": 10,
}

# pip's cache would end up on the disk; systemctl knows of nobody to tell what to start.
_ENVIRONMENT: Final = (
    "export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_OFFLINE=1 "
    "PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=2"
)

_CHECKS_UNIT: Final = f"""\
[Unit]
Description=Checks of Scoresheet on this machine

[Service]
Type=exec
WorkingDirectory={SOURCE}
# The tests of the checkout: an archive on the second disk.
ExecStartPre=tar --extract --file=/dev/ubdb
ExecStart=/usr/bin/python3 -m tests.system.inside
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyS1

[Install]
WantedBy=multi-user.target
"""

_DROP_INS: Final = "/etc/systemd/system"
# From boot on: while a unit runs, it keeps the settings that it was started with.
_FOR_CHECKS: Final[Mapping[str, str]] = {
    f"{_DROP_INS}/{faults.HUNG}.d/watchdog.conf": f"[Service]\nWatchdogSec={faults.WATCHDOG_SECONDS}\n",
    f"{_DROP_INS}/{faults.MISCONFIGURED}.d/setting.conf": faults.WRONG_SETTING,
    f"{_DROP_INS}/{ANALYSIS_SLICE}.d/quota.conf": f"[Slice]\nCPUQuota={work.TEST_PERCENT}%\n",
    str(work.BUDGET_FILE): work.ENDLESS,
    **{f"{_DROP_INS}/{unit}.d/budget.conf": work.WORKER_UNIT for unit in work.WORKERS},
}


@dataclass(frozen=True)
class Image:
    """What a machine boots from. The files are never written to."""

    disk: Path
    """An ext4 file system with the root of the machine, without a partition table."""
    root: Path
    """The base that it was made from, with the kernel and what that needs to run here."""
    kernel: Path
    """Below the root."""


def build(report: Callable[[str], None]) -> Image:
    """Return the image of this checkout, made anew only where its inputs changed; `report` gets each step.

    Needs root. Raises DevError with the output of the step that failed.
    """
    base = _FOLDER / f"base-{_digest(_base_inputs())}"
    disk = _FOLDER / f"disk-{_digest([base.name.encode(), *_disk_inputs()])}.img"
    if not base.exists():
        _forget("base-*")
        report(f"making a Debian 13 with Scoresheet's requirements in {base.relative_to(CHECKOUT)}")
        _make_base(base)
    if not disk.exists():
        _forget("disk-*")
        report(f"installing this checkout on {disk.relative_to(CHECKOUT)}")
        _make_disk(base, disk)
    return Image(disk, base, _KERNEL)


def _digest(inputs: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _base_inputs() -> list[bytes]:
    lock = (CHECKOUT / _LOCK).read_bytes()
    return [newer_debian.SUITE.encode(), "\n".join([*_packages(), *_steps()[0]]).encode(), lock]


def _disk_inputs() -> list[bytes]:
    command: list[str | Path] = ["git", "-C", CHECKOUT, "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard", "--", *_CHECKED_OUT]
    names = programs.run(command, "listing the checkout's files")
    parts = ["\n".join(_steps()[1]).encode(), Path(__file__).read_bytes(), repr(_FOR_CHECKS).encode()]
    for name in sorted(set(filter(None, names.split("\0")))):
        path = CHECKOUT / name
        if path.is_file():
            parts += [name.encode(), path.read_bytes()]
    return parts


def _packages() -> list[str]:
    return [*documented.packages("Install"), *_MACHINE_PACKAGES]


def _steps() -> tuple[list[str], list[str]]:
    """Return the documented commands: those that need the lock alone, and those that install."""
    lines = documented.without_packages("Install")
    cut = next(number for number, line in enumerate(lines, 1) if _LOCK in line)
    return lines[:cut], lines[cut:]


def _settings() -> str:
    return "".join(f"SCORESHEET_{name}={value}\n" for name, value in _SETTINGS.items())


def _make_base(base: Path) -> None:
    draft = _draft(base)
    mmdebstrap = programs.mmdebstrap()
    include = f"--include={','.join(_packages())}"
    command: list[str | Path] = [
        mmdebstrap.path,
        "--quiet",
        "--variant=apt",
        "--dpkgopt=force-unsafe-io",
        "--mode=root",
        "--format=directory",
        include,
    ]
    with TemporaryDirectory() as scratch:
        mirror = newer_debian.mirror(Path(scratch))
    # Without one, it knows Debian's own.
    programs.run([*command, newer_debian.SUITE, draft, *([mirror] if mirror else [])], "mmdebstrap")
    # The kernel fills this folder; nix, which copies checkouts, stumbles over device files.
    programs.run(["find", draft / "dev", "-mindepth", "1", "-delete"], "emptying /dev")
    source = draft / SOURCE.lstrip("/")
    _copy(CHECKOUT / _LOCK, source / _LOCK)
    _inside(draft, _steps()[0])
    draft.rename(base)


def _make_disk(base: Path, disk: Path) -> None:
    draft = _draft(disk)
    for folder in ("changes", "scratch", "root"):
        (draft / folder).mkdir(parents=True)
    changes = draft / "changes"
    for name in _CHECKED_OUT:
        _copy(CHECKOUT / name, changes / SOURCE.lstrip("/") / name)
    _write(changes / "etc/scoresheet/environment", _settings())
    _write(changes / "etc/systemd/system/checks.service", _CHECKS_UNIT)
    for name, text in _FOR_CHECKS.items():
        _write(changes / name.lstrip("/"), text)
    _write(changes / "etc/hostname", "chess\n")
    steps = [
        *_steps()[1],
        "ln --symbolic uml/modules /usr/lib/modules",
        # Without systemd, `setup` leaves PostgreSQL as it is, and so the database to us.
        "pg_ctlcluster 17 main start",
        "runuser -u postgres -- psql --no-psqlrc --quiet --file=systemd/database.sql",
        "pg_ctlcluster 17 main stop",
        f"systemctl enable --quiet checks.service {faults.HUNG}",
        "systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer",
    ]
    image = draft / "disk.img"
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    layers = f"lowerdir={base},upperdir={changes},workdir={draft / 'scratch'}"
    root = draft / "root"
    _inside(
        root,
        steps,
        before=["mount", "-t", "overlay", "-o", layers, "none", root],
        after=["mkfs.ext4", "-q", "-F", "-d", root, image],
    )
    image.rename(disk)
    shutil.rmtree(draft)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _inside(
    root: Path, steps: Sequence[str], *, before: Sequence[str | Path] = (), after: Sequence[str | Path] = ()
) -> None:
    """Give the commands as root in the tree, with the network of this machine and its trust in it.

    `before` and `after` are commands of this machine, which see the mounts that the tree is made of. All
    mounts, and every process that the commands leave, end with the namespaces.
    """
    tree = shlex.quote(str(root))
    entering = f"""
        mount -t proc none {tree}/proc
        mount --rbind /dev {tree}/dev
        mount -t tmpfs none {tree}/run
        for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
          if [ -e $file ]; then
            [ -e {tree}$file ] || touch {tree}$file
            mount --bind $file {tree}$file
          fi
        done
        exec chroot {tree} sh -euc "$1"
    """
    script = "\n".join([f"cd {SOURCE}", _ENVIRONMENT, *steps])
    entered = shlex.join(["unshare", "--mount", "sh", "-euc", entering, "sh", script])
    whole = "\n".join(["set -eu", shlex.join(map(str, before)), entered, shlex.join(map(str, after))])
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    programs.run([*namespaces, "sh", "-c", whole], "installing in the image")


def _draft(path: Path) -> Path:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    return draft


def _forget(pattern: str) -> None:
    """Remove what older inputs gave, and what was never finished."""
    for path in _FOLDER.glob(pattern):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def require_root() -> None:
    """Raise DevError where the image can't be made: it holds files of many users, and a kernel for x86."""
    if os.geteuid() != 0:
        raise DevError("needs root, to make a Debian with files of many users")
    if os.uname().machine != "x86_64":
        raise DevError("needs an x86-64 processor, for which alone Debian builds User-Mode Linux")
