"""Does every game that is claimed end in exactly one report, whatever goes wrong?"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.contract.analyses import AnalysisState
from plugins.api import PluginOutput
from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from tests.unit.workers.analysis import bad_plugins as bad
from tests.unit.workers.analysis.fake_api import FakeApi
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.consumer import Analyst
from workers.analysis.engine import EngineMissing, EngineOptions
from workers.analysis.plugin_registry import PluginRegistry
from workers.analysis.workbench import Workbench
from workers.api_client import ApiUnavailable

SCHOLARS_MATE = ["e2e4", "e7e5", "d1h5", "b8c6", "f1c4", "g8f6", "h5f7"]
GOOD = {"name": "good", "version": 1}


@pytest.fixture
def workbench(folder: Path) -> Iterator[Callable[[Fault], Workbench]]:
    made: list[Workbench] = []

    def make(fault: Fault = Fault.NONE) -> Workbench:
        options = EngineOptions(
            fake.install(folder, fault), 4, patience_seconds=5, slowest_nodes_per_second=1e6
        )
        made.append(Workbench(options))
        return made[-1]

    yield make
    for item in made:
        item.close()


def analyst(
    api: FakeApi,
    workbench: Workbench,
    *plugins: type[bad.Good],
    stopping: Callable[[], bool] = lambda: False,
    limit_seconds: float = 600,
) -> Analyst:
    return Analyst(
        client=api.client,
        workbench=workbench,
        plugins=PluginRegistry([plugin() for plugin in plugins or (bad.Good,)]),
        nodes=50,
        limit_seconds=limit_seconds,
        worker="test:1",
        stopping=stopping,
    )


def claimed(**fields: Any) -> FakeApi:
    return FakeApi(claim(**{"uci": SCHOLARS_MATE, "plugins": [GOOD], "fence": 7} | fields))


def test_a_game_is_searched_and_reported_in_one_request(workbench: Callable[[], Workbench]) -> None:
    api = claimed()
    assert analyst(api, workbench()).analyze("abcdefgh") is AnalysisState.DONE
    assert api.endpoints == ["claim", "results"]
    [asked], [results] = api.bodies("claim"), api.bodies("results")
    assert asked["plugins"] == [GOOD]
    assert asked["nodes"] == results["nodes"] == 50
    assert asked["engine"] == results["engine"]
    assert results["fence"] == 7
    assert len(results["evaluations"]) == 8
    assert results["evaluations"][-1]["score"] == {"cp": None, "mate": 0}
    assert results["results"] == [{"plugin": GOOD, "result": {"value": 7.0, "text": ""}, "error": None}]


def test_two_passes_over_a_game_report_the_same_bytes(workbench: Callable[[], Workbench]) -> None:
    first, second = claimed(), claimed()
    bench = workbench()
    analyst(first, bench).analyze("abcdefgh")
    analyst(second, bench).analyze("abcdefgh")
    assert first.bodies("results") == second.bodies("results")


def test_known_evaluations_cost_no_search(workbench: Callable[[], Workbench], folder: Path) -> None:
    first = claimed()
    bench = workbench()
    analyst(first, bench).analyze("abcdefgh")
    searches = fake.commands(folder).count("go nodes 50")
    second = claimed(evaluations=first.bodies("results")[0]["evaluations"])
    analyst(second, bench).analyze("abcdefgh")
    assert searches == 7
    assert fake.commands(folder).count("go nodes 50") == searches
    assert second.bodies("results")[0]["evaluations"] == []


def test_a_game_without_moves_runs_the_plugins_on_nothing(
    workbench: Callable[[], Workbench], folder: Path
) -> None:
    api = claimed(uci=[])
    assert analyst(api, workbench()).analyze("abcdefgh") is AnalysisState.DONE
    assert api.bodies("results")[0]["results"][0]["result"]["value"] == 0
    assert not any(line.startswith("go") for line in fake.commands(folder))


def test_plugins_that_need_no_evaluations_cost_no_search(
    workbench: Callable[[], Workbench], folder: Path
) -> None:
    api = claimed(plugins=[{"name": "lazy", "version": 1}])
    analyst(api, workbench(), bad.Good, bad.Lazy).analyze("abcdefgh")
    assert api.bodies("results")[0]["results"][0]["result"]["value"] == 7
    assert not any(line.startswith("go") for line in fake.commands(folder))


def test_a_bad_plugin_leaves_the_others_their_results(workbench: Callable[[], Workbench]) -> None:
    names = ["exits", "good", "loops_not_installed", "throws"]
    api = claimed(plugins=[{"name": name, "version": 1} for name in names])
    analyst(api, workbench(), bad.Exits, bad.Good, bad.Throws).analyze("abcdefgh")
    exits, good, missing, throws = api.bodies("results")[0]["results"]
    assert "SystemExit" in exits["error"]
    assert good["result"] is not None
    assert missing["error"] == "not installed on this worker"
    assert "LookupError" in throws["error"]


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.DIE_ON_GO, "engine_died"), (Fault.ILLEGAL_LINE, "engine_garbage")]
)
def test_an_engine_that_fails_twice_fails_the_attempt(
    workbench: Callable[[Fault], Workbench], fault: Fault, code: str
) -> None:
    api = claimed()
    assert analyst(api, workbench(fault)).analyze("abcdefgh") is AnalysisState.PENDING
    assert api.endpoints == ["claim", "failure"]
    [failure] = api.bodies("failure")
    assert (failure["fence"], failure["code"], failure["permanent"]) == (7, code, False)
    assert "rnbqkbnr" in failure["detail"]


def test_an_engine_that_died_once_costs_nothing(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed()
    assert analyst(api, workbench(Fault.DIE_ONCE)).analyze("abcdefgh") is AnalysisState.DONE


def test_an_engine_that_vanished_fails_the_attempt(workbench: Callable[[], Workbench], folder: Path) -> None:
    bench = workbench()
    bench.identity()
    bench.run(bench.slot.close())
    (folder / "engine").unlink()
    api = claimed()
    analyst(api, bench).analyze("abcdefgh")
    assert api.bodies("failure")[0]["code"] == "engine_missing"


def test_without_any_engine_no_game_is_claimed(tmp_path: Path) -> None:
    api = claimed()
    with (
        closing(Workbench(EngineOptions(tmp_path / "none", 4))) as bench,
        pytest.raises(EngineMissing),
    ):
        analyst(api, bench).analyze("abcdefgh")
    assert api.endpoints == []


@pytest.mark.parametrize(
    "fields",
    [
        {"variant": "fromPosition", "initial_fen": "8/8/8/8/8/8/8/8 w - - 0 1"},
        {"uci": ["e2e4", "e2e4"]},
        {"variant": "atomic"},
    ],
)
def test_an_absurd_game_fails_for_good(
    workbench: Callable[[], Workbench], folder: Path, fields: dict[str, Any]
) -> None:
    api = claimed(**fields)
    analyst(api, workbench()).analyze("abcdefgh")
    [failure] = api.bodies("failure")
    assert (failure["code"], failure["permanent"]) == ("invalid_position", True)
    assert not any(line.startswith("position") for line in fake.commands(folder))


def test_a_game_that_takes_too_long_is_given_up(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed()
    analyst(api, workbench(Fault.HANG_ON_GO), limit_seconds=0.05).analyze("abcdefgh")
    assert api.bodies("failure")[0]["code"] == "time_limit"


def test_a_stopping_worker_hands_the_game_back_in_the_middle_of_a_search(
    workbench: Callable[[Fault], Workbench], folder: Path
) -> None:
    api = claimed()

    def searching() -> bool:
        return "go nodes 50" in fake.commands(folder)

    assert analyst(api, workbench(Fault.HANG_ON_GO), stopping=searching).analyze("abcdefgh") is None
    assert api.endpoints == ["claim", "handback"]
    assert api.bodies("handback") == [{"fence": 7}]


def test_a_stopping_worker_takes_no_game(workbench: Callable[[], Workbench]) -> None:
    api = claimed()
    assert analyst(api, workbench(), stopping=lambda: True).analyze("abcdefgh") is None
    assert api.endpoints == []


@pytest.mark.parametrize("code", ["not_claimable", "not_found"])
def test_a_game_that_is_not_to_be_had_is_no_error(workbench: Callable[[], Workbench], code: str) -> None:
    api = claimed()
    api.refuse["claim"] = (409, code)
    assert analyst(api, workbench()).analyze("abcdefgh") is None
    assert api.endpoints == ["claim"]


@pytest.mark.parametrize("endpoint", ["renew", "results"])
def test_a_lost_lease_ends_the_work_without_a_report(
    workbench: Callable[[Fault], Workbench], endpoint: str
) -> None:
    api = claimed(lease_seconds=1)
    api.refuse[endpoint] = (409, "stale_fence")
    fault = Fault.HANG_ON_GO if endpoint == "renew" else Fault.NONE
    assert analyst(api, workbench(fault)).analyze("abcdefgh") is None
    assert api.endpoints == ["claim", endpoint]


def test_a_long_search_keeps_its_lease(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed(lease_seconds=1)

    def renewed_twice() -> bool:
        return api.endpoints.count("renew") >= 2

    analyst(api, workbench(Fault.HANG_ON_GO), stopping=renewed_twice).analyze("abcdefgh")
    assert api.bodies("renew")[:2] == [{"fence": 7}, {"fence": 7}]


def test_results_that_the_api_refuses_fail_the_attempt(workbench: Callable[[], Workbench]) -> None:
    api = claimed()
    api.refuse["results"] = (422, "invalid_request")
    analyst(api, workbench()).analyze("abcdefgh")
    [failure] = api.bodies("failure")
    assert failure["code"] == "results_refused"
    assert "refused: invalid_request" in failure["detail"]


def test_an_api_that_is_away_leaves_the_game_to_its_lease(workbench: Callable[[], Workbench]) -> None:
    api = claimed()
    api.refuse["results"] = (503, "unavailable")
    with pytest.raises(ApiUnavailable):
        analyst(api, workbench()).analyze("abcdefgh")
    assert "failure" not in api.endpoints


def test_an_error_of_our_own_is_reported_and_raised(
    workbench: Callable[[], Workbench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> PluginOutput:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("workers.analysis.consumer.run_plugin", broken)
    api = claimed()
    with pytest.raises(ZeroDivisionError):
        analyst(api, workbench()).analyze("abcdefgh")
    [failure] = api.bodies("failure")
    assert failure["code"] == "internal_error"
    assert "ZeroDivisionError: ours" in failure["detail"]


def test_one_engine_serves_game_after_game(workbench: Callable[[], Workbench], folder: Path) -> None:
    bench = workbench()
    for _ in range(3):
        analyst(claimed(), bench).analyze("abcdefgh")
    assert len(fake.pids(folder)) == 1
