"""Do the same games leave the same rows, however often and in whatever order they are delivered?"""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.ingestion import Observation, StoreAnswer
from tests.integration.api.driver import FIRST_MS, Analyst, Game, Ledger, make_game, observe
from tests.integration.conftest import Api
from workers.api_client import ApiProblem, NotFound

_ANALYSIS: Final = [
    {"eval": 18},
    {"eval": 25, "best": "e7e6", "variation": "e6 d4"},
    {"eval": 30},
    {"mate": -3},
]

# Content: all but ids and times of the database's own making, and the fence, which counts leases and changes.
_DUMPS: Final = (
    """SELECT to_jsonb(games) - '{id,stored_at,updated_at,revisit_at,revisits}'::text[]
       FROM games ORDER BY source_id""",
    """SELECT source_id, to_jsonb(game_moves) - 'game_id'
       FROM game_moves JOIN games ON id = game_id ORDER BY 1""",
    """SELECT to_jsonb(seen_games) - '{player_id,updated_at}'::text[]
       FROM seen_games ORDER BY source_id""",
    """SELECT source_id, to_jsonb(game_analyses) - '{game_id,fence}'::text[]
       FROM game_analyses JOIN games ON id = game_id ORDER BY 1""",
)


def _dump(api: Api) -> list[list[tuple[Any, ...]]]:
    return [api.rows(query) for query in _DUMPS]


def _unfinished(number: int, moves: str = "e4 e5") -> Game:
    game = make_game(number, status="started", moves=moves)
    del game["winner"]
    return game


def _versions(number: int) -> list[Observation]:
    """Return what successive runs make of one game."""
    return [
        observe(_unfinished(number), 1, number),
        observe(make_game(number), 2, number, refused=True),
        observe(_unfinished(number, "e4 e5 Nf3"), 3, number),
        observe(make_game(number), 4, number),
        observe(make_game(number, analysis=_ANALYSIS), 5, number),
        observe(make_game(number), 6, number, refused=True),
        observe(make_game(number, analysis=_ANALYSIS), 7, number),
        observe(_unfinished(number), 8, number),
    ]


_OBSERVATIONS: Final = [observation for number in (1, 2) for observation in _versions(number)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_any_repetition_of_observations_leaves_the_same_rows(
    api: Api, data: st.DataObject
) -> None:
    delivered = data.draw(st.lists(st.sampled_from(range(len(_OBSERVATIONS))), min_size=1, max_size=20))
    batch = data.draw(st.integers(1, 5))
    ledger = Ledger(api).track()

    def rows_after(order: Sequence[int], size: int) -> list[list[tuple[Any, ...]]]:
        api.execute("DELETE FROM games")
        api.execute("DELETE FROM seen_games")
        for start in range(0, len(order), size):
            ledger.report(_OBSERVATIONS[index] for index in order[start : start + size])
        return _dump(api)

    assert rows_after(delivered, batch) == rows_after(sorted(set(delivered)), 1)


def test_storing_again_changes_nothing_not_even_a_time(api: Api) -> None:
    ledger = Ledger(api).track()
    games = [make_game(1), make_game(2, variant="atomic", moves="e4 e5"), _unfinished(3)]
    ledger.store(1, games)
    before = [api.rows(f"TABLE {table}") for table in ("games", "game_moves", "seen_games")]
    assert ledger.store(1, games) == StoreAnswer(stored=0, updated=0, unchanged=3, refused=0)
    after = [api.rows(f"TABLE {table}") for table in ("games", "game_moves", "seen_games")]
    assert before == after


@pytest.mark.smoke
def test_the_answer_counts_what_became_of_each(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [_unfinished(1), make_game(2)])
    answer = ledger.report(
        [
            observe(make_game(1), 2, 1),
            observe(make_game(2), 2, 2),
            observe(make_game(3), 2, 3),
            observe(make_game(4), 2, 4, refused=True),
        ]
    )
    assert answer == StoreAnswer(stored=1, updated=1, unchanged=1, refused=1)


def test_an_older_observation_never_overwrites_a_newer_one(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(5, [make_game(1, rated=False)])
    assert ledger.store(4, [make_game(1, rated=True)]).unchanged == 1
    assert api.reader.get("/v1/games/game0001").json()["rated"] is False


def test_within_a_run_the_later_line_wins(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1, rated=False)], first_line=9)
    ledger.store(1, [make_game(1, rated=True)], first_line=8)
    assert api.reader.get("/v1/games/game0001").json()["rated"] is False


def test_a_finished_game_never_becomes_unfinished_again(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1)])
    ledger.store(2, [_unfinished(1)])
    assert api.reader.get("/v1/games/game0001").json()["status"] == "resign"


def test_an_analysis_that_lichess_adds_later_is_stored(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1)])
    ledger.store(2, [make_game(1, analysis=_ANALYSIS)])
    moves = api.reader.get("/v1/games/game0001").json()["moves"]
    assert [move["lichess"]["score"] for move in moves] == [
        {"cp": 18, "mate": None},
        {"cp": 25, "mate": None},
        {"cp": 30, "mate": None},
        {"cp": None, "mate": -3},
    ]
    assert moves[1]["lichess"]["best"] == "e7e6"


def _opening(api: Api) -> dict[str, Any] | None:
    opening: dict[str, Any] | None = api.reader.get("/v1/games/game0001").json()["opening"]
    return opening


def test_lichess_s_name_of_an_opening_outlasts_an_observation_without_one(api: Api) -> None:
    ledger = Ledger(api).track()
    by_us = {"eco": "C20", "name": "King's Pawn Game", "ply": 2, "source": "scoresheet"}
    by_lichess = {"eco": "C40", "name": "King's Knight", "ply": 3}
    ledger.store(1, [_unfinished(1)])
    assert _opening(api) == by_us
    ledger.store(2, [make_game(1, opening=by_lichess)])
    assert _opening(api) == {**by_lichess, "source": "lichess"}
    ledger.store(3, [make_game(1, rated=False)])
    assert _opening(api) == {**by_lichess, "source": "lichess"}
    ledger.store(4, [make_game(1, opening={**by_lichess, "ply": 2})])
    assert _opening(api) == {**by_lichess, "ply": 2, "source": "lichess"}


def test_our_name_of_an_opening_follows_the_moves(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [_unfinished(1)])
    ledger.store(2, [make_game(1)])
    found = _opening(api)
    assert found is not None
    assert (found["ply"], found["source"]) == (4, "scoresheet")
    ledger.store(3, [make_game(1, variant="atomic")])
    assert _opening(api) is None


def test_a_name_that_is_new_voids_nothing(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1)])
    # As the release before stored it.
    api.execute(
        "UPDATE games SET eco = NULL, opening_name = NULL, opening_ply = NULL, opening_is_ours = false"
    )
    with Analyst(api) as analyst:
        analyst.finish(analyst.claim("game0001"))
    tables = ("plugin_results", "game_analyses", "game_moves")
    before = [api.rows(f"TABLE {table}") for table in tables]
    updated_at = api.value("SELECT updated_at FROM games")
    assert ledger.store(2, [make_game(1)]).unchanged == 1
    assert _opening(api) is not None
    assert [api.rows(f"TABLE {table}") for table in tables] == before
    assert api.value("SELECT updated_at FROM games") == updated_at


def test_what_was_refused_is_stored_once_it_can_be(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.refuse(1, make_game(1))
    ledger.store(1, [make_game(1)])
    assert ledger.manifest() == {"game0001": "stored"}
    assert api.rows("SELECT refusal_code, raw FROM seen_games") == [(None, None)]
    ledger.refuse(2, make_game(1))
    assert ledger.manifest() == {"game0001": "stored"}


def test_a_game_of_two_tracked_players_is_one_row_in_both_manifests(api: Api) -> None:
    alice, bob = Ledger(api, "alice").track(), Ledger(api, "bob").track()
    alice.store(1, [make_game(1)])
    assert bob.store(2, [make_game(1)]).unchanged == 1
    assert alice.manifest() == bob.manifest() == {"game0001": "stored"}
    assert api.value("SELECT count(*) FROM games") == 1


def test_an_unknown_variant_status_and_field_are_stored_and_flagged(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(1, variant="duck", status="eloped", newField={"a": [1, None]})])
    game = api.reader.get("/v1/games/game0001").json()
    assert game["variant"] == "duck"
    assert game["status"] == "eloped"
    assert game["flags"] == ["unknown_field:newField", "unknown_status", "unknown_variant"]
    assert game["extra"] == {"newField": {"a": [1, None]}}
    assert game["analysis"] == "unsupported"


def test_nothing_of_a_batch_is_stored_when_one_of_it_makes_no_sense(api: Api) -> None:
    ledger = Ledger(api).track()
    good, other = observe(make_game(1), 1, 1), observe(make_game(2), 1, 2)
    for bad in (
        other.model_copy(update={"game": None}),
        other.model_copy(update={"id": "another0"}),
        other.model_copy(update={"refusal": observe(make_game(2), 1, 2, refused=True).refusal}),
    ):
        with pytest.raises(ApiProblem) as refused:
            ledger.report([good, bad])
        assert refused.value.status == 422
    assert ledger.manifest() == {}
    assert api.value("SELECT count(*) FROM games") == 0


@pytest.mark.parametrize("refused", [False, True])
def test_games_of_a_player_who_was_never_tracked_are_not_taken(api: Api, refused: bool) -> None:
    with pytest.raises(NotFound):
        Ledger(api, "nobody").report([observe(make_game(1), 1, 1, refused=refused, player="nobody")])
    assert api.value("SELECT count(*) FROM games") == 0


def test_the_times_of_a_game_are_kept_to_the_millisecond(api: Api) -> None:
    Ledger(api).track().store(1, [make_game(1, createdAt=FIRST_MS + 1, lastMoveAt=FIRST_MS + 999)])
    game = api.reader.get("/v1/games/game0001").json()
    assert game["created_at"] == "2024-01-01T00:00:00.001000Z"
    assert game["last_move_at"] == "2024-01-01T00:00:00.999000Z"


def test_a_game_that_can_not_be_replayed_is_stored_and_shown_with_the_reason(api: Api) -> None:
    ledger = Ledger(api).track()
    cut = make_game(
        1,
        moves="e4 e5 Nf3 b6 g3 Ba6 Bg2 Nf6 O-O Nc6",
        clocks=[30_000] * 10,
        analysis=[{"eval": 20 + ply} for ply in range(10)],
    )
    unread = make_game(2, variant="fromPosition", initialFen="blah", winner="black")
    exploded = make_game(3, variant="atomic", moves="Nf3 e6 Ne5 a6 Nxf7 Ra7")
    ledger.stream([cut, unread, exploded])
    assert ledger.view().completeness.stored == 3

    shown = {game["id"]: api.reader.get(f"/v1/games/{game['id']}").json() for game in (cut, unread, exploded)}
    moves = shown["game0001"]["moves"]
    assert [move["san"] for move in moves] == cut["moves"].split()
    assert [move["uci"] for move in moves[7:]] == ["g8f6", None, None]
    assert [move["lichess"]["score"]["cp"] for move in moves] == [*range(20, 30)]
    assert {move["clock_cs"] for move in moves} == {30_000}
    assert {move["uci"] for move in shown["game0002"]["moves"]} == {None}
    reasons = {
        "game0001": ("unreplayable", "what follows ply 8 breaks the rules as Scoresheet knows them"),
        "game0002": (
            "unreplayable",
            "its initial position, or its first move, breaks the rules as Scoresheet knows them",
        ),
        "game0003": ("unsupported_variant", "Stockfish does not play atomic"),
    }
    for game_id, reason in reasons.items():
        details = shown[game_id]["details"]
        assert (details["state"], details["error_code"], details["error"]) == ("unsupported", *reason)
    listed = api.reader.get("/v1/analyses", params={"state": "unsupported"}).json()["items"]
    assert {item["game"]: (item["error_code"], item["error"]) for item in listed} == reasons
    flags = {item["id"]: item["flags"] for item in api.reader.get("/v1/games").json()["items"]}
    assert flags == {
        "game0001": ["unreplayable:8"],
        "game0002": ["unreplayable:0"],
        "game0003": ["unreplayable:5"],
    }

    summary = api.reader.get("/v1/players/alice/summary").json()
    assert summary["total"] == {"games": 3, "win": 2, "draw": 0, "loss": 1, "unknown": 0}
    assert summary["analyses"]["unsupported"] == 3
    with Analyst(api) as analyst:
        assert analyst.pending() == []
