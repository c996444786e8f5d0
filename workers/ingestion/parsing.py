"""What game does a line of Lichess's export hold, or why can't it be stored?"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from pydantic import TypeAdapter, ValidationError

from app.contract.games import (
    KNOWN_SPEEDS,
    KNOWN_STATUSES,
    MAX_PLIES,
    UNREPLAYABLE,
    Clock,
    Color,
    GameRecord,
    JudgementCounts,
    LichessEvaluation,
    Moves,
    Opening,
    PlayerSide,
)
from app.contract.ingestion import Refusal
from app.contract.openings import name_opening
from app.contract.rules import KNOWN_VARIANTS
from workers.ingestion.fields import Fields, InvalidFieldError, moment
from workers.ingestion.lines import is_plausible_moment
from workers.ingestion.phase_accuracies import phase_accuracies
from workers.ingestion.replay import replay

_RAW_MAX: Final = 65_536

# What we store, and what we leave out knowingly: it repeats the rest, or decorates the page.
_GAME: Final = frozenset(
    {
        *(
            "id",
            "rated",
            "variant",
            "speed",
            "perf",
            "createdAt",
            "lastMoveAt",
            "status",
            "winner",
            "players",
        ),
        *("source", "initialFen", "opening", "clock", "daysPerTurn", "tournament", "swiss", "division"),
        *("moves", "clocks", "analysis"),
        *("fullId", "pgn", "lastFen", "arenaTour", "swissTour"),
    }
)
_PLAYER: Final = frozenset(
    {"user", "name", "rating", "ratingDiff", "provisional", "aiLevel", "team", "analysis"}
)
_USER: Final = frozenset({"id", "name", "title", "patron", "patronColor", "flair"})
_CLOCK: Final = frozenset({"initial", "increment", "totalTime"})
_COUNTS: Final = frozenset({"inaccuracy", "mistake", "blunder", "acpl", "accuracy"})
_OPENING: Final = frozenset({"eco", "name", "ply"})
_EVALUATION: Final = frozenset({"eval", "mate", "best", "variation", "judgment"})
_JUDGEMENT: Final = frozenset({"name", "comment"})

# Validated in one go: a call for each ply took a third of the time of a game.
_EVALUATIONS: Final = TypeAdapter(list[LichessEvaluation])

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MAYBE_UNSTORABLE: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_CLOCKS_SLACK: Final = 2
"""Lichess may give a clock more, or one less, than plies."""


def digest(game: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a game's canonical JSON, without its secret and its PGN."""
    told = {key: value for key, value in game.items() if key not in {"fullId", "pgn"}}
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def parse(game: Mapping[str, Any], payload: str) -> GameRecord | Refusal:
    """Return the game, or the reason why it can't be stored.

    `payload` is the JSON text that the game was read from. Raises MemoryError and SoftTimeLimitExceeded, and
    nothing else: they may be no fault of the game's.
    """
    try:
        return _record(game, payload)
    except InvalidFieldError as error:
        return refusal("invalid_field", str(error), payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return refusal(
            "invalid_field", f"{error.title} {'.'.join(map(str, first['loc']))}: {first['msg']}", payload
        )
    except (MemoryError, SoftTimeLimitExceeded):
        raise
    except Exception as error:  # noqa: BLE001  whatever the game holds, it must end as a visible refusal
        return refusal("parser_error", _where(error), payload)


def refusal(code: str, detail: str, payload: str) -> Refusal:
    """Return a refusal whose texts can be stored."""
    return Refusal(
        code=code,
        detail=_UNSTORABLE.sub("\ufffd", detail)[:500],
        raw=_UNSTORABLE.sub("\ufffd", payload)[:_RAW_MAX],
    )


def _where(error: Exception) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = "" if traceback is None else f" in {traceback.tb_frame.f_code.co_name}, line {traceback.tb_lineno}"
    return f"{type(error).__name__}: {error}{code}"


def _record(game: Mapping[str, Any], payload: str) -> GameRecord:
    told = digest(game)
    fields = Fields()
    if _MAYBE_UNSTORABLE.search(payload):
        game, changed = _storable(game)
        if changed:
            fields.flags.add("replaced_characters")
    fields.keep_unknown(game, _GAME)
    created_at, last_move_at = _moments(game, fields)
    variant = fields.required_text(game, "variant")
    status = fields.required_text(game, "status")
    speed = fields.text(game, "speed") or "unknown"
    _flag_news(fields, variant, status, speed)
    # Until June 2026 Lichess wrote tournament and swiss, since then arenaTour{id,name} and swissTour{id}.
    arena = fields.object(game, "arenaTour") or {}
    fields.keep_unknown(arena, {"id", "name"}, "arenaTour.")
    swiss = fields.object(game, "swissTour") or {}
    fields.keep_unknown(swiss, {"id"}, "swissTour.")
    players = fields.object(game, "players")
    if players is None:
        fields.flags.add("missing_field:players")
        players = {}
    fields.keep_unknown(players, {"white", "black"}, "players.")
    division = fields.object(game, "division") or {}
    fields.keep_unknown(division, {"middle", "end"}, "division.")
    moves = _moves(game, variant, fields)
    return GameRecord(
        id=game["id"],
        digest=told,
        rated=fields.flag(game, "rated"),
        variant=variant,
        speed=speed,
        perf=fields.text(game, "perf") or speed,
        created_at=created_at,
        last_move_at=last_move_at,
        status=status,
        winner=_winner(game, fields),
        white=_side(players, "white", fields),
        black=_side(players, "black", fields),
        origin=fields.text(game, "source"),
        initial_fen=fields.text(game, "initialFen"),
        opening=_opening(game, fields) or name_opening(variant, moves.san, moves.position_keys),
        clock=_clock(game, fields),
        days_per_turn=fields.number(game, "daysPerTurn", 0, 1_000),
        tournament=fields.text(game, "tournament") or fields.text(arena, "id", "arenaTour."),
        tournament_name=fields.text(arena, "name", "arenaTour."),
        swiss=fields.text(game, "swiss") or fields.text(swiss, "id", "swissTour."),
        middlegame_ply=fields.number(division, "middle", 0, 32_767, "division."),
        endgame_ply=fields.number(division, "end", 0, 32_767, "division."),
        moves=moves,
        evaluations=_evaluations(game, len(moves.san), fields),
        flags=sorted(fields.flags),
        extra=fields.extra,
    )


def _storable(game: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    changed = False

    def clean(value: Any) -> Any:
        nonlocal changed
        if isinstance(value, str):
            cleaned, count = _UNSTORABLE.subn("\ufffd", value)
            changed |= count > 0
            return cleaned
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, dict):
            return {clean(key): clean(item) for key, item in value.items()}
        return value

    return clean(dict(game)), changed


def _moments(game: Mapping[str, Any], fields: Fields) -> tuple[datetime, datetime]:
    created_ms, last_ms = game.get("createdAt"), game.get("lastMoveAt")
    if not is_plausible_moment(created_ms):
        raise InvalidFieldError("createdAt", "no moment in milliseconds")
    if not is_plausible_moment(last_ms):
        if last_ms is None:
            fields.flags.add("missing_field:lastMoveAt")
        else:
            fields.keep("odd_value", "lastMoveAt", last_ms)
        last_ms = created_ms
    if last_ms < created_ms:
        fields.flags.add("last_move_before_creation")
    return moment(created_ms), moment(last_ms)


def _flag_news(fields: Fields, variant: str, status: str, speed: str) -> None:
    if variant not in KNOWN_VARIANTS:
        fields.flags.add("unknown_variant")
    if status not in KNOWN_STATUSES:
        fields.flags.add("unknown_status")
    if speed not in KNOWN_SPEEDS:
        fields.flags.add("unknown_speed")


def _moves(game: Mapping[str, Any], variant: str, fields: Fields) -> Moves:
    text = game.get("moves", "")
    if not isinstance(text, str):
        raise InvalidFieldError("moves", "must be a text")
    san = text.split()
    if len(san) > MAX_PLIES:
        raise InvalidFieldError("moves", f"{len(san)} plies are more than {MAX_PLIES}")
    replayed = replay(variant, fields.text(game, "initialFen"), san)
    if replayed.odd_start:
        fields.flags.add("odd_initial_position")
    if variant in KNOWN_VARIANTS and (replayed.uci is None or len(replayed.uci) < len(san)):
        fields.flags.add(f"{UNREPLAYABLE}:{len(replayed.uci or [])}")
    return Moves(
        san=san,
        uci=replayed.uci,
        position_keys=replayed.position_keys,
        clocks_cs=_clocks(game, len(san), fields),
    )


def _clocks(game: Mapping[str, Any], plies: int, fields: Fields) -> list[int] | None:
    clocks = fields.array(game, "clocks", MAX_PLIES + 2)
    if clocks is None:
        return None
    if not all(type(value) is int and 0 <= value < 2**31 for value in clocks):
        fields.keep("odd_value", "clocks", clocks)
        return None
    if abs(len(clocks) - plies) > _CLOCKS_SLACK:
        fields.flags.add("clocks_differ_from_moves")
    return clocks


def _winner(game: Mapping[str, Any], fields: Fields) -> Color | None:
    value = game.get("winner")
    if value in ("white", "black"):
        return Color(value)
    if value is not None:
        fields.keep("odd_value", "winner", value)
    return None


def _side(players: Mapping[str, Any], color: str, fields: Fields) -> PlayerSide:
    prefix = f"players.{color}."
    side = fields.object(players, color, "players.") or {}
    if not side:
        return PlayerSide()
    fields.keep_unknown(side, _PLAYER, prefix)
    user = fields.object(side, "user", prefix) or {}
    fields.keep_unknown(user, _USER, prefix + "user.")
    return PlayerSide(
        user_id=fields.text(user, "id", prefix + "user."),
        name=fields.text(user, "name", prefix + "user.") or fields.text(side, "name", prefix),
        title=fields.text(user, "title", prefix + "user."),
        rating=fields.number(side, "rating", -10_000, 10_000, prefix),
        rating_diff=fields.number(side, "ratingDiff", -10_000, 10_000, prefix),
        provisional=fields.flag(side, "provisional", prefix),
        ai_level=fields.number(side, "aiLevel", 0, 100, prefix),
        team=fields.text(side, "team", prefix),
        analysis=_counts(side, prefix, fields),
    )


def _counts(side: Mapping[str, Any], prefix: str, fields: Fields) -> JudgementCounts | None:
    counts = fields.object(side, "analysis", prefix)
    if counts is None:
        return None
    by_phase = phase_accuracies(counts, _COUNTS)
    fields.keep_unknown(counts, _COUNTS | by_phase.keys(), prefix + "analysis.")
    try:
        return JudgementCounts(**{key: counts[key] for key in _COUNTS & counts.keys()}, by_phase=by_phase)
    except ValidationError:
        fields.keep("odd_value", prefix + "analysis", counts)
        return None


def _opening(game: Mapping[str, Any], fields: Fields) -> Opening | None:
    opening = fields.object(game, "opening")
    if opening is None:
        return None
    fields.keep_unknown(opening, _OPENING, "opening.")
    try:
        return Opening(**{key: opening[key] for key in _OPENING & opening.keys()})
    except ValidationError:
        fields.keep("odd_value", "opening", opening)
        return None


def _clock(game: Mapping[str, Any], fields: Fields) -> Clock | None:
    clock = fields.object(game, "clock")
    if clock is None:
        return None
    fields.keep_unknown(clock, _CLOCK, "clock.")
    try:
        return Clock(initial_seconds=clock["initial"], increment_seconds=clock["increment"])
    except (KeyError, ValidationError):
        fields.keep("odd_value", "clock", clock)
        return None


def _evaluations(game: Mapping[str, Any], plies: int, fields: Fields) -> list[LichessEvaluation] | None:
    analysis = fields.array(game, "analysis", MAX_PLIES)
    if analysis is None:
        return None
    try:
        evaluations = _EVALUATIONS.validate_python([_evaluation(entry) for entry in analysis])
    except (AttributeError, ValidationError):
        fields.keep("odd_value", "analysis", analysis)
        return None
    if len(evaluations) > plies:
        fields.flags.add("analysis_longer_than_moves")
    if any(_has_news(entry) for entry in analysis):
        fields.keep("unknown_field", "analysis", analysis)
    return evaluations


def _evaluation(entry: Mapping[str, Any]) -> dict[str, Any]:
    cp, mate = entry.get("eval"), entry.get("mate")
    judgement = entry.get("judgment")
    return {
        "score": None if cp is None and mate is None else {"cp": cp, "mate": mate},
        "best": entry.get("best"),
        "variation": entry.get("variation"),
        "judgement": None if judgement is None else judgement.get("name"),
    }


def _has_news(entry: Mapping[str, Any]) -> bool:
    judgement = entry.get("judgment")
    return not entry.keys() <= _EVALUATION or (judgement is not None and not judgement.keys() <= _JUDGEMENT)
