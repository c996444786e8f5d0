"""How is the API started, the schema migrated and a token made, from the command line?"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app import settings as app_settings
from app.access import repository as tokens
from app.access.service import Scope, new_secret, put_token, revoke_token
from app.db.revisions import head_revision
from app.db.session import create_engine, create_sessions
from app.errors import AppError
from app.kit.environment import EX_CONFIG, ConfigurationError
from app.kit.logging import configure_logging
from app.kit.secret_file import SecretFileError, read_secret
from app.settings import Settings

_LOG = structlog.get_logger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, 1 (one line says why), or 78 for a wrong configuration."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] in (["engine"], ["plugin"]):
        return _ask_workers(given)
    arguments = _parser().parse_args(given)
    try:
        settings = app_settings.load()
        configure_logging(settings.log_format, settings.log_level)
        status: int = arguments.run(settings, arguments)
    except ConfigurationError as error:
        _say(f"scoresheet {arguments.command}: {error}")
        return EX_CONFIG
    except DBAPIError as error:
        # Its own text, not SQLAlchemy's: that quotes the statement with its parameters.
        _say(f"scoresheet {arguments.command}: {' '.join(str(error.orig).split())}")
        return 1
    except (AppError, SecretFileError, OSError, OverflowError, ValueError) as error:
        _say(f"scoresheet {arguments.command}: {' '.join(str(error).split())}")
        return 1
    return status


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201  the command line's own voice


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scoresheet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the API")
    serve.set_defaults(run=_serve)

    migration = commands.add_parser("migrate", help="bring the database to the newest schema")
    migration.add_argument(
        "--check", action="store_true", help="migrate, then fail if database and models differ"
    )
    migration.add_argument(
        "--worker-token", type=Path, metavar="FILE", help="then let the workers in with the token in FILE"
    )
    migration.set_defaults(run=_migrate)

    commands.add_parser("engine", help="show the installed builds of the engine, and which one is used")
    commands.add_parser("plugin", help="list and check plugins, and begin a new one")

    token = commands.add_parser("token", help="make, list and revoke bearer tokens")
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token and print it, once; replaces one of that name")
    create.add_argument("name")
    create.add_argument("--scope", action="append", required=True, type=Scope, choices=list(Scope))
    create.add_argument("--days", type=_days, help="until it expires; never, if left out")
    create.add_argument(
        "--from-file", type=Path, metavar="FILE", help="take the token from FILE, print nothing"
    )
    create.set_defaults(run=_token_create)
    listing = actions.add_parser("list", help="list tokens: name, scopes, expiry")
    listing.set_defaults(run=_token_list)
    revoke = actions.add_parser("revoke", help="make a token invalid")
    revoke.add_argument("name")
    revoke.set_defaults(run=_token_revoke)
    return parser


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number of days, 1 at least")
    return int(text)


def _ask_workers(arguments: Sequence[str]) -> int:
    # The API knows no engine and no plugin, and app/ nothing of workers/: a program of its own answers.
    program = Path(sys.argv[0]).with_name("scoresheet-worker")
    return subprocess.run([program, *arguments], check=False).returncode


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    # Not for all commands: FastAPI takes longer to load than a migration to run.
    from app import main as application  # noqa: PLC0415
    from app import server  # noqa: PLC0415

    return server.serve(application.create_app(settings), settings)


def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.db import migrate  # noqa: PLC0415  Alembic, which no other command needs

    revision = migrate.migrate(settings)
    if revision == head_revision():
        _LOG.info("schema_current", revision=revision)
    else:
        _LOG.warning("schema_of_a_later_release", revision=revision, own=head_revision())
    if arguments.worker_token is not None:
        # Here rather than by a command of its own: each start of the API waits for it.
        _put_token(settings, "worker", read_secret(arguments.worker_token), [Scope.WORKER])
    if arguments.check and (found := migrate.differences(settings)):
        for difference in found:
            _say(f"models and migrations differ: {difference}")
        return 1
    return os.EX_OK


def _token_create(settings: Settings, arguments: argparse.Namespace) -> int:
    secret = new_secret() if arguments.from_file is None else read_secret(arguments.from_file)
    expires_at = None if arguments.days is None else datetime.now(UTC) + timedelta(days=arguments.days)
    _put_token(settings, arguments.name, secret, arguments.scope, expires_at)
    if arguments.from_file is None:
        print(secret.get_secret_value())  # noqa: T201  shown once, here
    return os.EX_OK


def _put_token(
    settings: Settings,
    name: str,
    secret: SecretStr,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
) -> None:
    async def put(session: AsyncSession) -> None:
        await put_token(session, name, secret, scopes, expires_at)

    _in_transaction(settings, put)


def _token_list(settings: Settings, _: argparse.Namespace) -> int:
    async def show(session: AsyncSession) -> None:
        for token in await tokens.list_all(session):
            expiry = "never" if token.expires_at is None else token.expires_at.isoformat()
            print(token.name, ",".join(token.scopes), expiry, sep="\t")  # noqa: T201  the command's output

    _in_transaction(settings, show)
    return os.EX_OK


def _token_revoke(settings: Settings, arguments: argparse.Namespace) -> int:
    async def revoke(session: AsyncSession) -> None:
        await revoke_token(session, arguments.name)

    _in_transaction(settings, revoke)
    return os.EX_OK


def _in_transaction(settings: Settings, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = create_engine(settings)
        try:
            async with create_sessions(engine)() as session, session.begin():
                await work(session)
        finally:
            await engine.dispose()

    asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
