"""How do the bytes of a stream become games that have a name and a date?"""

import hashlib
import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeGuard

LINE_MAX_BYTES: Final = 2**20
"""A longer line is garbled: the longest of 80,000 real games has 14 KB."""
KEPT_BYTES: Final = 2**16
"""As much of an oversized line is kept for people to look at."""

_BOM: Final = b"\xef\xbb\xbf"
_GAME_ID: Final = re.compile(r"[A-Za-z0-9]{8}")
# Lichess began in 2010. An earlier moment is seconds mistaken for milliseconds; one in the future would
# carry the cursor past games that are still to be played. Two days are more than any clock is wrong.
_FIRST_GAME_MS: Final = 1_262_304_000_000
_CLOCK_ERROR_MS: Final = 2 * 86_400_000

# Never passed on: `fullId` is a secret of the account that owns the token, `pgn` repeats the game.
_DROPPED: Final = ("fullId", "pgn")
_SECRET: Final = re.compile(r'"fullId"\s*:\s*"?[^",}]*"?')


class RawLine(NamedTuple):
    """One line, without its end and the white space around it; never blank."""

    data: bytes
    """The whole line, or its first KEPT_BYTES where it was oversized."""
    digest: str | None = None
    """Set for an oversized line only: SHA-256 of all of it, in hexadecimal."""


class NamedGame(NamedTuple):
    """What must be known of a line before anybody parses the game in it."""

    id: str
    created_at_ms: int
    payload: str
    """The game as JSON text, without its secrets."""


class GarbledError(Exception):
    """A line names no game: it is no JSON object, or its id or date is unusable."""


class LineSplitter:
    """Cuts chunks of bytes into lines in constant memory, whatever the chunks and however long the line."""

    def __init__(self, line_max: int = LINE_MAX_BYTES, kept: int = KEPT_BYTES) -> None:
        self._line_max = line_max
        self._kept = kept
        self._head = bytearray()
        self._oversized: Any = None

    def feed(self, chunk: bytes) -> Iterator[RawLine]:
        """Yield the lines that end in this chunk, blank ones left out."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._append(part)
            line = self.end()
            if line is not None:
                yield line
        self._append(rest)

    def end(self) -> RawLine | None:
        """Return the line that the stream's end completes; None if nothing, or only white space, is left."""
        data = bytes(self._head)
        digest = None if self._oversized is None else str(self._oversized.hexdigest())
        self._head.clear()
        self._oversized = None
        if digest is not None:
            return RawLine(data, digest)
        data = data.strip().removeprefix(_BOM).strip()
        return RawLine(data) if data else None

    def _append(self, part: bytes) -> None:
        if self._oversized is not None:
            self._oversized.update(part)
            return
        self._head += part
        if len(self._head) > self._line_max:
            self._oversized = hashlib.sha256(self._head)
            del self._head[self._kept :]


def read_game(line: RawLine, now_ms: int | None = None) -> NamedGame:
    """Find the game's id and date and drop its secrets; raises GarbledError."""
    if line.digest is not None:
        raise GarbledError(f"longer than {LINE_MAX_BYTES} bytes")
    try:
        text = line.data.decode("utf-8")
        game = load_json(text)
    except (ValueError, RecursionError) as error:
        raise GarbledError(f"not JSON: {error}") from error
    if not isinstance(game, dict):
        raise GarbledError("no JSON object")
    game_id, created_at_ms = game.get("id"), game.get("createdAt")
    if not isinstance(game_id, str) or not _GAME_ID.fullmatch(game_id):
        raise GarbledError("no game id" if "id" in game else "no id")
    if not is_plausible_moment(created_at_ms, now_ms):
        raise GarbledError("createdAt is no moment in milliseconds")
    if any(key in game for key in _DROPPED):
        for key in _DROPPED:
            game.pop(key, None)
        text = json.dumps(game, separators=(",", ":"))
    return NamedGame(game_id, created_at_ms, text)


def for_people(line: RawLine) -> str:
    """Return the beginning of a garbled line as text that can be stored and shown."""
    text = line.data[:KEPT_BYTES].decode("utf-8", "replace").replace("\x00", "\ufffd")
    return _SECRET.sub('"fullId":""', text)[:KEPT_BYTES]


def is_plausible_moment(value: Any, now_ms: int | None = None) -> TypeGuard[int]:
    """Tell whether a value is a moment, in epoch milliseconds, at which a game may have been created."""
    if type(value) is not int:
        return False
    latest = (time.time_ns() // 1_000_000 if now_ms is None else now_ms) + _CLOCK_ERROR_MS
    return _FIRST_GAME_MS <= value <= latest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


# Python's decoder takes NaN and Infinity, and turns 1e999 into the latter; PostgreSQL's jsonb takes neither.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def load_json(text: str) -> Any:
    """Parse JSON strictly; raises ValueError, or RecursionError where it is nested too deeply."""
    return _DECODER.decode(text)
