"""How do two hosts come about on this machine, with a link between them that a test can cut?

Each host is a network namespace; one cable joins them. On the main host runs OpenSSH's server with what
docs/debian.md says of the link's user; on the other one the command of systemd/scoresheet-link.service. Files
are not kept apart: a test gives the second host nothing but paths of the link's own sockets.
"""

import ctypes
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dev.identity import ServiceUser
from dev.paths import CHECKOUT
from tests.system import programs
from tests.unit.nix.unit_files import install, read_unit

__all__ = ["HELPER", "LINK_USER", "MAIN", "Cable", "Host", "Link", "two_hosts"]

LINK_USER: Final = "scoresheet-link"
_CLONE_NEWNET: Final = 0x40000000
_ALL_PROTOCOLS: Final = 3
_LINK_UID: Final = 64_001
_SSHD_UID: Final = 64_002
_KEY_OPTIONS: Final = re.compile(r"authorized_keys: +(\S+) ssh-ed25519")
_SERVER_SETTINGS: Final = re.compile(r"<<'S'\n(.*?)^S$", re.DOTALL | re.MULTILINE)
# Everything in /run is the host's own, and so are its users, in "$1".
_AS_HOST: Final = """
    mount -t tmpfs none /run
    mkdir -p /run/sshd /run/scoresheet /run/redis
    ln -s "$2" /run/redis/redis-server.sock
    ln -s "$3" /run/scoresheet/api.sock
    mount --bind "$1/passwd" /etc/passwd
    mount --bind "$1/group" /etc/group
    shift 3
    exec "$@"
"""
# As Restart=always and RestartSec=2 in the unit.
_AGAIN_AND_AGAIN: Final = 'while :; do "$@"; sleep 2; done'


@dataclass(frozen=True)
class Host:
    """One end of the cable."""

    name: str
    address: str

    @property
    def namespace(self) -> str:
        """Its network, by a name that no other run has."""
        return f"{self.name}-{os.getpid()}"

    def command(self, *command: str | Path) -> list[str]:
        """Return the command as it runs on this host, under its name."""
        renamed = ["unshare", "--uts", "sh", "-euc", 'hostname "$0"; exec "$@"', self.name]
        return ["ip", "netns", "exec", self.namespace, *renamed, *map(str, command)]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and all that it starts, in the network of this host."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path: str) -> None:
            with Path(path).open() as network:
                if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns to {path}")

        with Path("/proc/thread-self/ns/net").open() as before:
            enter(f"/run/netns/{self.namespace}")
            try:
                yield
            finally:
                enter(f"/proc/self/fd/{before.fileno()}")


# Addresses for documentation (RFC 5737): nobody has them.
MAIN: Final = Host("main", "192.0.2.1")
HELPER: Final = Host("helper", "192.0.2.2")


@dataclass
class Cable:
    """What joins the hosts; records all that goes through it."""

    passed: bytearray = field(default_factory=bytearray)

    def cut(self) -> None:
        """Let nothing through any more, and tell nobody."""
        _ip("-n", HELPER.namespace, "link", "set", "cable", "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("-n", HELPER.namespace, "link", "set", "cable", "up")

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep a copy of each frame, both ways."""
        with (
            MAIN.entered(),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)) as tap,
        ):
            tap.bind(("cable", 0))
            tap.settimeout(0.2)
            enough = threading.Event()

            def record() -> None:
                while not enough.is_set():
                    try:
                        self.passed += tap.recv(65_536)
                    except TimeoutError:
                        continue
                    except OSError:
                        continue  # the cable is cut

            thread = threading.Thread(target=record)
            thread.start()
            try:
                yield
            finally:
                enough.set()
                thread.join()


@contextmanager
def two_hosts() -> Iterator[Cable]:
    """Make both hosts and the cable, and take them away again; needs root."""
    try:
        for host in (MAIN, HELPER):
            _ip("netns", "add", host.namespace)
        ends = ["link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", HELPER.namespace]
        _ip("-n", MAIN.namespace, *ends)
        for host in (MAIN, HELPER):
            _ip("-n", host.namespace, "address", "add", f"{host.address}/30", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", host.namespace, "link", "set", device, "up")
        yield Cable()
    finally:
        for host in (MAIN, HELPER):
            subprocess.run(["ip", "netns", "delete", host.namespace], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    programs.run(["ip", *arguments], f"ip {' '.join(arguments)}")


@dataclass(frozen=True)
class Link:
    """The SSH link from the second host to the main one."""

    folder: Path
    sshd: programs.Program
    user: ServiceUser

    @property
    def runtime(self) -> Path:
        """The second host's /run, as far as the link is concerned."""
        return self.folder / "helper"

    @property
    def broker(self) -> Path:
        """The main host's Redis, on the second host."""
        return self.runtime / "scoresheet/redis.sock"

    @property
    def api(self) -> Path:
        """The main host's API, on the second host."""
        return self.runtime / "scoresheet/api.sock"

    @property
    def log(self) -> Path:
        """What both ends say."""
        return self.folder / "link.log"

    def prepare(self) -> None:
        """Make the keys of both ends; the main host lets the second one in as docs/debian.md says."""
        (self.runtime / "scoresheet").mkdir(parents=True)
        self.user.give(self.runtime / "scoresheet")
        for name in ("host-key", "link-key", "strange-key"):
            programs.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], "ssh-keygen"
            )
            self.user.give(self.folder / name)
        self.user.give(self.log_file())
        host_key = (self.folder / "host-key.pub").read_text()
        (self.folder / "link-known-hosts").write_text(f"{MAIN.address} {host_key}")
        document = (CHECKOUT / "docs/debian.md").read_text()
        options, settings = _KEY_OPTIONS.search(document), _SERVER_SETTINGS.search(document)
        assert options is not None
        assert settings is not None
        allowed = (self.folder / "link-key.pub").read_text()
        (self.folder / "authorized-keys").write_text(f"{options[1]} {allowed}")
        # A user of its own, in the group of the stack's sockets.
        nobody = "/:/usr/sbin/nologin"
        users = [
            f"{LINK_USER}:x:{_LINK_UID}:{_LINK_UID}::{nobody}",
            f"sshd:x:{_SSHD_UID}:{_SSHD_UID}::{nobody}",
        ]
        (self.folder / "passwd").write_text("\n".join(["root:x:0:0::/root:/bin/sh", *users, ""]))
        (self.folder / "group").write_text(f"root:x:0:\nstack:x:{self.user.gid}:{LINK_USER}\n")
        (self.folder / "sshd.conf").write_text(
            f"ListenAddress {MAIN.address}\nHostKey {self.folder}/host-key\nPidFile none\nStrictModes no\n"
            f"UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"AuthorizedKeysFile {self.folder}/authorized-keys\n{settings[1]}"
        )
        (self.folder / "host-key").chmod(0o600)
        os.chown(self.folder / "host-key", 0, 0)

    def log_file(self) -> Path:
        """Make the log if there is none yet."""
        self.log.touch()
        return self.log

    @contextmanager
    def server(self, redis_socket: Path, api_socket: Path) -> Iterator[None]:
        """Run the main host's SSH server, which knows these sockets under their usual paths."""
        # As both are on a real host: open to a group.
        redis_socket.chmod(0o770)
        redis_socket.parent.chmod(0o750)
        command: list[str | Path] = [self.sshd.path, "-D", "-e", "-f", self.folder / "sshd.conf"]
        as_host: list[str | Path] = ["unshare", "--mount", "sh", "-euc", _AS_HOST, "sh", self.folder]
        whole = MAIN.command(*as_host, redis_socket, api_socket, *command)
        with self._running(whole, environment=self.sshd.environment):
            yield

    @contextmanager
    def client(self) -> Iterator[None]:
        """Run the second host's link, which systemd would start again whenever it ends."""
        again = [*self.user.prefix, "sh", "-c", _AGAIN_AND_AGAIN, "sh", *self.unit_command()]
        with self._running(HELPER.command(*again)):
            yield

    def unit_command(self, key: str = "link-key") -> list[str]:
        """Return the command of scoresheet-link.service, with its specifiers filled for the second host."""
        installed = self.folder / "installed"
        if not installed.exists():
            assert install(installed, f"link={LINK_USER}@{MAIN.address}", "link").returncode == 0
        unit = read_unit(installed / "etc/systemd/system/scoresheet-link.service")
        filled = unit.one("ExecStart").replace("%d/link-key", f"{self.folder}/{key}")
        filled = filled.replace("%d", str(self.folder)).replace("%t", str(self.runtime))
        return shlex.split(filled.replace("%%", "%"))

    def try_out(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the second host's to its end, as the link's user there."""
        whole = HELPER.command(*self.user.prefix, *command)
        return subprocess.run(
            whole, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60
        )

    @contextmanager
    def worker(self, command: list[str | Path], environment: Mapping[str, str], log: Path) -> Iterator[None]:
        """Run a worker on the second host, with the link as its only way to broker and API."""
        settings = dict(environment) | {
            "SCORESHEET_BROKER_URL": f"redis+socket://{self.broker}?virtual_host=0",
            "SCORESHEET_API_SOCKET": str(self.api),
        }
        with self._running(HELPER.command(*self.user.prefix, *command), environment=settings, log=log):
            yield

    @contextmanager
    def _running(
        self, command: list[str], *, environment: Mapping[str, str] = os.environ, log: Path | None = None
    ) -> Iterator[None]:
        with (log or self.log).open("ab") as output:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
