"""Does each line become a game with all it holds, or a refusal that says why?"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.games import Color, GameRecord, JudgementCounts, Opening, OpeningSource
from app.contract.ingestion import Refusal
from app.contract.positions import Score
from tests.unit.workers.ingestion.games import CREATED_MS, make_game
from workers.ingestion import parsing
from workers.ingestion.lines import load_json


def parse(game: dict[str, Any]) -> GameRecord | Refusal:
    payload = json.dumps(game)
    return parsing.parse(load_json(payload), payload)


def stored(game: dict[str, Any]) -> GameRecord:
    record = parse(game)
    assert isinstance(record, GameRecord), record
    assert GameRecord.model_validate_json(record.model_dump_json()) == record
    return record


def refused(game: dict[str, Any]) -> Refusal:
    refusal = parse(game)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def test_a_game_is_stored_with_all_its_fields() -> None:
    game = stored(
        make_game(
            opening={"eco": "C44", "name": "King's Knight", "ply": 3},
            division={"middle": 20, "end": 40},
            clocks=[30_000, 30_000, 29_900, 29_800],
            analysis=[
                {"eval": 20},
                {
                    "mate": -3,
                    "best": "e7e6",
                    "variation": "e6 d4",
                    "judgment": {"name": "Blunder", "comment": "…"},
                },
                {},
            ],
            tournament="abcdefgh",
            daysPerTurn=2,
        )
    )
    assert game.created_at == datetime(2023, 11, 14, 22, 13, 20, 1_000, tzinfo=UTC)
    assert game.winner is Color.WHITE
    assert (game.white.user_id, game.white.rating, game.white.rating_diff) == ("alice", 1500, 5)
    assert (game.black.name, game.black.title) == ("Bob", "FM")
    assert game.origin == "pool"
    assert game.moves.uci == ["e2e4", "e7e5", "g1f3", "b8c6"]
    assert game.moves.clocks_cs == [30_000, 30_000, 29_900, 29_800]
    assert game.evaluations is not None
    assert [entry.score for entry in game.evaluations] == [Score(cp=20), Score(mate=-3), None]
    assert (game.evaluations[1].judgement, game.evaluations[1].best) == ("Blunder", "e7e6")
    assert game.opening == Opening(eco="C44", name="King's Knight", ply=3, source=OpeningSource.LICHESS)
    assert (game.middlegame_ply, game.endgame_ply, game.days_per_turn) == (20, 40, 2)
    assert (game.flags, game.extra) == ([], {})


def test_an_opening_that_lichess_did_not_name_is_named() -> None:
    by_us = Opening(
        eco="C44", name="King's Knight Opening: Normal Variation", ply=4, source=OpeningSource.SCORESHEET
    )
    assert stored(make_game()).opening == by_us
    unreadable = stored(make_game(opening={"eco": "C44"}))
    assert (unreadable.opening, unreadable.flags) == (by_us, ["odd_value:opening"])
    assert stored(make_game(moves="")).opening is None
    assert stored(make_game(variant="atomic")).opening is None


def test_anonymous_and_computer_players_are_what_they_are() -> None:
    game = stored(make_game(players={"white": {}, "black": {"aiLevel": 3}}, winner=None))
    assert game.white.user_id is None
    assert game.black.ai_level == 3
    assert game.flags == []


def test_newer_exports_name_a_tournament_in_an_object() -> None:
    arena = stored(make_game(arenaTour={"id": "winter17", "name": "Marathon"}))
    swiss = stored(make_game(swissTour={"id": "3WtSFh4o"}))
    assert (arena.tournament, arena.tournament_name) == ("winter17", "Marathon")
    assert swiss.swiss == "3WtSFh4o"
    assert arena.flags == swiss.flags == []
    assert arena.extra == swiss.extra == {}


def test_older_exports_give_a_tournament_s_id_alone() -> None:
    arena, swiss = stored(make_game(tournament="winter17")), stored(make_game(swiss="3WtSFh4o"))
    assert (arena.tournament, arena.tournament_name, swiss.swiss) == ("winter17", None, "3WtSFh4o")


@pytest.mark.parametrize(
    "by_phase",
    [
        {"phases": {"opening": 99, "middlegame": 87.5, "endgame": None}},
        {"phaseAccuracies": {"opening": 99}},
        {"openingAccuracy": 99, "endgameAccuracy": 12.5},
    ],
)
def test_accuracies_by_phase_are_data_whatever_they_are_called(by_phase: dict[str, Any]) -> None:
    game = make_game()
    counts = {"inaccuracy": 1, "mistake": 2, "blunder": 3, "acpl": 40, "accuracy": 90}
    game["players"]["white"]["analysis"] = counts | by_phase
    game["players"]["black"]["analysis"] = counts
    record = stored(game)
    assert record.flags == []
    assert record.white.analysis == JudgementCounts(**counts, by_phase=by_phase)
    assert record.black.analysis == JudgementCounts(**counts)
    assert record.white.model_dump(mode="json", exclude_defaults=True)["analysis"] == counts | {
        "by_phase": by_phase
    }


@pytest.mark.parametrize(
    "news",
    [
        True,
        2,
        101,
        -1,
        "99",
        [99],
        {"opening": "good"},
        {"opening": {"accuracy": 99}},
        {"opening": 1_000},
        None,
    ],
)
def test_what_is_no_accuracy_is_kept_and_flagged(news: Any) -> None:
    game = make_game()
    counts = {"inaccuracy": 1, "mistake": 2, "blunder": 3, "acpl": 40}
    game["players"]["white"]["analysis"] = {**counts, "news": news}
    record = stored(game)
    assert record.extra == {"players.white.analysis.news": news}
    assert record.flags == ["unknown_field:players.white.analysis.news"]
    assert record.white.analysis == JudgementCounts(**counts)


def test_too_many_accuracies_are_no_accuracies() -> None:
    game = make_game()
    counts = {"inaccuracy": 1, "mistake": 2, "blunder": 3, "acpl": 40}
    game["players"]["white"]["analysis"] = counts | {f"phase{number}": number for number in range(21)}
    record = stored(game)
    assert len(record.extra) == 21
    assert record.white.analysis == JudgementCounts(**counts)


def test_a_game_under_way_is_stored_as_unfinished() -> None:
    game = stored(make_game(status="started", winner=None, moves=""))
    assert not game.finished
    assert game.moves.san == []


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"variant": "fogOfWar", "moves": "e4 ??"}, "unknown_variant"),
        ({"status": "abducted"}, "unknown_status"),
        ({"speed": "glacial"}, "unknown_speed"),
    ],
)
def test_an_unknown_value_is_kept_and_flagged(changes: dict[str, Any], flag: str) -> None:
    game = stored(make_game(**changes))
    assert game.flags == [flag]
    assert next(iter(changes.values())) in (game.variant, game.status, game.speed)


def test_the_moves_of_an_unknown_variant_are_kept_as_san() -> None:
    game = stored(make_game(variant="fogOfWar", moves="e4 ??"))
    assert game.moves.san == ["e4", "??"]
    assert game.moves.uci is None
    assert game.moves.position_keys is None


# Black's king went with the pawn on f7.
EXPLODED = ["g1f3", "e7e6", "f3e5", "a7a6", "e5f7"]


@pytest.mark.parametrize(
    ("changes", "flag", "uci"),
    [
        ({"moves": "e4 e5 Ke5 Nf6"}, "unreplayable:2", ["e2e4", "e7e5"]),
        ({"moves": "e4 --"}, "unreplayable:1", ["e2e4"]),
        ({"moves": "O-O"}, "unreplayable:0", []),
        ({"variant": "atomic", "moves": "Nf3 e6 Ne5 a6 Nxf7 Ra7"}, "unreplayable:5", EXPLODED),
        ({"variant": "fromPosition", "initialFen": "blah"}, "unreplayable:0", None),
        ({"variant": "fromPosition", "initialFen": "blah", "moves": ""}, "unreplayable:0", None),
        ({"variant": "fromPosition"}, "unreplayable:0", None),
        ({"variant": "chess960"}, "unreplayable:0", None),
        ({"variant": "fromPosition", "initialFen": "4k3/8/8/8/8/8/8/P3K3 w - - 0 1"}, "unreplayable:0", None),
    ],
)
def test_a_game_that_can_not_be_replayed_is_stored_and_says_so(
    changes: dict[str, Any], flag: str, uci: list[str] | None
) -> None:
    san = changes.get("moves", "e4 e5 Nf3 Nc6").split()
    clocks = [30_000] * len(san)
    game = stored(make_game(clocks=clocks, analysis=[], **changes))
    assert game.flags == [flag]
    assert game.moves.san == san
    assert game.moves.uci == uci
    assert not game.moves.replayed
    assert (game.moves.position_keys is None) == (uci is None)
    assert (game.winner, game.white.user_id, game.moves.clocks_cs) == (Color.WHITE, "alice", clocks)
    assert game.evaluations == []


def test_unknown_fields_are_kept_at_every_level() -> None:
    game = make_game(novelty={"a": [1, None]})
    game["players"]["white"]["berserk"] = True
    game["players"]["white"]["user"]["mood"] = "good"
    game["clock"]["delay"] = 2
    game["arenaTour"] = {"id": "winter17", "name": "Marathon", "minutes": 57}
    game["swissTour"] = {"id": "3WtSFh4o", "name": "Fridays"}
    game["analysis"] = [{"eval": 1, "depth": 20}]
    record = stored(game)
    assert record.extra == {
        "novelty": {"a": [1, None]},
        "players.white.berserk": True,
        "players.white.user.mood": "good",
        "clock.delay": 2,
        "arenaTour.minutes": 57,
        "swissTour.name": "Fridays",
        "analysis": [{"eval": 1, "depth": 20}],
    }
    assert record.flags == sorted(f"unknown_field:{name}" for name in record.extra)
    assert record.evaluations is not None


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"winner": "grey"}, "winner"),
        ({"rated": "yes"}, "rated"),
        ({"clocks": [1, -5]}, "clocks"),
        ({"clocks": "soon"}, "clocks"),
        ({"clock": {"initial": "300"}}, "clock"),
        ({"opening": {"eco": "C44"}}, "opening"),
        ({"analysis": [{"eval": 10**30}]}, "analysis"),
        ({"analysis": [{"eval": 1, "mate": 2}]}, "analysis"),
        ({"analysis": ["nonsense"]}, "analysis"),
        ({"daysPerTurn": 10**30}, "daysPerTurn"),
        ({"lastMoveAt": 1_700_000_000}, "lastMoveAt"),
        ({"source": ["pool"]}, "source"),
        ({"players": {"white": {"rating": 10**30}, "black": {}}}, "players.white.rating"),
        ({"players": {"white": "Alice", "black": {}}}, "players.white"),
        ({"players": {"white": {"analysis": {"acpl": 3}}, "black": {}}}, "players.white.analysis"),
    ],
)
def test_an_odd_value_is_kept_aside_and_flagged_while_the_game_is_stored(
    changes: dict[str, Any], name: str
) -> None:
    game = stored(make_game(**changes))
    assert game.flags == [f"odd_value:{name}"]
    assert name in game.extra


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"lastMoveAt": CREATED_MS - 5_000}, "last_move_before_creation"),
        ({"players": None}, "missing_field:players"),
        ({"lastMoveAt": None}, "missing_field:lastMoveAt"),
        ({"clocks": [1, 2, 3, 4, 5, 6, 7]}, "clocks_differ_from_moves"),
        ({"analysis": [{"eval": 1}] * 5}, "analysis_longer_than_moves"),
        ({"source": "a\x00b"}, "replaced_characters"),
        ({"source": "a\ud800b"}, "replaced_characters"),
    ],
)
def test_a_contradiction_is_flagged_while_the_game_is_stored(changes: dict[str, Any], flag: str) -> None:
    game = stored(make_game(**changes))
    assert game.flags == [flag]
    assert game.origin in {"pool", "a\ufffdb"}


def test_characters_outside_the_basic_plane_are_no_lone_surrogates() -> None:
    game = stored(make_game(source="♞🐴"))
    assert (game.origin, game.flags) == ("♞🐴", [])


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"moves": ["e4"]}, "invalid_field", "moves"),
        ({"moves": "e4 " * 6_001}, "invalid_field", "moves"),
        ({"variant": None}, "invalid_field", "variant"),
        ({"status": 7}, "invalid_field", "status"),
        ({"createdAt": 1_700_000_000}, "invalid_field", "createdAt"),
        ({"createdAt": 10**30}, "invalid_field", "createdAt"),
        ({"variant": "fogOfWar", "moves": "x" * 3_000}, "invalid_field", "Moves san.0"),
    ],
)
def test_a_game_that_can_not_be_stored_is_refused_with_the_reason(
    changes: dict[str, Any], code: str, detail: str
) -> None:
    refusal = refused(make_game(**changes))
    assert refusal.code == code
    assert detail in refusal.detail
    assert "game0001" in refusal.raw


def test_a_fault_of_the_parser_is_a_refusal_that_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(parsing, "replay", broken)
    refusal = refused(make_game())
    assert refusal.code == "parser_error"
    assert "KeyError" in refusal.detail
    assert "in broken, line" in refusal.detail


def test_a_flood_of_unknown_fields_is_bounded() -> None:
    game = stored(make_game(**{f"field{number}": number for number in range(500)}))
    assert len(game.extra) == 80
    assert "too_many_odd_fields" in game.flags


def test_the_digest_is_that_of_the_content_alone() -> None:
    game = make_game()
    other_order = dict(reversed(game.items())) | {"fullId": "game0001SECR", "pgn": "1. e4"}
    assert parsing.digest(game) == parsing.digest(other_order)
    assert parsing.digest(game) != parsing.digest(make_game(status="mate"))


def test_the_secret_of_an_authenticated_export_is_nowhere_in_a_game() -> None:
    assert "SECR" not in stored(make_game(fullId="game0001SECR", pgn="SECR")).model_dump_json()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({*make_game(), "analysis", "clocks", "opening", "division", "arenaTour", "initialFen", "new"})


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_whatever_the_fields_hold_the_parser_neither_raises_nor_fails(changes: dict[str, Any]) -> None:
    game = make_game() | changes | {"id": "game0001"}
    payload = json.dumps(game)
    found = parsing.parse(load_json(payload), payload)
    if isinstance(found, Refusal):
        assert found.code != "parser_error", found
    else:
        assert GameRecord.model_validate_json(found.model_dump_json()) == found
