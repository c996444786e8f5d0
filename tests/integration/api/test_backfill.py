"""Do done games get the results of a new plugin, without keeping others waiting or waiting for ever?"""

from collections.abc import Iterator

import pytest

from app.analyses import repository
from app.contract.analyses import AnalysisState, PluginId
from tests.integration.api.driver import ACCURACY, SWING, Analyst, Ledger, make_game
from tests.integration.conftest import Api
from workers.api_client import NotClaimable

NEWER = PluginId(name="accuracy", version=2)
OTHER = PluginId(name="conversion", version=1)


def names(*numbers: int) -> list[str]:
    return [f"game{number:04d}" for number in numbers]


@pytest.fixture
def analyst(api: Api) -> Iterator[Analyst]:
    """Analyse games 1 to 8 with both plugins; games 11 to 30 wait."""
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(number) for number in range(1, 9)])
    with Analyst(api, [ACCURACY, SWING]) as one:
        for game in one.pending():
            one.finish(one.claim(game))
        assert one.pending() == []
        ledger.store(1, [make_game(number) for number in range(11, 31)], 11)
        yield one


def test_done_games_have_a_share_while_others_wait(api: Api, analyst: Analyst) -> None:
    assert analyst.pending(8) == names(30, 29, 28, 27, 26, 25, 24, 23)
    with Analyst(api, [NEWER, SWING]) as upgraded:
        assert upgraded.pending(8) == names(30, 29, 28, 8, 27, 26, 25, 7)
        assert upgraded.pending(3) == names(30, 29, 28)
        assert upgraded.pending(24) == [
            *names(30, 29, 28, 8, 27, 26, 25, 7, 24, 23, 22, 6, 21, 20, 19, 5),
            *names(18, 17, 16, 4, 15, 14, 13, 3),
        ]


@pytest.mark.usefixtures("analyst")
def test_done_games_have_all_where_nothing_else_waits(api: Api) -> None:
    with Analyst(api, [NEWER, SWING]) as upgraded:
        for game in upgraded.pending():
            upgraded.finish(upgraded.claim(game))
        assert upgraded.pending() == []


@pytest.mark.usefixtures("analyst")
def test_a_game_that_a_user_asks_for_stays_in_front(api: Api) -> None:
    assert api.writer.post("/v1/games/game0011/analysis").is_success
    with Analyst(api, [NEWER, SWING]) as upgraded:
        assert upgraded.pending(4) == names(11, 30, 29, 8)


def test_a_plugin_that_is_deselected_and_selected_again_costs_no_work(api: Api, analyst: Analyst) -> None:
    with Analyst(api, [SWING]) as fewer:
        assert fewer.pending(28)[-1] == "game0011"  # the done ones lack nothing
        with pytest.raises(NotClaimable, match="no result is lacking"):
            fewer.claim("game0001")
    assert analyst.pending(28)[-1] == "game0011"


def test_what_lacks_nothing_is_looked_at_once(
    api: Api, analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.execute("UPDATE game_analyses SET plugin_set = NULL")  # as after the upgrade from a release before
    monkeypatch.setattr(repository, "_PAGE", 3)
    assert len(analyst.pending(28)) == 20
    marks = api.rows("SELECT DISTINCT plugin_set FROM game_analyses WHERE state = 'done'")
    assert len(marks) == 1
    assert marks[0][0] is not None


@pytest.mark.usefixtures("analyst")
def test_games_that_lack_something_are_found_behind_many_that_do_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Analyst(api, [NEWER, SWING]) as upgraded:
        for game in names(8, 7, 6, 5, 4):
            upgraded.finish(upgraded.claim(game))
        api.execute("UPDATE game_analyses SET plugin_set = NULL")
        monkeypatch.setattr(repository, "_PAGE", 2)
        monkeypatch.setattr(repository, "_PAGES", 1)
        # One page a request: each goes on behind what the ones before have marked.
        found = [[game for game in upgraded.pending(28) if game <= "game0008"] for _ in range(4)]
    assert found == [[], [], names(3), names(3, 2)]


@pytest.mark.usefixtures("analyst")
def test_a_backfill_that_fails_is_seen_and_keeps_the_other_results(api: Api) -> None:
    with Analyst(api, [NEWER, SWING]) as upgraded:
        claim = upgraded.claim("game0001")
        assert claim.plugins == [NEWER]
        upgraded.client.post_results(claim.id, upgraded.results(claim, errors={"accuracy": "boom"}))
    shown = api.reader.get("/v1/games/game0001").json()
    assert [(item["plugin"], item["version"], item["error"]) for item in shown["results"]] == [
        ("accuracy", 1, None),
        ("accuracy", 2, "boom"),
        ("largest_swing", 1, None),
    ]
    assert shown["analysis"] == "pending"


@pytest.fixture
def failed(api: Api) -> Iterator[Analyst]:
    """Let a plugin fail on games 1 and 2, and another find something in them, until they are given up."""
    Ledger(api).track().store(1, [make_game(1), make_game(2)])
    with Analyst(api, [ACCURACY, SWING]) as one:
        for game in one.pending():
            fail(api, one, game)
        yield one


def fail(api: Api, analyst: Analyst, game: str) -> None:
    """Let the plugin accuracy fail on a game until it is given up."""
    state = None
    while state is not AnalysisState.FAILED:
        claim = analyst.claim(game)
        state = analyst.client.post_results(
            claim.id, analyst.results(claim, errors={"accuracy": "boom"})
        ).state
        api.execute("UPDATE game_analyses SET not_before = NULL")


@pytest.mark.parametrize(
    "plugins",
    [[NEWER, SWING], [ACCURACY, SWING, OTHER], [NEWER, SWING, OTHER]],
    ids=["fixed", "beside", "both"],
)
def test_a_game_that_a_plugin_failed_on_waits_for_what_was_not_tried(
    api: Api, failed: Analyst, plugins: list[PluginId]
) -> None:
    assert failed.pending() == []
    with Analyst(api, plugins) as changed:
        assert changed.client.count_backlog(plugins) == 2
        assert changed.pending() == names(2, 1)
        claim = changed.claim("game0002")
        assert claim.attempt == 1
        assert SWING not in claim.plugins
        assert changed.finish(claim).state is AnalysisState.DONE
        assert changed.pending() == names(1)
        fail(api, changed, "game0001")
        assert changed.pending() == []
        assert changed.client.count_backlog(plugins) == 0
        with pytest.raises(NotClaimable, match="the game is failed"):
            changed.claim("game0001")


def test_a_game_that_a_plugin_failed_on_is_not_tried_again_by_the_same_plugins(
    api: Api, failed: Analyst
) -> None:
    with pytest.raises(NotClaimable, match="the game is failed"):
        failed.claim("game0001")
    with Analyst(api, [ACCURACY]) as fewer:
        assert fewer.pending() == []
        with pytest.raises(NotClaimable, match="the game is failed"):
            fewer.claim("game0001")
        assert fewer.client.count_backlog([ACCURACY]) == 0  # looked at once


@pytest.mark.usefixtures("failed")
def test_a_game_is_done_without_work_once_the_plugin_that_failed_is_gone(api: Api) -> None:
    with Analyst(api, [SWING]) as fewer:
        assert fewer.pending() == []
        assert fewer.client.count_backlog([SWING]) == 0
    details = api.reader.get("/v1/games/game0001").json()["details"]
    assert (details["state"], details["error_code"], details["error"]) == ("done", None, None)
    assert details["analysed_at"] is not None


def test_a_game_that_failed_for_another_reason_waits_for_its_owner(api: Api) -> None:
    Ledger(api).track().store(1, [make_game(1)])
    with Analyst(api, [ACCURACY]) as one, Analyst(api, [NEWER, SWING]) as upgraded:
        one.fail(one.claim("game0001"), permanent=True)
        assert upgraded.pending() == []
        assert upgraded.client.count_backlog(upgraded.plugins) == 0
        with pytest.raises(NotClaimable, match="the game is failed"):
            upgraded.claim("game0001")
