"""As whom do the processes of the stack run?

Never as root: PostgreSQL refuses to, and a fault in a part must not be a fault with root's rights. An
ordinary user's stack runs as that user; root's runs as nobody. Where nobody can't reach the checkout, the
interpreter or the state folder (root's home is closed to others), the processes keep one right of root's: to
read files and search folders.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError

__all__ = ["ServiceUser", "service_user"]


@dataclass(frozen=True)
class ServiceUser:
    """The user that runs the processes of a stack."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...]
    """What precedes a command so that it runs as this user; ends when the process that runs it ends."""

    def run(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        standard_input: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end as this user; the exit status is the caller's to judge."""
        return subprocess.run(
            [*self.prefix, *command],
            env=dict(environment),
            cwd=folder,
            input=standard_input,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def give(self, path: Path) -> None:
        """Make the user the owner of a file or folder, not of what is in it."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def service_user(needed: Iterable[Path]) -> ServiceUser:
    """Choose the user for processes that must be able to read the needed files and search the needed folders.

    Raises DevError where setpriv is missing, which binds the life of each process to that of its parent.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DevError("no setpriv on PATH: it is part of util-linux (Debian package util-linux)")
    prefix = [setpriv, "--no-new-privs", "--pdeathsig=TERM"]
    if os.geteuid() != 0:
        account = pwd.getpwuid(os.geteuid())
        return ServiceUser(account.pw_name, account.pw_uid, account.pw_gid, tuple(prefix))
    account = pwd.getpwnam("nobody")
    prefix += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    kept = "-all" if all(_open_to_others(path) for path in needed) else "-all,+dac_read_search"
    if kept != "-all":
        # Without it, access(2) ignores the right, and initdb believes that there is no postgres beside it.
        prefix.append("--securebits=+no_setuid_fixup")
    prefix += [f"--inh-caps={kept}", f"--ambient-caps={kept}", f"--bounding-set={kept}"]
    return ServiceUser(account.pw_name, account.pw_uid, account.pw_gid, tuple(prefix))


def _open_to_others(path: Path) -> bool:
    resolved = path.resolve()
    readable = 0o5 if resolved.is_dir() else 0o4
    return resolved.stat().st_mode & readable == readable and all(
        folder.stat().st_mode & 0o1 for folder in resolved.parents
    )
