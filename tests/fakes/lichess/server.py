"""How is the fake Lichess run: in this process for a test, or as a program of its own?"""

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tests.fakes.lichess.app import create_app
from tests.fakes.lichess.connections import TrackedProtocol
from tests.fakes.lichess.control import Control
from tests.fakes.lichess.site import Site
from tests.fakes.lichess.world import StoredGame, World, load_games


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, on a free port for 0: from now on connections wait instead of failing."""
    return socket.create_server((host, port))


def build_server(site: Site, *, control: bool) -> uvicorn.Server:
    """Configure uvicorn: quiet, as scripted faults look like errors to it, and gone at once when stopped."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(site, control=control),
            http=TrackedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=0,
        ),
    )


@contextmanager
def run_fake_lichess(
    *game_files: Path,
    tokens: Mapping[str, str] | None = None,
    speed_limit: float | None = 0,
) -> Iterator[Control]:
    """Run a server in a thread, on a free loopback port, for the length of the block.

    Without a speed limit unless told otherwise: None is Lichess's own. Tokens map to usernames.
    """
    site = Site(World(_load_all(game_files)), tokens=tokens or {}, speed_limit=speed_limit)
    listener = listen("127.0.0.1", 0)
    server = build_server(site, control=True)
    thread = threading.Thread(target=server.run, args=([listener],), name="fake-lichess", daemon=True)
    thread.start()
    try:
        with Control(f"http://127.0.0.1:{listener.getsockname()[1]}") as control:
            yield control
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _load_all(files: Iterable[Path]) -> Iterator[StoredGame]:
    for file in files:
        yield from load_games(file)
