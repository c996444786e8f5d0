"""Does the store keep every evaluation under what it is a function of, and bring each back as it was?"""

from typing import Any, Final

import httpx
import pytest

from app.contract.analyses import AnalysisState, BudgetMode, PluginId
from app.contract.positions import EngineIdentity, Evaluation, EvaluationSource, FurtherLine, Score
from tests.integration.api.driver import (
    ACCURACY,
    ENGINE,
    NODES,
    SWING,
    Analyst,
    Ledger,
    evaluation,
    make_game,
    record_of,
)
from tests.integration.conftest import Api

NEWER = PluginId(name="accuracy", version=2)
KEYS = record_of(make_game(1)).moves.position_keys or []
CLOCKS = [0, 0, 0, 1, 2]


@pytest.fixture
def ledger(api: Api) -> Ledger:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1), make_game(2)])
    return ledger


def varied() -> list[Evaluation]:
    """One position, at two clocks, with three budgets and three counts of lines."""
    base = evaluation(KEYS[0])
    return sorted(
        (
            base.model_copy(
                update={
                    "halfmove_clock": clock,
                    "budget_nodes": nodes,
                    "lines": lines,
                    "score": Score(mate=-3) if lines == 2 else Score(cp=nodes // 1_000 + clock),
                    "further": [FurtherLine(score=Score(cp=-9), pv=["d2d4"])] * (lines - 1),
                }
            )
            for clock in (0, 7)
            for nodes in (NODES // 2, NODES, 2 * NODES)
            for lines in (1, 2, 3)
        ),
        key=lambda item: (item.halfmove_clock, item.budget_nodes, item.lines),
    )


def test_a_claim_brings_all_that_is_rich_enough_as_it_was_stored(ledger: Ledger) -> None:
    stored = varied()
    with Analyst(ledger.api) as analyst:
        analyst.client.store_evaluations(ENGINE, stored[::-1])
        other = EngineIdentity(name="Stockfish 18", hash_mb=16)
        analyst.client.store_evaluations(other, [evaluation(KEYS[1])])
        assert analyst.claim("game0001").evaluations == [
            item for item in stored if item.budget_nodes >= NODES
        ]


@pytest.mark.smoke
def test_an_evaluation_that_is_there_stays_and_a_repetition_changes_nothing(ledger: Ledger) -> None:
    first = evaluation(KEYS[0], cp=20)
    with Analyst(ledger.api) as analyst:
        for item in (first, first, first.model_copy(update={"score": Score(cp=99)})):
            analyst.client.store_evaluations(ENGINE, [item])
        assert analyst.claim("game0001").evaluations == [first]


def test_a_long_list_is_stored_in_several_requests(ledger: Ledger) -> None:
    with Analyst(ledger.api) as analyst:
        analyst.client.store_evaluations(ENGINE, [evaluation(key) for key in range(2_500)])
    assert ledger.api.value("SELECT count(*) FROM evaluations") == 2_500


def test_too_many_in_one_request_are_refused(api: Api) -> None:
    body = {"engine": ENGINE.model_dump(), "evaluations": [evaluation(1).model_dump()] * 1_001}
    assert api.worker_http.post("/v1/evaluations", json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("client", ["anonymous", "reader", "writer"])
def test_only_workers_store_evaluations(api: Api, client: str) -> None:
    body = {"engine": ENGINE.model_dump(), "evaluations": []}
    answer = getattr(api, client).post("/v1/evaluations", json=body)
    assert answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
    assert api.value("SELECT count(*) FROM engines") == 0


def test_a_game_shows_what_each_score_rests_on_and_what_the_pass_cost(ledger: Ledger) -> None:
    budgets = [NODES, NODES, 4 * NODES, NODES, 16 * NODES]
    with Analyst(ledger.api) as analyst:
        for ply, (key, clock, nodes) in enumerate(zip(KEYS, CLOCKS, budgets, strict=True)):
            for budget in {NODES, nodes}:
                item = evaluation(key, 100 * ply + budget // NODES, clock)
                found = item.model_copy(update={"budget_nodes": budget})
                several = found.model_copy(update={"lines": 2, "score": Score(cp=-1)})
                analyst.client.store_evaluations(ENGINE, [found, several])
        claim = analyst.claim("game0001")
        analyst.client.post_results(
            claim.id,
            analyst.results(
                claim,
                mode=BudgetMode.ADAPTIVE,
                nodes=16 * NODES,
                position_nodes=budgets,
                searched_positions=7,
                searched_nodes=123_456,
            ),
        )
    game = ledger.api.reader.get("/v1/games/game0001").json()
    assert game["initial_score"]["cp"] == 1
    assert [(move["score"]["cp"], move["nodes"]) for move in game["moves"]] == [
        (101, NODES),
        (204, 4 * NODES),
        (301, NODES),
        (416, 16 * NODES),
    ]
    details = game["details"]
    assert (details["source"], details["mode"], details["nodes"]) == ("engine", "adaptive", 16 * NODES)
    assert (details["searched_positions"], details["searched_nodes"]) == (7, 123_456)


def test_a_game_shows_the_deeper_of_two_searches_across_the_best_move(ledger: Ledger) -> None:
    played = record_of(make_game(1)).moves.uci or []
    budgets = [NODES, 16 * NODES, NODES, NODES, NODES]
    with Analyst(ledger.api) as analyst:
        for ply, (key, clock, nodes) in enumerate(zip(KEYS, CLOCKS, budgets, strict=True)):
            item = evaluation(key, 100 * ply, clock)
            line = [played[1], "a7a6"] if ply == 1 else ["a2a3"]
            found = item.model_copy(update={"budget_nodes": nodes, "pv": line})
            analyst.client.store_evaluations(ENGINE, [found])
        claim = analyst.claim("game0001")
        analyst.client.post_results(
            claim.id, analyst.results(claim, mode=BudgetMode.ADAPTIVE, nodes=NODES, position_nodes=budgets)
        )
    moves = ledger.api.reader.get("/v1/games/game0001").json()["moves"]
    assert [(move["score"]["cp"], move["nodes"]) for move in moves] == [
        (100, 16 * NODES),
        (100, 16 * NODES),
        (300, NODES),
        (400, NODES),
    ]
    assert [move["best_line"] for move in moves[:2]] == [[played[1], "a7a6"], ["a7a6"]]


def test_a_pass_that_needs_no_evaluations_leaves_those_of_the_game_in_place(ledger: Ledger) -> None:
    found = [evaluation(key, 10, clock) for key, clock in zip(KEYS, CLOCKS, strict=True)]
    with Analyst(ledger.api) as analyst:
        analyst.finish(analyst.claim("game0001"), found)
    with Analyst(ledger.api, [SWING]) as later:
        claim = later.claim("game0001")
        later.client.post_results(claim.id, later.results(claim, position_nodes=[], nodes=5))
    game = ledger.api.reader.get("/v1/games/game0001").json()
    assert game["details"]["nodes"] == NODES
    assert [move["score"]["cp"] for move in game["moves"]] == [10] * 4
    assert bases(ledger) == {
        ("accuracy", 1): ("engine", ENGINE.name, NODES, "fixed"),
        ("largest_swing", 1): NOTHING,
    }


def test_a_game_whose_plugins_had_no_evaluations_names_none(ledger: Ledger) -> None:
    with Analyst(ledger.api) as analyst:
        claim = analyst.claim("game0001")
        analyst.client.post_results(claim.id, analyst.results(claim, position_nodes=[]))
    assert bases(ledger) == {("accuracy", 1): NOTHING}
    details = ledger.api.reader.get("/v1/games/game0001").json()["details"]
    assert (details["state"], details["engine"], details["source"], details["nodes"], details["mode"]) == (
        *("done", None, None, None, None),
    )
    with Analyst(ledger.api, [SWING]) as later:
        claim = later.claim("game0001")
        later.client.post_results(claim.id, later.results(claim, **OF_LICHESS))
    assert bases(ledger)["largest_swing", 1] == ("lichess", None, None, None)


def test_results_by_lichess_name_no_engine_and_no_nodes(ledger: Ledger) -> None:
    with Analyst(ledger.api) as analyst:
        claim = analyst.claim("game0001")
        results = analyst.results(claim, **OF_LICHESS)
        assert analyst.client.post_results(claim.id, results).state is AnalysisState.DONE
    game = ledger.api.reader.get("/v1/games/game0001").json()
    assert (game["details"]["source"], game["details"]["engine"], game["details"]["mode"]) == (
        *("lichess", None, None),
    )
    assert game["results"][0]["nodes"] is None
    assert [move["score"] for move in game["moves"]] == [None] * 4


OF_LICHESS: Final[dict[str, Any]] = {
    "source": EvaluationSource.LICHESS,
    "engine": None,
    "nodes": None,
    "mode": None,
    "position_nodes": [],
}


NOTHING: Final = (None, None, 0, None)


def bases(ledger: Ledger) -> dict[tuple[str, int], tuple[object, ...]]:
    """Return what each result of the game rests on, by plugin and version."""
    return {
        (item["plugin"], item["version"]): (
            item["source"],
            item["engine"] and item["engine"]["name"],
            item["nodes"],
            item["mode"],
        )
        for item in ledger.api.reader.get("/v1/games/game0001").json()["results"]
    }


def test_a_later_pass_by_lichess_leaves_the_engines_scores_and_each_result_names_its_own_source(
    ledger: Ledger,
) -> None:
    found = [evaluation(key, 10, clock) for key, clock in zip(KEYS, CLOCKS, strict=True)]
    with Analyst(ledger.api, [ACCURACY, SWING]) as analyst:
        analyst.finish(analyst.claim("game0001"), found)
    before = ledger.api.reader.get("/v1/games/game0001").json()
    with Analyst(ledger.api, [NEWER, SWING]) as later:
        claim = later.claim("game0001")
        later.client.post_results(claim.id, later.results(claim, **OF_LICHESS))
    after = ledger.api.reader.get("/v1/games/game0001").json()
    assert after["moves"] == before["moves"]
    assert [move["score"]["cp"] for move in after["moves"]] == [10] * 4
    for field in ("engine", "source", "nodes", "mode"):
        assert after["details"][field] == before["details"][field] is not None, field
    assert bases(ledger) == {
        ("accuracy", 1): ("engine", ENGINE.name, NODES, "fixed"),
        ("accuracy", 2): ("lichess", None, None, None),
        ("largest_swing", 1): ("engine", ENGINE.name, NODES, "fixed"),
    }


def test_a_later_pass_of_another_engine_shows_its_scores_and_each_result_names_its_own_engine(
    ledger: Ledger,
) -> None:
    other = ENGINE.model_copy(update={"name": "Stockfish 18"})
    with Analyst(ledger.api, [ACCURACY]) as analyst:
        analyst.finish(analyst.claim("game0001"))
    with Analyst(ledger.api, [ACCURACY, SWING]) as later:
        claim = later.claim("game0001")
        later.client.store_evaluations(
            other, [evaluation(key, 30, clock) for key, clock in zip(KEYS, CLOCKS, strict=True)]
        )
        later.client.post_results(
            claim.id, later.results(claim, engine=other, nodes=5 * NODES, mode=BudgetMode.ADAPTIVE)
        )
    shown = ledger.api.reader.get("/v1/games/game0001").json()
    assert (shown["details"]["engine"]["name"], shown["details"]["nodes"]) == (other.name, 5 * NODES)
    assert [move["score"]["cp"] for move in shown["moves"]] == [30] * 4
    assert bases(ledger) == {
        ("accuracy", 1): ("engine", ENGINE.name, NODES, "fixed"),
        ("largest_swing", 1): ("engine", other.name, 5 * NODES, "adaptive"),
    }


def test_a_later_pass_by_the_engine_takes_the_place_of_lichess(ledger: Ledger) -> None:
    with Analyst(ledger.api, [ACCURACY]) as analyst:
        claim = analyst.claim("game0001")
        analyst.client.post_results(claim.id, analyst.results(claim, **OF_LICHESS))
    with Analyst(ledger.api, [ACCURACY, SWING]) as later:
        later.finish(later.claim("game0001"))
    details = ledger.api.reader.get("/v1/games/game0001").json()["details"]
    assert (details["source"], details["nodes"]) == ("engine", NODES)


def test_a_checkmate_is_shown_though_nobody_searched_it(ledger: Ledger) -> None:
    ledger.store(1, [make_game(3, moves="f3 e5 g4 Qh4#", status="mate", winner="black")])
    with Analyst(ledger.api) as analyst:
        claim = analyst.claim("game0003")
        analyst.client.post_results(
            claim.id, analyst.results(claim, position_nodes=[NODES, NODES, NODES, NODES, 0])
        )
    last = ledger.api.reader.get("/v1/games/game0003").json()["moves"][-1]
    assert (last["score"], last["nodes"], last["best_line"]) == ({"cp": None, "mate": 0}, 0, [])
