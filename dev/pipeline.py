"""Which programs make up the whole of Scoresheet on this machine?"""

import http.client
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from dev.errors import DevError
from dev.program import Program
from dev.services import Services
from dev.state import StateFolder

__all__ = ["Pipeline", "declare_pipeline", "free_port"]

_HOST: Final = "127.0.0.1"
_BIN: Final = Path(sys.executable).parent
# Where programs are, and the libraries of Python's packages: in `nix develop`, this alone tells.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH")
_OWNER_SCOPES: Final = ("--scope", "read", "--scope", "write")

# Warm stops end the task under way: a game at most. Beyond that the ledger and the leases bring it back.
_WORKER_STOP: Final = timedelta(seconds=20)


@dataclass(frozen=True)
class Pipeline:
    """The programs behind the data services, and how to reach them."""

    programs: tuple[Program, ...]
    """In the order of their start."""
    api_url: str
    owner_token_file: Path
    """Holds a token that reads and writes."""
    environment: Mapping[str, str] = field(repr=False)
    """The settings of every role."""

    def address(self) -> str:
        """Tell a person where the API is, how to be let in, and how to stop."""
        return f"API: {self.api_url}/docs  token: {self.owner_token_file}  Ctrl-C stops everything"

    def client(self) -> httpx.Client:
        """Return a client of the API with the owner's token; close it."""
        headers = {"Authorization": f"Bearer {self.owner_token_file.read_text().strip()}"}
        return httpx.Client(base_url=self.api_url, headers=headers, timeout=30)


def declare_pipeline(
    services: Services, *, api_port: int, settings: Mapping[str, str], first: tuple[Program, ...] = ()
) -> Pipeline:
    """Declare schema, tokens, API and every worker role.

    `settings` are SCORESHEET_ variables beyond those of the services; `first` are programs to start
    before the API (a fake Lichess).
    """
    api_url = f"http://{_HOST}:{api_port}"
    worker_token = _token_file(services.state, "worker-token")
    owner_token = _token_file(services.state, "owner-token")
    environment = {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(services.state.run),  # what a killed process leaves there goes with the stack
        **services.environment,
        "SCORESHEET_API_HOST": _HOST,
        "SCORESHEET_API_PORT": str(api_port),
        "SCORESHEET_WORKER_TOKEN_FILE": str(worker_token),
        "SCORESHEET_LOG_FORMAT": "json",
        **settings,
    }

    def program(name: str, *command: str | Path, **options: object) -> Program:
        return Program(name, command, environment=environment, **options)  # type: ignore[arg-type]

    scoresheet, worker = _BIN / "scoresheet", _BIN / "scoresheet-worker"
    # Neither the API nor the owner's token needs the other, both the schema.
    beside_api = "api"
    owner = ("token", "create", "owner", *_OWNER_SCOPES, "--from-file", owner_token)
    roles = ("consumer", "producer", "analysis-producer", "analysis-consumer", "beat")
    programs = (
        *services.programs,
        *first,
        program(
            "migrate",
            *(scoresheet, "migrate", "--worker-token", worker_token),
            oneshot=True,
        ),
        program("owner-token", scoresheet, *owner, oneshot=True, side_by_side=beside_api),
        program(
            "api",
            *(scoresheet, "serve"),
            ready=lambda: _is_ready(api_port),
            stop_limit=_WORKER_STOP,
            side_by_side=beside_api,
        ),
        *(program(role, worker, role, stop_limit=_WORKER_STOP, side_by_side="workers") for role in roles),
    )
    return Pipeline(programs, api_url, owner_token, environment)


def free_port(wanted: int | None) -> int:
    """Return a loopback port: the wanted one, or any free one. Raises DevError where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted or 0))
        except OSError as error:
            raise DevError(
                f"port {wanted} cannot be had ({error.strerror}): choose another with PORT="
            ) from error
        port: int = probe.getsockname()[1]
        return port


def _token_file(state: StateFolder, name: str) -> Path:
    """Return the file of a secret that lives as long as the state folder."""
    path = state.app / name
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(f"sst_{secrets.token_urlsafe(32)}\n")
        state.user.give(draft)
        draft.replace(path)
    return path


def _is_ready(port: int) -> bool:
    # Asked many times before the API listens: httpx would read the system's certificates each time.
    with closing(http.client.HTTPConnection(_HOST, port, timeout=5)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
