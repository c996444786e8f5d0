"""What does code do to the world while it should only compute?"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

_FORBIDDEN: Mapping[str, str] = {
    "socket.connect": "opens a connection",
    "socket.bind": "opens a socket",
    "subprocess.Popen": "starts a program",
    "os.system": "starts a program",
    "os.posix_spawn": "starts a program",
    "os.fork": "starts a process",
    "_thread.start_new_thread": "starts a thread",
    "_thread.start_joinable_thread": "starts a thread",  # Python 3.13; 3.11 says nothing of threads
}
"""Audit events of Python (PEP 578), and what they mean."""
_CODE = (".py", ".pyc", ".so", ".pth")
"""What a late import opens."""

_heard: list[list[str]] = []
"""Who listens. An audit hook stays for the life of the process: there is one, which mostly hears nothing."""


@contextmanager
def side_effects() -> Iterator[list[str]]:
    """Collect, each once, the files, sockets, threads and processes that the code inside opens or starts."""
    _hook()
    found: list[str] = []
    _heard.append(found)
    try:
        yield found
    finally:
        _heard.remove(found)


@cache
def _hook() -> None:
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _heard:
        return
    effect = _FORBIDDEN.get(event)
    if event == "open" and not str(arguments[0]).endswith(_CODE):
        effect = f"opens {arguments[0]}"
    for found in _heard:
        if effect is not None and effect not in found:
            found.append(effect)
