"""What does Lichess write about a played game: who, when, ratings, result?"""

import string
from random import Random
from typing import Any

import chess

from app.contract.rules import ANALYSABLE_VARIANTS
from tests.fakes.lichess.selfplay.clocks import Timing
from tests.fakes.lichess.selfplay.openings import division_of, opening_of
from tests.fakes.lichess.selfplay.plan import Opponent, Plan, Source, Status
from tests.fakes.lichess.selfplay.playing import Played

PLAYER = "scoresheet-demo"
PEOPLE = ("Demo-Rook", "demo-castle", "DemoTempo", "demo-gambit", "demo_zugzwang", "Demo-Fork", "demo-skewer")
TITLED = (("Demo-Maestra", "WFM", 2214), ("demo-professor", "FM", 2287), ("demo-automaton", "BOT", 2105))
ENGINE_LEVELS = range(1, 9)
USUAL_RATING = 1650
FIRST_RATING = 1500
RATING_SPREAD = 90
# The order in which Lichess writes the fields (lila, GameApiV2.toJson).
FIELD_ORDER = (
    "id",
    "rated",
    "variant",
    "speed",
    "perf",
    "createdAt",
    "lastMoveAt",
    "status",
    "source",
    "players",
    "initialFen",
    "winner",
    "opening",
    "moves",
    "clocks",
    "daysPerTurn",
    "analysis",
    "arenaTour",
    "swissTour",
    "clock",
    "division",
)
# Elo's factor: ratings of newcomers to a variant or speed move fast.
ELO_K = 12
PROVISIONAL_ELO_K = 90


class Scribe:
    """Writes games as Lichess's JSON, keeping the player's rating in each category from game to game."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._ratings: dict[str, int] = {}

    def write(
        self, plan: Plan, played: Played, timing: Timing, created_at_ms: int, color: chess.Color
    ) -> dict[str, Any]:
        """Return the game object; `color` is the side our player has."""
        board = played.board
        perf = plan.time.speed if plan.variant in {"standard", "fromPosition"} else plan.variant
        game: dict[str, Any] = {
            "id": "".join(self._rng.choices(string.ascii_letters + string.digits, k=8)),
            "rated": plan.rated,
            "variant": plan.variant,
            "speed": plan.time.speed,
            "perf": perf,
            "createdAt": created_at_ms,
            "lastMoveAt": created_at_ms + timing.duration_ms,
            "status": plan.status.value,
            "source": plan.source.value,
            "players": self._players(plan, played, perf, color),
        }
        if plan.initial_fen or plan.variant in {"chess960", "horde", "racingKings"}:
            game["initialFen"] = board.root().fen()
        if played.winner is not None:
            game["winner"] = chess.COLOR_NAMES[played.winner]
        sans = _sans(board)
        if plan.variant == "standard" and (opening := opening_of(sans)):
            game["opening"] = opening
        game["moves"] = " ".join(sans)
        return game | self._time_and_tournament(plan, timing) | _division(plan, board)

    def _time_and_tournament(self, plan: Plan, timing: Timing) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if timing.clocks_cs is not None:
            fields["clocks"] = timing.clocks_cs
        if plan.time.days_per_turn is not None:
            fields["daysPerTurn"] = plan.time.days_per_turn
        if plan.source is Source.ARENA:
            fields["arenaTour"] = {"id": "demoAr01", "name": "Demo Evening Arena"}
        if plan.source is Source.SWISS:
            fields["swissTour"] = {"id": "demoSw01"}
        if plan.time.initial_seconds is not None:
            fields["clock"] = {
                "initial": plan.time.initial_seconds,
                "increment": plan.time.increment_seconds,
                "totalTime": plan.time.total_seconds,
            }
        return fields

    def _players(self, plan: Plan, played: Played, perf: str, color: chess.Color) -> dict[str, Any]:
        provisional = plan.variant not in {"standard", "fromPosition"}
        rating = self._ratings.setdefault(perf, FIRST_RATING if provisional else self._near(USUAL_RATING))
        me: dict[str, Any] = {"user": {"name": PLAYER, "id": PLAYER.lower()}, "rating": rating}
        opponent = self._opponent(plan, rating)
        if plan.rated and plan.status is not Status.ABORTED:
            score = 0.5 if played.winner is None else float(played.winner == color)
            expected = 1 / (1 + 10 ** ((opponent["rating"] - rating) / 400))
            diff = round((PROVISIONAL_ELO_K if provisional else ELO_K) * (score - expected))
            me["ratingDiff"] = diff
            opponent["ratingDiff"] = -round(ELO_K * (score - expected))
            self._ratings[perf] += diff
        if provisional:
            me["provisional"] = True
        ours, theirs = ("white", "black") if color else ("black", "white")
        sides = {ours: me, theirs: opponent}
        return {"white": sides["white"], "black": sides["black"]}

    def _opponent(self, plan: Plan, rating: int) -> dict[str, Any]:
        match plan.opponent:
            case Opponent.ANONYMOUS:
                return {}
            case Opponent.ENGINE:
                return {"aiLevel": self._rng.choice(ENGINE_LEVELS)}
            case Opponent.TITLED:
                name, title, strength = self._rng.choice(TITLED)
                return {
                    "user": {"name": name, "title": title, "id": name.lower()},
                    "rating": self._near(strength),
                }
            case Opponent.PERSON:
                name = self._rng.choice(PEOPLE)
                return {"user": {"name": name, "id": name.lower()}, "rating": self._near(rating)}

    def _near(self, rating: int) -> int:
        return round(self._rng.gauss(rating, RATING_SPREAD))


def in_lichess_order(game: dict[str, Any]) -> dict[str, Any]:
    """Return the game with its fields in the order Lichess writes them."""
    return {field: game[field] for field in FIELD_ORDER if field in game}


def _sans(board: chess.Board) -> list[str]:
    replayed = board.root()
    sans = []
    for move in board.move_stack:
        san = replayed.san(move)
        # Lichess names the pawn of a drop.
        sans.append(f"P{san}" if san.startswith("@") else san)
        replayed.push(move)
    return sans


def _division(plan: Plan, board: chess.Board) -> dict[str, Any]:
    division = division_of(board) if plan.variant in ANALYSABLE_VARIANTS else {}
    return {"division": division} if division else {}
