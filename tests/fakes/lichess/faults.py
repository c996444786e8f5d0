"""What may go wrong in an answer, and in which answers does it?"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tests.fakes.lichess.journal import Endpoint


class FaultKind(StrEnum):
    """Each kind acts once `after_lines` games have been sent as they should."""

    STATUS = (
        "status"  # answer `status` with Lichess's JSON error (a 429 starts the penalty time), or with `body`
    )
    HTML = "html"  # status 200, a page for people
    JSON_ERROR = "json_error"  # status 200, an error object
    MISLABELLED = "mislabelled"  # status 200, a page for people that is said to be NDJSON
    GZIP = "gzip"  # the rest compressed, though nobody asked for that
    CUT = "cut"  # close the connection between two lines
    HALF_LINE = "half_line"  # send half of the next line, then close
    RESET = "reset"  # send half of the next line, then drop the connection without a goodbye
    STALL = "stall"  # send nothing for `seconds`, or until the client leaves; then go on
    DRIP = "drip"  # send the rest at `bytes_per_second`
    GARBAGE = "garbage"  # one line that is no JSON and no UTF-8
    HUGE_LINE = "huge_line"  # the next game with 10 MB of moves
    MISSING_ID = "missing_id"  # the next game without its id
    DUPLICATE = "duplicate"  # every further line twice
    BLANK_LINES = "blank_lines"  # an empty line before every further line
    CRLF = "crlf"  # every further line ends in CR LF
    BOM = "bom"  # a byte order mark before the next line
    UNORDERED = "unordered"  # the remaining lines in reverse order


class Fault(BaseModel):
    """A fault for the next `times` requests (for ever when None) that match endpoint and username."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    after_lines: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = 1
    endpoint: Endpoint | None = None
    username: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 500
    body: str | None = None
    """What something before Lichess answers in its place, of `media_type` (None: unsaid)."""
    media_type: str | None = "text/html; charset=utf-8"
    seconds: Annotated[float, Field(gt=0)] | None = None
    bytes_per_second: Annotated[int, Field(gt=0)] = 100

    def matches(self, endpoint: Endpoint, username: str | None) -> bool:
        """Tell whether a request is one of those this fault is for; an export by ids has no username."""
        right_user = self.username is None or (username or "").lower() == self.username.lower()
        return right_user and self.endpoint in (None, endpoint)


class FaultScript:
    """The faults still to come, in the order they were added; a request gets the first that matches."""

    def __init__(self) -> None:
        self._pending: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        self._pending.append((fault, fault.times))

    def clear(self) -> None:
        """Let everything go well from now on."""
        self._pending = []

    def take(self, endpoint: Endpoint, username: str | None) -> Fault | None:
        """Return the fault for this request, using it up by one."""
        for index, (fault, left) in enumerate(self._pending):
            if not fault.matches(endpoint, username):
                continue
            if left == 1:
                del self._pending[index]
            elif left is not None:
                self._pending[index] = (fault, left - 1)
            return fault
        return None
