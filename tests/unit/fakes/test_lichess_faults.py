"""Does the fake Lichess fail as scripted?"""

import json

import httpx
import pytest

from tests.fakes.lichess.faults import Fault, FaultKind, FaultScript
from tests.fakes.lichess.journal import Endpoint
from tests.fakes.lichess.playback import BOM, HUGE_LINE_BYTES, HangUp, Send, Stall, Step, play
from tests.fakes.lichess.site import Site
from tests.unit.fakes.conftest import Client

LINES = [b'{"id":"a"}\n', b'{"id":"b"}\n', b'{"id":"c"}\n']


def played(kind: FaultKind, after_lines: int = 1) -> list[Step]:
    fault = Fault(kind=kind, after_lines=after_lines, seconds=2.5, bytes_per_second=10)
    return list(play(LINES, fault))


def sent(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Send))


def test_without_a_fault_every_line_is_a_game() -> None:
    assert list(play(LINES, None)) == [Send(line, is_game=True) for line in LINES]


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_but_a_status_changes_what_is_sent(kind: FaultKind) -> None:
    unchanged = kind is FaultKind.STATUS
    assert (played(kind) == list(play(LINES, None))) == unchanged


@pytest.mark.parametrize("kind", list(FaultKind))
def test_lines_before_the_fault_are_sent_as_they_are(kind: FaultKind) -> None:
    assert played(kind, after_lines=2)[:2] == [Send(line, is_game=True) for line in LINES[:2]]


def test_cut_ends_between_two_lines() -> None:
    assert played(FaultKind.CUT) == [Send(LINES[0], is_game=True), HangUp()]


@pytest.mark.parametrize(("kind", "reset"), [(FaultKind.HALF_LINE, False), (FaultKind.RESET, True)])
def test_half_a_line_is_sent_before_hanging_up(kind: FaultKind, reset: bool) -> None:
    assert played(kind)[1:] == [Send(b'{"id"'), HangUp(reset=reset)]


def test_a_stall_goes_on_after_its_time() -> None:
    steps = played(FaultKind.STALL)
    assert steps[1] == Stall(2.5)
    assert sent(steps) == b"".join(LINES)


def test_garbage_comes_between_games() -> None:
    steps = played(FaultKind.GARBAGE)
    assert isinstance(steps[1], Send)
    assert not steps[1].is_game
    with pytest.raises(ValueError, match="codec"):
        json.loads(steps[1].data)
    assert steps[2:] == [Send(line, is_game=True) for line in LINES[1:]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.DUPLICATE, LINES[0] + LINES[1] * 2 + LINES[2] * 2),
        (FaultKind.BLANK_LINES, LINES[0] + b"\n" + LINES[1] + b"\n" + LINES[2]),
        (FaultKind.CRLF, LINES[0] + b'{"id":"b"}\r\n{"id":"c"}\r\n'),
        (FaultKind.BOM, LINES[0] + BOM + LINES[1] + LINES[2]),
        (FaultKind.MISSING_ID, LINES[0] + b"{}\n" + LINES[2]),
        (FaultKind.UNORDERED, LINES[0] + LINES[2] + LINES[1]),
    ],
)
def test_odd_lines(kind: FaultKind, expected: bytes) -> None:
    assert sent(played(kind)) == expected


def test_a_huge_line_is_a_game_of_ten_megabytes() -> None:
    _, huge, _ = sent(played(FaultKind.HUGE_LINE)).splitlines()
    assert len(huge) > HUGE_LINE_BYTES
    assert json.loads(huge)["id"] == "b"


def test_a_drip_sends_the_rest_slowly() -> None:
    steps = played(FaultKind.DRIP)
    assert [step.bytes_per_second for step in steps if isinstance(step, Send)] == [None, 10, 10]


def test_a_fault_is_used_up() -> None:
    script = FaultScript()
    script.add(Fault(kind=FaultKind.CUT, times=2))
    taken = [script.take(Endpoint.GAMES_OF_USER, "alice") for _ in range(3)]
    assert [fault is not None for fault in taken] == [True, True, False]


def test_a_fault_without_times_lasts_until_cleared() -> None:
    script = FaultScript()
    script.add(Fault(kind=FaultKind.CUT, times=None))
    assert all(script.take(Endpoint.GAMES_OF_USER, "alice") for _ in range(5))
    script.clear()
    assert script.take(Endpoint.GAMES_OF_USER, "alice") is None


@pytest.mark.parametrize(
    ("fault", "matches"),
    [
        (Fault(kind=FaultKind.CUT, username="ALICE"), True),
        (Fault(kind=FaultKind.CUT, username="bob"), False),
        (Fault(kind=FaultKind.CUT, endpoint=Endpoint.GAMES_BY_IDS), False),
    ],
)
def test_a_fault_waits_for_its_request(fault: Fault, matches: bool) -> None:
    script = FaultScript()
    script.add(fault)
    assert (script.take(Endpoint.GAMES_OF_USER, "alice") is not None) == matches


@pytest.mark.parametrize("status", [401, 404, 500, 502, 503])
async def test_a_scripted_status_has_lichess_s_error_body(site: Site, client: Client, status: int) -> None:
    site.faults.add(Fault(kind=FaultKind.STATUS, status=status))
    response = await client.export()
    assert response.status_code == status
    assert response.json()["error"]
    assert (await client.export()).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [(FaultKind.HTML, "text/html; charset=utf-8"), (FaultKind.JSON_ERROR, "application/json")],
)
async def test_errors_disguised_as_success(
    site: Site, client: Client, kind: FaultKind, media_type: str
) -> None:
    site.faults.add(Fault(kind=kind))
    response = await client.export()
    assert response.status_code == httpx.codes.OK
    assert response.headers["content-type"] == media_type
    assert site.journal.requests[-1].games_sent == 0


@pytest.mark.parametrize(
    "body",
    ["{", "{}", '[{"kind":"cutt"}]', '[{"kind":"cut","times":0}]', '[{"kind":"cut","colour":1}]'],
)
async def test_a_malformed_fault_is_refused(client: Client, body: str) -> None:
    response = await client.http.post("/_control/faults", content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert client.site.faults.take(Endpoint.GAMES_OF_USER, "alice") is None
