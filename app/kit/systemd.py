"""What do a unit and systemd tell each other?"""

import os
import socket
from collections.abc import Callable
from typing import Final

import sdnotify

from app.kit.environment import ConfigurationError

_FIRST_FD: Final = 3
"""Where passed sockets begin (sd_listen_fds(3))."""
_SECONDS_BETWEEN_NOTICES: Final = 5.0
_SLOW_START_SECONDS: Final = 120
"""How much longer a start may take after each word that it still waits."""


class ServiceManager:
    """Speaks sd_notify(3); without a NOTIFY_SOCKET every call does nothing."""

    def __init__(self, notify: Callable[[str], None] | None = None) -> None:
        """Take what sends one message; by default it goes to the socket that the environment names."""
        self._notify = notify or _notifier()

    def ready(self) -> None:
        """Say that this unit serves."""
        self._notify("READY=1")

    def stopping(self) -> None:
        """Say that this unit shuts down."""
        self._notify("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; line breaks would end the message, so they go."""
        self._notify("STATUS=" + _one_line(text))

    def waiting(self, reason: str) -> None:
        """Say why this unit is not ready yet: systemd shows it, and goes on waiting beyond its limit."""
        self._notify(f"STATUS={_one_line(reason)}\nEXTEND_TIMEOUT_USEC={_SLOW_START_SECONDS * 1_000_000}")

    def alive(self) -> None:
        """Feed the watchdog; call it from the loop that does the work."""
        self._notify("WATCHDOG=1")


def _notifier() -> Callable[[str], None]:
    if not os.environ.get("NOTIFY_SOCKET"):
        return lambda _: None
    notifier = sdnotify.SystemdNotifier()

    def send(message: str) -> None:
        # systemd reads UTF-8, sdnotify writes Latin-1.
        notifier.notify(message.encode().decode("latin-1"))

    return send


def _one_line(text: str) -> str:
    return " ".join(text.split())


def watchdog_seconds() -> float | None:
    """Return after how long a silence systemd restarts this process; None if it doesn't watch it."""
    microseconds, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or pid not in {"", str(os.getpid())}:
        return None
    return int(microseconds) / 1e6


def notice_seconds() -> float:
    """Return how often to speak to systemd: thrice in the watchdog's time at least."""
    watchdog = watchdog_seconds()
    return _SECONDS_BETWEEN_NOTICES if watchdog is None else min(_SECONDS_BETWEEN_NOTICES, watchdog / 3)


def passed_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd opened for this process, if any (LISTEN_FDS); ask once.

    Raises ConfigurationError for a descriptor that is no listening stream socket.
    """
    count, pid = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_listener(descriptor) for descriptor in range(_FIRST_FD, _FIRST_FD + int(count))]


def _listener(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  its only parameter
        listener = socket.socket(fileno=descriptor)
        if listener.type is socket.SOCK_STREAM and listener.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            return listener
    except OSError as error:
        raise ConfigurationError(f"LISTEN_FDS: descriptor {descriptor}: {error.strerror}") from error
    listener.close()
    raise ConfigurationError(f"LISTEN_FDS: descriptor {descriptor} is no listening stream socket")
