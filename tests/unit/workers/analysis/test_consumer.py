"""Does every game that is claimed end in exactly one report, whatever goes wrong?"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.contract.analyses import AnalysisState, BudgetMode
from app.contract.positions import EvaluationSource
from plugins.api import AnalysedGame, PluginOutput, Wish
from plugins.contract import AnyPlugin
from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from tests.unit.workers.analysis import bad_plugins as bad
from tests.unit.workers.analysis.fake_api import FakeApi
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.budget import Budget
from workers.analysis.consumer import Analyst
from workers.analysis.engine import EngineOptions
from workers.analysis.plugin_registry import PluginRegistry
from workers.analysis.workbench import Workbench
from workers.api_client import ApiUnavailable

BUDGET = Budget(50, BudgetMode.FIXED)
ADAPTIVE = Budget(40_000, BudgetMode.ADAPTIVE)
WISHING = {"name": "wishing", "version": 1}
SCHOLARS_MATE = ["e2e4", "e7e5", "d1h5", "b8c6", "f1c4", "g8f6", "h5f7"]
GOOD = {"name": "good", "version": 1}


class Wishing(bad.Good):
    """Wishes for lines, and tells how many it got at each ply."""

    name = "wishing"

    def wishes(self, _game: AnalysedGame) -> Mapping[int, Wish]:
        return {1: Wish(lines=3), 4: Wish(lines=2, full_budget=True), 7: Wish(lines=2)}

    def analyse(self, game: AnalysedGame) -> bad.Verdict:
        text = " ".join(f"{ply}:{len(item.lines)}" for ply, item in enumerate(game.evaluations))
        return bad.Verdict(value=0, text=text)


@pytest.fixture
def workbench(folder: Path) -> Iterator[Callable[[Fault], Workbench]]:
    made: list[Workbench] = []

    def make(fault: Fault = Fault.NONE) -> Workbench:
        options = EngineOptions(
            fake.install(folder, fault, fit=True), 4, patience_seconds=60, slowest_nodes_per_second=1e6
        )
        made.append(Workbench(options))
        return made[-1]

    yield make
    for item in made:
        item.close()


def analyst(
    api: FakeApi,
    workbench: Workbench,
    *plugins: type[AnyPlugin],
    stopping: Callable[[], bool] = lambda: False,
    limit_seconds: float = 600,
    budget: Budget = BUDGET,
    prefer: EvaluationSource = EvaluationSource.ENGINE,
) -> Analyst:
    return Analyst(
        client=api.client,
        workbench=workbench,
        plugins=PluginRegistry([plugin() for plugin in plugins or (bad.Good,)]),
        budget=budget,
        prefer=prefer,
        limit_seconds=limit_seconds,
        worker="test:1",
        stopping=stopping,
    )


def claimed(**fields: Any) -> FakeApi:
    return FakeApi(claim(**{"uci": SCHOLARS_MATE, "plugins": [GOOD], "fence": 7} | fields))


def found(api: FakeApi) -> list[dict[str, Any]]:
    return [item for batch in api.bodies("evaluations") for item in batch["evaluations"]]


def test_a_game_is_searched_stored_and_reported(workbench: Callable[[], Workbench]) -> None:
    api = claimed()
    assert analyst(api, workbench()).analyze("abcdefgh") is AnalysisState.DONE
    assert api.endpoints == ["claim", "evaluations", "results"]
    [asked], [results] = api.bodies("claim"), api.bodies("results")
    assert asked["plugins"] == [GOOD]
    basis = results["provenance"]
    assert asked["min_nodes"] == basis["nodes"] == 50
    assert asked["engine"] == basis["engine"] == api.bodies("evaluations")[0]["engine"]
    assert (basis["source"], basis["mode"]) == ("engine", "fixed")
    assert basis["position_nodes"] == [50] * 7 + [0]
    assert (basis["searched_positions"], basis["searched_nodes"]) == (7, 350)
    assert results["fence"] == 7
    assert len(found(api)) == 7
    assert results["results"] == [{"plugin": GOOD, "result": {"value": 7.0, "text": ""}, "error": None}]


def test_two_passes_over_a_game_report_the_same_bytes(workbench: Callable[[], Workbench]) -> None:
    first, second = claimed(), claimed()
    bench = workbench()
    analyst(first, bench, budget=ADAPTIVE).analyze("abcdefgh")
    analyst(second, bench, budget=ADAPTIVE).analyze("abcdefgh")
    assert first.received == second.received
    assert len(found(first)) > 7


@pytest.mark.parametrize("budget", [BUDGET, ADAPTIVE], ids=["fixed", "adaptive"])
def test_known_evaluations_cost_no_search(
    workbench: Callable[[], Workbench], folder: Path, budget: Budget
) -> None:
    first = claimed(plugins=[WISHING])
    bench = workbench()
    analyst(first, bench, Wishing, budget=budget).analyze("abcdefgh")
    searches = gos(folder)
    second = claimed(plugins=[WISHING], evaluations=found(first))
    analyst(second, bench, Wishing, budget=budget).analyze("abcdefgh")
    assert gos(folder) == searches
    assert second.endpoints == ["claim", "results"]
    [one], [other] = first.bodies("results"), second.bodies("results")
    assert other["provenance"].pop("searched_positions") == 0 < one["provenance"].pop("searched_positions")
    assert other["provenance"].pop("searched_nodes") == 0 < one["provenance"].pop("searched_nodes")
    assert one == other


def gos(folder: Path) -> list[str]:
    return [line for line in fake.commands(folder) if line.startswith("go")]


def test_what_a_plugin_wishes_for_is_searched_and_shown_to_it(workbench: Callable[[], Workbench]) -> None:
    api = claimed(plugins=[WISHING])
    budget = Budget(400, BudgetMode.ADAPTIVE)
    analyst(api, workbench(), Wishing, budget=budget).analyze("abcdefgh")
    [results] = api.bodies("results")
    assert results["results"][0]["result"]["text"] == "0:0 1:3 2:0 3:0 4:2 5:0 6:0 7:0"
    assert results["provenance"]["position_nodes"][4] == 400
    several = {item["position_key"]: item for item in found(api) if item["lines"] > 1}
    assert sorted((item["lines"], len(item["further"])) for item in several.values()) == [(2, 1), (3, 2)]


def test_the_wishes_of_plugins_are_joined_even_of_one_that_has_its_result(
    workbench: Callable[[], Workbench],
) -> None:
    api = claimed(plugins=[GOOD])
    analyst(api, workbench(), bad.Good, Wishing).analyze("abcdefgh")
    assert {item["lines"] for item in found(api)} == {1, 2, 3}


@pytest.mark.parametrize("wishes", [{99: Wish()}, {0: Wish(lines=6)}, {0: 2}, {"0": Wish()}, None])
def test_a_plugin_with_absurd_wishes_fails_alone(workbench: Callable[[], Workbench], wishes: Any) -> None:
    class Absurd(Wishing):
        name = "absurd"

        def wishes(self, _game: AnalysedGame) -> Any:
            return wishes

    api = claimed(plugins=[{"name": "absurd", "version": 1}, GOOD])
    analyst(api, workbench(), Absurd, bad.Good).analyze("abcdefgh")
    absurd, good = api.bodies("results")[0]["results"]
    assert absurd["error"].startswith("BrokenContract: ")
    assert good["error"] is None


def test_an_analysis_by_lichess_takes_the_engines_place_where_the_owner_wants_it(
    workbench: Callable[[], Workbench], folder: Path
) -> None:
    given = [{"score": {"cp": cp}} for cp in (10, 20, 30, 40, 50)] + [{"score": {"mate": 1}}]
    for exported, source in ((given, "lichess"), (given[:-1], "engine")):
        api = claimed(lichess_evaluations=exported)
        before = len(gos(folder))
        analyst(api, workbench(), prefer=EvaluationSource.LICHESS).analyze("abcdefgh")
        basis = api.bodies("results")[0]["provenance"]
        assert basis["source"] == source
        assert (len(gos(folder)) - before, basis["searched_positions"]) == (
            (1, 0) if source == "lichess" else (8, 7)  # each workbench proves its engine once
        )
        assert (basis["engine"] is None) == (source == "lichess")


def test_what_was_found_before_a_failure_is_kept(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed()
    analyst(api, workbench(Fault.DIE_ON_GO)).analyze("abcdefgh")
    assert api.endpoints == ["claim", "evaluations", "failure"]
    assert len(found(api)) == 1


def test_a_game_without_moves_runs_the_plugins_on_nothing(
    workbench: Callable[[], Workbench], folder: Path
) -> None:
    api = claimed(uci=[])
    assert analyst(api, workbench()).analyze("abcdefgh") is AnalysisState.DONE
    assert api.bodies("results")[0]["results"][0]["result"]["value"] == 0
    assert gos(folder) == ["go nodes 1000"]


def test_plugins_that_need_no_evaluations_cost_no_search(
    workbench: Callable[[], Workbench], folder: Path
) -> None:
    api = claimed(plugins=[{"name": "lazy", "version": 1}])
    analyst(api, workbench(), bad.Good, bad.Lazy).analyze("abcdefgh")
    assert api.bodies("results")[0]["results"][0]["result"]["value"] == 7
    assert gos(folder) == ["go nodes 1000"]


def test_a_bad_plugin_leaves_the_others_their_results(workbench: Callable[[], Workbench]) -> None:
    names = ["exits", "good", "loops_not_installed", "throws"]
    api = claimed(plugins=[{"name": name, "version": 1} for name in names])
    analyst(api, workbench(), bad.Exits, bad.Good, bad.Throws).analyze("abcdefgh")
    exits, good, missing, throws = api.bodies("results")[0]["results"]
    assert "SystemExit" in exits["error"]
    assert good["result"] is not None
    assert missing["error"] == "not installed on this worker"
    assert "LookupError" in throws["error"]


def test_a_result_that_no_message_can_hold_costs_only_itself(workbench: Callable[[], Workbench]) -> None:
    api = claimed(plugins=[{"name": name, "version": 1} for name in ("deep", "good")])
    assert analyst(api, workbench(), bad.Deep, bad.Good).analyze("abcdefgh") is AnalysisState.DONE
    deep, good = api.bodies("results")[0]["results"]
    assert "nested 255 deep" in deep["error"]
    assert good["result"] is not None


def test_results_that_no_request_can_hold_fail_the_plugin_that_goes_beyond(
    workbench: Callable[[], Workbench],
) -> None:
    def large(number: int) -> type[bad.Good]:
        def analyse(_self: bad.Good, _game: AnalysedGame) -> bad.Verdict:
            return bad.Verdict(value=number, text="x" * 990_000)

        return type("Large", (bad.Good,), {"name": f"large{number}", "analyse": analyse})

    kinds = [large(number) for number in range(9)]
    api = claimed(plugins=[{"name": kind.name, "version": 1} for kind in kinds])
    analyst(api, workbench(), *kinds).analyze("abcdefgh")
    [body] = api.bodies("results")
    assert [item["plugin"]["name"] for item in body["results"] if item["error"]] == [
        "large6",
        "large7",
        "large8",
    ]
    assert len(json.dumps(body)) < 8 * 2**20  # what the API takes


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.DIE_ON_GO, "engine_died"), (Fault.ILLEGAL_LINE, "engine_garbage")]
)
def test_an_engine_that_fails_twice_fails_the_attempt(
    workbench: Callable[[Fault], Workbench], fault: Fault, code: str
) -> None:
    api = claimed()
    assert analyst(api, workbench(fault)).analyze("abcdefgh") is AnalysisState.PENDING
    assert api.endpoints == ["claim", "evaluations", "failure"]
    [failure] = api.bodies("failure")
    assert (failure["fence"], failure["code"], failure["permanent"]) == (7, code, False)
    assert "FEN rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b" in failure["detail"]


def test_an_engine_that_died_once_costs_nothing(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed()
    assert analyst(api, workbench(Fault.DIE_ONCE)).analyze("abcdefgh") is AnalysisState.DONE


def test_an_engine_that_vanishes_costs_the_game_no_attempt(
    workbench: Callable[[Fault], Workbench], folder: Path
) -> None:
    bench = workbench(Fault.DIE_ON_GO)
    bench.ready()
    (folder / "engine").unlink()
    api = claimed()
    assert analyst(api, bench).analyze("abcdefgh") is None
    assert api.endpoints == ["claim", "evaluations", "handback"]
    assert analyst(api, bench).analyze("abcdefgh") is None
    assert api.endpoints[3:] == []


def test_an_engine_that_is_exchanged_costs_the_game_no_attempt(
    workbench: Callable[[Fault], Workbench], folder: Path
) -> None:
    bench = workbench(Fault.DIE_ON_GO)
    bench.ready()
    fake.install(folder, name="Fake 2")
    api = claimed()
    assert analyst(api, bench).analyze("abcdefgh") is None
    assert api.endpoints == ["claim", "evaluations", "handback"]
    assert analyst(api, bench).analyze("abcdefgh") is AnalysisState.DONE
    assert api.bodies("claim")[1]["engine"]["name"] == "Fake 2"


def test_without_any_engine_no_game_is_claimed(tmp_path: Path) -> None:
    api = claimed()
    with closing(Workbench(EngineOptions(tmp_path / "none", 4))) as bench:
        assert analyst(api, bench).analyze("abcdefgh") is None
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
    assert [line for line in fake.commands(folder) if line.startswith("position")] == ["position startpos"]


def test_a_game_that_takes_too_long_is_given_up(workbench: Callable[[Fault], Workbench]) -> None:
    api = claimed()
    analyst(api, workbench(Fault.HANG_ON_GO), limit_seconds=0.05).analyze("abcdefgh")
    assert api.bodies("failure")[0]["code"] == "time_limit"


def test_a_stopping_worker_hands_the_game_back_in_the_middle_of_a_search(
    workbench: Callable[[Fault], Workbench], folder: Path
) -> None:
    api = claimed()

    def searching() -> bool:
        return fake.commands(folder).count("go nodes 50") == 2

    assert analyst(api, workbench(Fault.HANG_ON_GO), stopping=searching).analyze("abcdefgh") is None
    assert api.endpoints == ["claim", "evaluations", "handback"]
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
    api = claimed(lease_seconds=1 if endpoint == "renew" else 600)
    api.refuse[endpoint] = (409, "stale_fence")
    fault = Fault.HANG_ON_GO if endpoint == "renew" else Fault.NONE
    assert analyst(api, workbench(fault)).analyze("abcdefgh") is None
    asked = ["renew", "evaluations"] if endpoint == "renew" else ["evaluations", "results"]
    assert api.endpoints == ["claim", *asked]


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
    def broken(*_: object, **__: object) -> PluginOutput:
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
