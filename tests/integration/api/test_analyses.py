"""Is every game analysed by one worker at a time, in order, and visibly given up in the end?"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.contract.analyses import AnalysisClaim, AnalysisHandback, AnalysisState, LeaseRenewal, PluginId
from tests.integration.api.driver import (
    ACCURACY,
    NODES,
    SWING,
    Analyst,
    Ledger,
    evaluation,
    make_game,
    record_of,
)
from tests.integration.conftest import Api
from workers.api_client import NotClaimable, NotFound, StaleFence


@pytest.fixture
def ledger(api: Api) -> Ledger:
    return Ledger(api).track()


@pytest.fixture
def analyst(api: Api) -> Iterator[Analyst]:
    with Analyst(api) as one:
        yield one


@pytest.fixture
def other(api: Api) -> Iterator[Analyst]:
    with Analyst(api, name="other") as one:
        yield one


def _expire_leases(api: Api) -> None:
    api.execute(
        "UPDATE game_analyses SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL"
    )


def _end_waits(api: Api) -> None:
    api.execute("UPDATE game_analyses SET not_before = NULL")


def _listed(api: Api, state: str) -> list[dict[str, Any]]:
    items = api.reader.get("/v1/analyses", params={"state": state}).json()["items"]
    assert isinstance(items, list)
    return items


def test_the_newest_games_wait_in_front_and_requested_ones_before_them(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(number) for number in (2, 4, 1, 3)])
    assert analyst.pending() == ["game0004", "game0003", "game0002", "game0001"]
    answer = api.writer.post("/v1/games/game0002/analysis")
    assert (answer.status_code, answer.json()) == (202, {"state": "pending"})
    assert analyst.pending(2) == ["game0002", "game0004"]


def test_the_backlog_counts_what_may_still_get_a_result(api: Api, ledger: Ledger, analyst: Analyst) -> None:
    assert analyst.client.count_backlog(analyst.plugins) == 0
    ledger.store(1, [*(make_game(number) for number in range(5)), make_game(5, variant="atomic")])
    assert analyst.client.count_backlog(analyst.plugins) == 5
    analyst.finish(analyst.claim("game0001"))
    analyst.fail(analyst.claim("game0002"))
    analyst.claim("game0003")
    assert analyst.client.count_backlog(analyst.plugins) == 4
    assert analyst.client.count_backlog([]) == 4
    assert analyst.client.count_backlog([*analyst.plugins, SWING]) == 5
    api.execute("UPDATE game_analyses SET state = 'failed' WHERE state = 'pending'")
    assert analyst.client.count_backlog(analyst.plugins) == 1


def test_unfinished_and_unsupported_games_do_not_wait(api: Api, ledger: Ledger, analyst: Analyst) -> None:
    unfinished = make_game(1, status="started")
    del unfinished["winner"]
    ledger.store(1, [unfinished, make_game(2, variant="atomic"), make_game(3, variant="duck")])
    assert analyst.pending() == []
    assert {item["game"] for item in _listed(api, "unsupported")} == {"game0002", "game0003"}
    assert api.reader.get("/v1/games/game0001").json()["analysis"] is None
    with pytest.raises(NotFound):
        analyst.claim("game0001")
    with pytest.raises(NotClaimable):
        analyst.claim("game0002")
    assert api.writer.post("/v1/games/game0001/analysis").status_code == 404


@pytest.mark.parametrize("variant", ["standard", "chess960", "fromPosition"])
def test_a_claim_carries_all_that_an_analysis_needs(ledger: Ledger, analyst: Analyst, variant: str) -> None:
    fen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
    castling = {"eval": 1, "best": "e8h8", "variation": "O-O"}
    analysis = [{"eval": 1}, {"eval": 1}, {"eval": 1}, castling]
    game = make_game(1, variant=variant, initialFen=fen, clocks=[100, 99, 98, 97], analysis=analysis)
    ledger.store(1, [game])
    claim = analyst.claim("game0001")
    assert (claim.id, claim.attempt, claim.lease_seconds) == ("game0001", 1, 120)
    assert (claim.variant, claim.initial_fen, claim.status, claim.winner) == (variant, fen, "resign", "white")
    assert claim.uci == ["e2e4", "e7e5", "g1f3", "b8c6"]
    assert claim.clocks_cs == [100, 99, 98, 97]
    assert claim.lichess_evaluations is not None
    assert [item.score and item.score.cp for item in claim.lichess_evaluations] == [1] * 4
    assert claim.lichess_evaluations[3].best == ("e8h8" if variant == "chess960" else "e8g8")
    shown = ledger.api.reader.get("/v1/games/game0001").json()["moves"]
    assert shown[3]["lichess"]["best"] == claim.lichess_evaluations[3].best
    assert claim.plugins == [ACCURACY]
    assert claim.evaluations == []


def test_a_leased_game_is_nobody_elses(ledger: Ledger, analyst: Analyst, other: Analyst) -> None:
    ledger.store(1, [make_game(1)])
    analyst.claim("game0001")
    assert analyst.pending() == []
    with pytest.raises(NotClaimable, match="leased to worker"):
        other.claim("game0001")


def test_a_worker_that_did_not_hear_of_its_lease_gets_it_again(
    api: Api, ledger: Ledger, analyst: Analyst, other: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    api.execute("UPDATE game_analyses SET attempts = 2")  # the last one allowed
    lost, heard = analyst.claim("game0001"), analyst.claim("game0001")
    assert (lost.attempt, heard.attempt) == (3, 3)
    assert heard.fence > lost.fence
    assert heard.model_dump(exclude={"fence"}) == lost.model_dump(exclude={"fence"})
    with pytest.raises(NotClaimable, match="leased to worker"):
        other.claim("game0001")
    with pytest.raises(StaleFence):
        analyst.finish(lost)
    assert analyst.finish(heard).state is AnalysisState.DONE


@pytest.mark.smoke
def test_an_expired_lease_is_claimed_again_with_a_higher_fence(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    first = analyst.claim("game0001")
    _expire_leases(api)
    assert analyst.pending() == ["game0001"]
    second = analyst.claim("game0001")
    assert second.fence > first.fence
    assert second.attempt == 2
    for report in (
        lambda: analyst.finish(first),
        lambda: analyst.fail(first),
        lambda: analyst.client.renew_lease(first.id, LeaseRenewal(fence=first.fence)),
        lambda: analyst.client.hand_back(first.id, AnalysisHandback(fence=first.fence)),
    ):
        with pytest.raises(StaleFence):
            report()
    assert analyst.finish(second).state is AnalysisState.DONE


def test_a_renewed_lease_lasts(api: Api, ledger: Ledger, analyst: Analyst, other: Analyst) -> None:
    ledger.store(1, [make_game(1)])
    claim = analyst.claim("game0001")
    _expire_leases(api)
    analyst.client.renew_lease(claim.id, LeaseRenewal(fence=claim.fence))
    assert analyst.pending() == []
    with pytest.raises(NotClaimable):
        other.claim("game0001")


def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_game(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    claim = analyst.claim("game0001")
    _expire_leases(api)
    assert analyst.finish(claim).state is AnalysisState.DONE


def test_a_game_that_is_handed_back_waits_again_without_a_counted_attempt(
    ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    for _ in range(5):
        claim = analyst.claim("game0001")
        assert claim.attempt == 1
        analyst.client.hand_back(claim.id, AnalysisHandback(fence=claim.fence))
        assert analyst.pending() == ["game0001"]


def test_each_failure_waits_twice_as_long_and_the_third_is_the_last(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    for seconds in (60, 120):
        assert analyst.fail(analyst.claim("game0001")).state is AnalysisState.PENDING
        wait = api.value("SELECT extract(epoch FROM not_before - now()) FROM game_analyses")
        assert seconds / 2 < wait <= seconds
        assert analyst.pending() == []
        with pytest.raises(NotClaimable, match="waits until"):
            analyst.claim("game0001")
        _end_waits(api)
    assert analyst.fail(analyst.claim("game0001")).state is AnalysisState.FAILED
    (failed,) = _listed(api, "failed")
    assert (failed["game"], failed["attempts"], failed["error_code"], failed["error"]) == (
        *("game0001", 3, "engine_died", "it died"),
    )
    assert analyst.pending() == []


def test_no_wait_outgrows_the_calendar_however_many_attempts_there_are(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    api.set_policy(analysis_attempts=100)
    ledger.store(1, [make_game(1)])
    api.execute("UPDATE game_analyses SET attempts = 98")
    assert analyst.fail(analyst.claim("game0001")).state is AnalysisState.PENDING
    wait = api.value("SELECT extract(epoch FROM not_before - now()) FROM game_analyses")
    assert 5 * 3_600 < wait <= 6 * 3_600


def test_a_permanent_failure_is_the_last_one(api: Api, ledger: Ledger, analyst: Analyst) -> None:
    ledger.store(1, [make_game(1)])
    assert analyst.fail(analyst.claim("game0001"), permanent=True).state is AnalysisState.FAILED
    details = api.reader.get("/v1/games/game0001").json()["details"]
    assert (details["state"], details["error_code"]) == ("failed", "engine_died")


def test_a_game_whose_workers_vanish_is_failed_after_as_many_attempts(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1), make_game(2)])
    for _ in range(3):
        analyst.claim("game0001")
        _expire_leases(api)
    with pytest.raises(NotClaimable, match="no attempts left"):
        analyst.claim("game0001")
    assert analyst.pending() == ["game0002"]
    (failed,) = _listed(api, "failed")
    assert (failed["game"], failed["error_code"]) == ("game0001", "worker_lost")


@pytest.fixture
def given_up(api: Api, ledger: Ledger, analyst: Analyst) -> AnalysisClaim:
    """Return the last lease on a game that was given up for its worker's silence, and who did not vanish."""
    ledger.store(1, [make_game(1)])
    for _ in range(3):
        claim = analyst.claim("game0001")
        _expire_leases(api)
    assert analyst.pending() == []
    assert [item["error_code"] for item in _listed(api, "failed")] == ["worker_lost"]
    return claim


def test_a_worker_that_was_only_silent_may_report_results(
    api: Api, analyst: Analyst, given_up: AnalysisClaim
) -> None:
    assert analyst.finish(given_up).state is AnalysisState.DONE
    game = api.reader.get("/v1/games/game0001").json()
    assert (game["details"]["error_code"], game["details"]["error"]) == (None, None)
    assert [item["plugin"] for item in game["results"]] == ["accuracy"]


def test_a_worker_that_was_only_silent_may_report_a_failure(
    api: Api, analyst: Analyst, given_up: AnalysisClaim
) -> None:
    assert analyst.fail(given_up).state is AnalysisState.FAILED
    assert [item["error_code"] for item in _listed(api, "failed")] == ["engine_died"]


def test_a_worker_that_was_only_silent_may_go_on(api: Api, analyst: Analyst, given_up: AnalysisClaim) -> None:
    analyst.client.renew_lease(given_up.id, LeaseRenewal(fence=given_up.fence))
    assert [item["error_code"] for item in _listed(api, "running")] == [None]
    assert analyst.pending() == []
    assert analyst.finish(given_up).state is AnalysisState.DONE


def test_a_worker_that_was_only_silent_may_hand_the_game_back(
    api: Api, analyst: Analyst, given_up: AnalysisClaim
) -> None:
    analyst.client.hand_back(given_up.id, AnalysisHandback(fence=given_up.fence))
    assert analyst.pending() == ["game0001"]
    assert [(item["attempts"], item["error_code"]) for item in _listed(api, "pending")] == [(2, None)]


def test_a_silent_worker_has_lost_the_game_once_it_is_tried_again(
    api: Api, analyst: Analyst, given_up: AnalysisClaim
) -> None:
    assert api.writer.post("/v1/analyses/retry", json={}).json() == {"retried": 1}
    assert analyst.finish(given_up).state is AnalysisState.PENDING
    assert analyst.claim("game0001").attempt == 1
    with pytest.raises(StaleFence):
        analyst.finish(given_up)


@pytest.mark.parametrize("by", ["retry_all", "retry_named", "request"])
def test_a_failed_game_can_be_tried_again_with_fresh_attempts(
    api: Api, ledger: Ledger, analyst: Analyst, by: str
) -> None:
    ledger.store(1, [make_game(1), make_game(2)])
    analyst.fail(analyst.claim("game0001"), permanent=True)
    if by == "request":
        assert api.writer.post("/v1/games/game0001/analysis").json() == {"state": "pending"}
    else:
        games = None if by == "retry_all" else ["game0001", "game0002", "nothere0"]
        assert api.writer.post("/v1/analyses/retry", json={"games": games}).json() == {"retried": 1}
    assert analyst.pending() == ["game0001", "game0002"]
    claim = analyst.claim("game0001")
    assert claim.attempt == 1
    assert analyst.finish(claim).state is AnalysisState.DONE
    assert _listed(api, "failed") == []


def test_reports_may_be_repeated_and_leave_the_same_bytes(api: Api, ledger: Ledger, analyst: Analyst) -> None:
    ledger.store(1, [make_game(1), make_game(2)])
    claim = analyst.claim("game0001")
    keys = record_of(make_game(1)).moves.position_keys or []
    found = [evaluation(key) for key in keys]
    tables = ("plugin_results", "evaluations", "game_analyses", "engines")

    def rows() -> list[list[tuple[Any, ...]]]:
        return [api.rows(f"TABLE {table}") for table in tables]

    assert analyst.finish(claim, found).state is AnalysisState.DONE
    before = rows()
    assert analyst.finish(claim, found).state is AnalysisState.DONE
    assert rows() == before
    failed = analyst.claim("game0002")
    assert analyst.fail(failed) == analyst.fail(failed)
    assert api.value("SELECT attempts FROM game_analyses WHERE state = 'pending'") == 1


def test_results_are_shown_with_the_game(api: Api, ledger: Ledger, analyst: Analyst) -> None:
    ledger.store(1, [make_game(1)])
    keys = record_of(make_game(1)).moves.position_keys or []
    clocks = [0, 0, 0, 1, 2]
    analyst.finish(
        analyst.claim("game0001"),
        [evaluation(key, 10 + ply, clock) for ply, (key, clock) in enumerate(zip(keys, clocks, strict=True))],
    )
    game = api.reader.get("/v1/games/game0001").json()
    assert game["analysis"] == game["details"]["state"] == "done"
    assert game["details"]["nodes"] == NODES
    assert game["details"]["engine"]["name"] == "Stockfish 17"
    assert game["initial_score"]["cp"] == 10
    assert [move["score"]["cp"] for move in game["moves"]] == [11, 12, 13, 14]
    assert game["moves"][0]["best_line"] == ["e2e4", "e7e5"]
    (result,) = game["results"]
    assert (result["plugin"], result["version"], result["error"]) == ("accuracy", 1, None)
    assert result["result"] == {"version": 1, "of": "game0001"}


def test_evaluations_are_known_to_every_game_with_the_position(ledger: Ledger, analyst: Analyst) -> None:
    ledger.store(1, [make_game(1), make_game(2, moves="e4 c5")])
    keys = record_of(make_game(1)).moves.position_keys or []
    stored = [evaluation(key) for key in keys]
    analyst.finish(analyst.claim("game0001"), stored)
    known = analyst.claim("game0002").evaluations
    assert sorted(item.position_key for item in known) == sorted(keys[:2])
    assert all(item in stored for item in known)


def test_a_plugin_that_fails_costs_an_attempt_and_the_others_results_stay(api: Api, ledger: Ledger) -> None:
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        ledger.store(1, [make_game(1)])
        claim = analyst.claim("game0001")
        failing = analyst.results(claim, errors={"accuracy": "ZeroDivisionError"})
        assert analyst.client.post_results(claim.id, failing).state is AnalysisState.PENDING
        _end_waits(api)
        claim = analyst.claim("game0001")
        assert claim.plugins == [ACCURACY]
        assert analyst.finish(claim).state is AnalysisState.DONE
    results = api.reader.get("/v1/games/game0001").json()["results"]
    assert [(item["plugin"], item["error"]) for item in results] == [
        ("accuracy", None),
        ("largest_swing", None),
    ]


def test_a_plugin_that_always_fails_is_visible_in_the_end(api: Api, ledger: Ledger) -> None:
    with Analyst(api, [ACCURACY, SWING]) as analyst:
        ledger.store(1, [make_game(1)])
        for _ in range(3):
            claim = analyst.claim("game0001")
            analyst.client.post_results(claim.id, analyst.results(claim, errors={"accuracy": "boom"}))
            _end_waits(api)
    (failed,) = _listed(api, "failed")
    assert (failed["error_code"], failed["error"]) == ("plugin_failed", "accuracy: boom")
    results = {
        item["plugin"]: item["error"] for item in api.reader.get("/v1/games/game0001").json()["results"]
    }
    assert results == {"accuracy": "boom", "largest_swing": None}


def test_a_new_version_of_a_plugin_makes_done_games_wait_and_needs_no_search(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1), make_game(2)])
    keys = record_of(make_game(1)).moves.position_keys or []
    for game in analyst.pending():
        analyst.finish(analyst.claim(game), [evaluation(key) for key in keys])
    assert analyst.pending() == []
    with pytest.raises(NotClaimable, match="no result is lacking"):
        analyst.claim("game0001")
    newer = PluginId(name="accuracy", version=2)
    with Analyst(api, [newer, SWING]) as upgraded:
        assert upgraded.pending() == ["game0002", "game0001"]
        claim = upgraded.claim("game0001")
        assert claim.plugins == [newer, SWING]
        assert claim.attempt == 1
        assert {item.position_key for item in claim.evaluations} == set(keys)
        upgraded.finish(claim)
        assert upgraded.pending() == ["game0002"]
    versions = [item["version"] for item in api.reader.get("/v1/games/game0001").json()["results"]]
    assert versions == [1, 2, 1]


def test_other_moves_make_an_analysis_void_even_while_it_runs(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1), make_game(2)])
    analyst.finish(analyst.claim("game0001"))
    running = analyst.claim("game0002")
    ledger.store(2, [make_game(1, moves="d4 d5"), make_game(2, moves="d4 d5")])
    assert analyst.pending() == ["game0002", "game0001"]
    shown = api.reader.get("/v1/games/game0001").json()
    assert shown["results"] == []
    assert (shown["details"]["engine"], shown["details"]["source"], shown["details"]["nodes"]) == (None,) * 3
    with pytest.raises(StaleFence):
        analyst.finish(running)
    assert analyst.claim("game0002").uci == ["d2d4", "d7d5"]


def test_another_initial_position_makes_an_analysis_void(ledger: Ledger, analyst: Analyst) -> None:
    fens = [f"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w {castling} - 0 1" for castling in ("KQkq", "Kk")]
    ledger.store(1, [make_game(1, variant="fromPosition", initialFen=fens[0])])
    analyst.finish(analyst.claim("game0001"))
    ledger.store(2, [make_game(1, variant="fromPosition", initialFen=fens[1])])
    assert analyst.pending() == ["game0001"]


@pytest.mark.parametrize(
    "change",
    [
        {"analysis": [{"eval": 1}]},
        {"winner": "black"},
        {"status": "cheat"},
        {"clocks": [100, 99, 98]},
        {"division": {"middle": 2}},
        {"division": {"end": 3}},
        {"clock": {"initial": 180, "increment": 0, "totalTime": 180}},
        {"speed": "correspondence", "clock": None, "daysPerTurn": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_else_plugins_are_told_of_makes_the_results_void_and_keeps_what_was_searched(
    api: Api, ledger: Ledger, analyst: Analyst, change: dict[str, Any]
) -> None:
    keys = record_of(make_game(1)).moves.position_keys or []
    ledger.store(1, [before := make_game(1, clock={"initial": 60, "increment": 0, "totalTime": 60})])
    analyst.finish(
        analyst.claim("game0001"),
        [evaluation(key, 10, clock) for key, clock in zip(keys, [0, 0, 0, 1, 2], strict=True)],
    )
    changed = {name: value for name, value in {**before, **change}.items() if value is not None}
    ledger.store(2, [changed])
    assert analyst.pending() == ["game0001"]
    shown = api.reader.get("/v1/games/game0001").json()
    assert shown["results"] == []
    assert [move["score"]["cp"] for move in shown["moves"]] == [10] * 4
    claim = analyst.claim("game0001")
    assert (claim.attempt, claim.plugins) == (1, analyst.plugins)
    assert {item.position_key for item in claim.evaluations} == set(keys)
    analyst.finish(claim)
    for line in range(2, 5):  # the overlap of two runs shows it again and again
        ledger.store(3, [changed], line)
    assert analyst.pending() == []


def test_a_change_that_no_plugin_is_told_of_leaves_the_analysis_alone(
    ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [game := make_game(1)])
    analyst.finish(analyst.claim("game0001"))
    players = {**game["players"], "black": {"user": {"name": "Bob", "id": "bob"}, "rating": 1481}}
    assert ledger.store(2, [make_game(1, players=players, tournament="abcdefgh")]).updated == 1
    assert analyst.pending() == []


def test_a_request_for_a_game_that_is_done_changes_nothing(
    api: Api, ledger: Ledger, analyst: Analyst
) -> None:
    ledger.store(1, [make_game(1)])
    analyst.finish(analyst.claim("game0001"))
    assert api.writer.post("/v1/games/game0001/analysis").json() == {"state": "done"}
    assert api.writer.post("/v1/games/nothere0/analysis").status_code == 404


def test_a_game_without_moves_can_be_done(ledger: Ledger, analyst: Analyst) -> None:
    ledger.store(1, [make_game(1, moves="", status="noStart")])
    claim = analyst.claim("game0001")
    assert claim.uci == []
    assert analyst.finish(claim).state is AnalysisState.DONE


def test_workers_that_claim_at_the_same_time_never_get_the_same_game(api: Api, ledger: Ledger) -> None:
    numbers = range(12)
    ledger.store(1, [make_game(number) for number in numbers])
    start = threading.Barrier(6)

    def work(name: str) -> list[tuple[str, int]]:
        won = []
        with Analyst(api, name=name) as analyst:
            start.wait()
            for game in analyst.pending():
                try:
                    won.append((game, analyst.claim(game).fence))
                except NotClaimable:
                    continue
        return won

    with ThreadPoolExecutor(6) as threads:
        won = [
            claim for claims in threads.map(work, [f"w{number}" for number in range(6)]) for claim in claims
        ]
    assert sorted(won) == [(f"game{number:04d}", 1) for number in numbers]


def test_reports_on_games_that_share_positions_do_not_deadlock(api: Api, ledger: Ledger) -> None:
    ledger.store(1, [make_game(number) for number in range(8)])
    found = [evaluation(key) for key in range(-200, 200)]
    start = threading.Barrier(4)

    def work(first: int) -> None:
        with Analyst(api) as analyst:
            start.wait()
            for number in (first, first + 4):
                claim = analyst.claim(f"game{number:04d}")
                order = found if number % 2 else found[::-1]
                assert analyst.finish(claim, order).state is AnalysisState.DONE

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert api.value("SELECT count(*) FROM evaluations") == 400


def test_the_list_of_analyses_comes_in_pages_newest_first(api: Api, ledger: Ledger) -> None:
    ledger.store(1, [make_game(number, createdAt=1_704_067_200_000) for number in range(7)])
    games, after = [], None
    while True:
        params = {"state": "pending", "limit": "2", **({"after": after} if after else {})}
        page = api.reader.get("/v1/analyses", params=params).json()
        games += [item["game"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(games) == [f"game{number:04d}" for number in range(7)]
