"""Which bytes, silences and hang-ups make up an answer with a fault in it?"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from tests.fakes.lichess.faults import Fault, FaultKind

HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>lichess.org</title></head><body>Not this time.</body></html>\n"
)
JSON_ERROR = b'{"error":"Something went wrong"}\n'
GARBAGE_LINE = b'{"id":"\xff\xfe, "moves":e4 e5\n'
HUGE_LINE_BYTES = 10 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send; `is_game` when they are one whole correct game, `bytes_per_second` None for at once."""

    data: bytes
    is_game: bool = False
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence, until the client leaves when `seconds` is None."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class HangUp:
    """The server ends the connection before the answer is complete; with `reset` unsent bytes are lost."""

    reset: bool = False


Step = Send | Stall | HangUp


def play(lines: Iterable[bytes], fault: Fault | None) -> Iterator[Step]:
    """Turn the lines of a correct answer, one game each, into what is sent under the fault."""
    remaining = iter(lines)
    yield from _games(remaining if fault is None else islice(remaining, fault.after_lines))
    if fault is not None:
        yield from _spoiled_rest(remaining, fault)


def _games(lines: Iterable[bytes]) -> Iterator[Step]:
    return (Send(line, is_game=True) for line in lines)


def _spoiled_rest(remaining: Iterator[bytes], fault: Fault) -> Iterator[Step]:
    match fault.kind:
        case FaultKind.CUT:
            yield HangUp()
        case FaultKind.HALF_LINE | FaultKind.RESET:
            line = next(remaining, GARBAGE_LINE)
            yield Send(line[: len(line) // 2])
            yield HangUp(reset=fault.kind is FaultKind.RESET)
        case FaultKind.HTML | FaultKind.MISLABELLED:
            yield Send(HTML_PAGE)
        case FaultKind.JSON_ERROR:
            yield Send(JSON_ERROR)
        case FaultKind.GZIP:
            yield Send(gzip.compress(b"".join(remaining), mtime=0))
        case FaultKind.STALL:
            yield Stall(fault.seconds)
            yield from _games(remaining)
        case FaultKind.UNORDERED:
            yield from _games(reversed(list(remaining)))
        case FaultKind.GARBAGE | FaultKind.HUGE_LINE | FaultKind.MISSING_ID | FaultKind.BOM:
            yield from _one_odd_line(remaining, fault.kind)
            yield from _games(remaining)
        case _:
            for line in remaining:
                yield from _odd_line(line, fault)


def _one_odd_line(remaining: Iterator[bytes], kind: FaultKind) -> Iterator[Step]:
    if kind is FaultKind.GARBAGE:
        yield Send(GARBAGE_LINE)
        return
    for line in islice(remaining, 1):
        if kind is FaultKind.BOM:
            yield Send(BOM + line, is_game=True)
            return
        game = json.loads(line)
        if kind is FaultKind.MISSING_ID:
            del game["id"]
        else:
            game["moves"] = "Nf3 Nf6 Ng1 Ng8 " * (HUGE_LINE_BYTES // 16)
        yield Send(json.dumps(game, separators=(",", ":")).encode() + b"\n")


def _odd_line(line: bytes, fault: Fault) -> Iterator[Step]:
    dripping = fault.kind is FaultKind.DRIP
    game = Send(line, is_game=True, bytes_per_second=fault.bytes_per_second if dripping else None)
    match fault.kind:
        case FaultKind.DUPLICATE:
            yield from (game, game)
        case FaultKind.BLANK_LINES:
            yield from (Send(b"\n"), game)
        case FaultKind.CRLF:
            yield Send(line.removesuffix(b"\n") + b"\r\n", is_game=True)
        case _:
            yield game
