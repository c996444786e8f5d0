"""What follows when a line of an answer can't be read?"""

import pytest

from app.contract.ingestion import FetchOutcome, GarbledVerdict
from tests.integration.api.driver import Ledger
from tests.integration.conftest import Api


@pytest.fixture
def ledger(api: Api) -> Ledger:
    return Ledger(api).track()


def test_a_garbled_line_stops_two_runs_and_is_refused_by_the_third(api: Api, ledger: Ledger) -> None:
    verdicts = []
    for _ in range(3):
        ledger.make_due()
        run_id = ledger.plan().run_id
        verdicts += [ledger.garbled(run_id), ledger.garbled(run_id)]
        if verdicts[-1] is GarbledVerdict.STOP:
            ledger.finish(run_id, 0, FetchOutcome.CUT)
    assert verdicts == [GarbledVerdict.STOP] * 4 + [GarbledVerdict.REFUSED] * 2
    (refusal,) = api.reader.get("/v1/players/alice/refusals").json()["items"]
    assert (refusal["code"], refusal["detail"], refusal["raw"]) == ("garbled", "not JSON", '{"half')
    assert refusal["id"].startswith("line:")
    assert ledger.view().completeness.refused == 1


def test_other_bytes_are_another_garbled_line(ledger: Ledger) -> None:
    for number in range(4):
        ledger.make_due()
        assert ledger.garbled(ledger.plan().run_id, digest=f"{number:02d}" * 32) is GarbledVerdict.STOP
