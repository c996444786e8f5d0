"""Which openings have names, and do we call them what Lichess does?

    python -m dev.openings write FOLDER COMMIT   app/contract/named_positions.tsv anew, from a.tsv … e.tsv of
                                                 lichess-org/chess-openings (CC0), checked out at that commit
    python -m dev.openings compare FILE...       NDJSON with `opening=true`, or PGN; gzipped or not

`compare` names the openings of the games as for an export without names, and shows where Lichess's differ.
"""

import argparse
import csv
import gzip
import io
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import chess
import chess.pgn

from app.contract.openings import NAMED_VARIANTS, name_opening
from app.contract.positions import position_key
from dev.parity import percent
from dev.paths import CHECKOUT
from workers.ingestion.replay import replay

NAMED_POSITIONS: Final = CHECKOUT / "app/contract/named_positions.tsv"
_TABLES: Final = ("a.tsv", "b.tsv", "c.tsv", "d.tsv", "e.tsv")
_SHOWN: Final = 20
"""Most pairs of differing names that are shown of a file."""


class NamedGame(NamedTuple):
    """What Lichess says of a game."""

    variant: str
    san: list[str]
    eco: str | None
    name: str | None
    """None where only the code is known."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the two; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    write = commands.add_parser("write")
    write.add_argument("folder", type=Path, metavar="FOLDER")
    write.add_argument("commit", metavar="COMMIT")
    commands.add_parser("compare").add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "write":
            NAMED_POSITIONS.write_text(named_positions(arguments.folder, arguments.commit), "utf-8")
        else:
            for file in arguments.files:
                compare(file)
    except (OSError, ValueError, KeyError) as error:
        print(f"openings: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def named_positions(folder: Path, commit: str) -> str:
    """Return the table of a checkout of chess-openings as `app.contract.openings` reads it."""
    keys: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for table in _TABLES:
        with (folder / table).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                moves = tuple(token for token in row["pgn"].split() if not token.endswith("."))
                key = position_key(_position(moves)) % 2**64
                keys[row["eco"], row["name"]].append(f"{key:016x}")
    lines = [
        "# ECO code, name and the Polyglot keys of the positions that are called so.",
        f"# From lichess-org/chess-openings @ {commit} (CC0), by `python -m dev.openings write`.",
        *(f"{eco}\t{name}\t{' '.join(sorted(found))}" for (eco, name), found in sorted(keys.items())),
    ]
    return "".join(f"{line}\n" for line in lines)


@cache
def _position(moves: tuple[str, ...]) -> chess.Board:
    if not moves:
        return chess.Board()
    board = _position(moves[:-1]).copy(stack=False)  # most lines begin as another does
    board.push_san(moves[-1])
    return board


def compare(file: Path) -> None:
    """Print how many of a file's games have the same name, and the names that differ, most frequent first."""
    codes, names = Counter[bool](), Counter[bool]()
    differing = Counter[tuple[str, str]]()
    for game in exported_games(file):
        replayed = replay(game.variant, None, game.san)
        ours = name_opening(game.variant, game.san, None if replayed is None else replayed.position_keys)
        our_eco, our_name = ("-", "-") if ours is None else (ours.eco, ours.name)
        codes[our_eco == game.eco] += 1
        if game.name is not None:
            names[our_name == game.name] += 1
            if our_name != game.name:
                differing[f"{game.eco} {game.name}", f"{our_eco} {our_name}"] += 1
    for (theirs, other), count in differing.most_common(_SHOWN):
        print(f"{count:5} {theirs}  ->  {other}")
    print(
        f"openings of {file.name}: games={codes.total()} same code={_share(codes)} same name={_share(names)}"
    )


def _share(counts: Counter[bool]) -> str:
    return percent(counts[True], counts.total()) if counts else "-"


def exported_games(file: Path) -> Iterator[NamedGame]:
    """Yield the games of a file that Lichess named the opening of."""
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open() as text:
        content = text.read()
    games = _of_pgn(content) if content.startswith("[") else _of_json(content.splitlines())
    yield from (game for game in games if game.variant in NAMED_VARIANTS and game.eco is not None)


def _of_json(lines: Iterable[str]) -> Iterator[NamedGame]:
    for game in map(json.loads, lines):
        opening = game.get("opening", {})
        yield NamedGame(game["variant"], game["moves"].split(), opening.get("eco"), opening.get("name"))


def _of_pgn(content: str) -> Iterator[NamedGame]:
    stream = io.StringIO(content)
    while (game := chess.pgn.read_game(stream)) is not None:
        tags = {name: value for name, value in game.headers.items() if value != "?"}
        board = game.board()
        san = [board.san_and_push(move) for move in game.mainline_moves()]
        variant = "standard" if tags.get("Variant", "Standard") == "Standard" else tags["Variant"]
        yield NamedGame(variant, san, tags.get("ECO"), tags.get("Opening"))


if __name__ == "__main__":
    sys.exit(main())
