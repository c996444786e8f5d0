"""From which data does a stack of the tests start? From a copy of a database that is set up once a process.

Setting one up takes initdb, the migrations and two programs that enter tokens: 4 s of processor time. A copy
takes a tenth of one. That the long way works, from nothing, is shown by the demo's tests.
"""

import asyncio
import atexit
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.access.service import Scope, new_secret, put_token
from app.db.migrate import migrate
from app.db.session import create_engine, create_sessions
from app.kit.environment import PREFIX
from app.settings import Settings
from dev.services import Services, data_services, open_state, running_services
from dev.stack import Stack
from dev.state import StateFolder

__all__ = ["create_tokens", "folder_of_this_process", "place_data", "services_on_template", "settings_of"]

_DATA: Final = "postgres"
_OWNERS: Final[Mapping[str, Sequence[Scope]]] = {
    "worker": [Scope.WORKER],
    "owner": [Scope.READ, Scope.WRITE],
}
"""The tokens that the pipeline's roles and its owner have, by name."""


@dataclass(frozen=True)
class _Template:
    data: Path
    """PostgreSQL's, of a server that was stopped in order."""
    tokens: Mapping[str, SecretStr]


def settings_of(services: Services) -> Settings:
    """Return the settings of an API that runs on the services; the environment is not asked."""
    named = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in services.environment.items()
        if name.startswith(PREFIX)
    }
    # The tests reach the API over TCP: its socket would be one more file to clear away.
    return Settings.model_validate({**named, "api_socket": None})


def create_tokens(settings: Settings, owners: Mapping[str, Sequence[Scope]]) -> dict[str, SecretStr]:
    """Enter a token for each owner in the database."""
    tokens = {owner: new_secret() for owner in owners}

    async def put_all() -> None:
        engine = create_engine(settings)
        async with create_sessions(engine)() as session, session.begin():
            for owner, scopes in owners.items():
                await put_token(session, owner, tokens[owner], scopes)
        await engine.dispose()

    asyncio.run(put_all())
    return tokens


def place_data(state: StateFolder) -> None:
    """Give a state folder that has no database yet a migrated one, and the tokens that are in it."""
    data = state.path / _DATA
    if data.exists():
        return
    template = _template()
    subprocess.run(["cp", "--archive", "--reflink=auto", template.data, data], check=True)
    for owner, token in template.tokens.items():
        file = state.app / f"{owner}-token"
        file.touch(mode=0o600)
        file.write_text(f"{token.get_secret_value()}\n")
        state.user.give(file)


def folder_of_this_process() -> Path:
    """Make a folder that goes with this process, even if that is killed."""
    folder = Path(tempfile.mkdtemp(prefix="sst-"))
    # Its input ends when we do. The session of its own keeps Ctrl-C from it.
    remove = ["sh", "-c", 'read -r _; rm -rf "$1"', "sh", str(folder)]
    remover = subprocess.Popen(remove, stdin=subprocess.PIPE, start_new_session=True)
    atexit.register(remover.communicate)
    return folder


@contextmanager
def services_on_template(path: Path) -> Iterator[tuple[Stack, Services]]:
    """Run the data services on a migrated database."""
    with open_state(path) as state:
        place_data(state)
        services = data_services(state)
        with Stack(state, services.programs) as stack:
            yield stack, services


@cache
def _template() -> _Template:
    folder = folder_of_this_process()
    folder.chmod(0o755)
    with running_services(folder) as (_, services):
        settings = settings_of(services)
        migrate(settings)
        tokens = create_tokens(settings, _OWNERS)
    return _Template(folder / _DATA, tokens)
