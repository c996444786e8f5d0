"""Serve game files as lichess.org would: `python -m tests.fakes.lichess --games FILE`."""

import argparse
import sys
from pathlib import Path

from tests.fakes.lichess.server import build_server, listen
from tests.fakes.lichess.site import Site
from tests.fakes.lichess.world import GameFileError, World, load_games


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.lichess", description=__doc__)
    parser.add_argument(
        "--games", type=Path, action="append", default=[], metavar="FILE", help="NDJSON, may be .gz"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--port-file", type=Path, help="write the port there once connections are accepted")
    parser.add_argument(
        "--speed-limit",
        type=float,
        metavar="GAMES_PER_SECOND",
        help="0 for none; by default Lichess's own: 20, with a token 30, for own games 60",
    )
    parser.add_argument("--token", action="append", default=[], metavar="TOKEN=USERNAME", type=_token)
    parser.add_argument("--control", action="store_true", help="serve /_control, which changes everything")
    return parser.parse_args(arguments)


def _token(text: str) -> tuple[str, str]:
    token, separator, username = text.partition("=")
    if not (token and separator and username):
        raise argparse.ArgumentTypeError(f"{text!r} is not TOKEN=USERNAME")
    return token, username


def main() -> None:
    """Run until SIGINT or SIGTERM; exits 1 with one line when a file or the port can't be used."""
    arguments = parse_arguments()
    try:
        world = World(game for file in arguments.games for game in load_games(file))
        listener = listen(arguments.host, arguments.port)
    except (OSError, GameFileError) as error:
        sys.exit(f"fake-lichess: {error}")
    site = Site(world, tokens=dict(arguments.token), speed_limit=arguments.speed_limit)
    port = listener.getsockname()[1]
    if arguments.port_file:
        # Renamed into place, so that nobody reads half a number.
        draft = arguments.port_file.with_suffix(".new")
        draft.write_text(f"{port}\n")
        draft.replace(arguments.port_file)
    sys.stdout.write(f"fake-lichess: {len(world)} games at http://{arguments.host}:{port}\n")
    sys.stdout.flush()
    build_server(site, control=arguments.control).run([listener])


if __name__ == "__main__":
    main()
