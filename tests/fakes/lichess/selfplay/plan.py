"""Which games are made, so that everything Lichess can send about a finished game occurs?"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """How games end on Lichess, by the name its JSON carries."""

    ABORTED = "aborted"
    MATE = "mate"
    RESIGN = "resign"
    STALEMATE = "stalemate"
    TIMEOUT = "timeout"
    DRAW = "draw"
    OUT_OF_TIME = "outoftime"
    CHEAT = "cheat"
    NO_START = "noStart"
    UNKNOWN_FINISH = "unknownFinish"
    INSUFFICIENT_MATERIAL_CLAIM = "insufficientMaterialClaim"
    VARIANT_END = "variantEnd"


class Opponent(StrEnum):
    """Whom the player meets."""

    PERSON = "person"
    TITLED = "titled"
    ENGINE = "engine"
    ANONYMOUS = "anonymous"


class Source(StrEnum):
    """Where the pairing came from, by Lichess's names."""

    POOL = "pool"
    LOBBY = "lobby"
    FRIEND = "friend"
    ENGINE = "ai"
    POSITION = "position"
    ARENA = "arena"
    SWISS = "swiss"


@dataclass(frozen=True, slots=True)
class TimeControl:
    """A clock (seconds), or days for each move, or neither: a correspondence game without limit."""

    initial_seconds: int | None = None
    increment_seconds: int = 0
    days_per_turn: int | None = None

    @property
    def total_seconds(self) -> int:
        """What Lichess expects a player to use: the initial time and forty increments."""
        return (self.initial_seconds or 0) + 40 * self.increment_seconds

    @property
    def speed(self) -> str:
        """Lichess's name of the speed."""
        if self.initial_seconds is None:
            return "correspondence"
        limits = {"ultraBullet": 30, "bullet": 180, "blitz": 480, "rapid": 1500}
        return next((speed for speed, limit in limits.items() if self.total_seconds < limit), "classical")


@dataclass(frozen=True, slots=True)
class Plan:
    """One game to make; plies bound its length where the status leaves it open."""

    status: Status
    time: TimeControl
    variant: str = "standard"
    opponent: Opponent = Opponent.PERSON
    source: Source = Source.POOL
    rated: bool = True
    min_plies: int = 36
    max_plies: int = 110
    blunder_rate: float = 0.07
    initial_fen: str | None = None
    script: str | None = None  # SAN moves to play instead of the engine's
    drawn: bool = False  # a flag falls, but the opponent could never mate
    analysed: bool = False  # Lichess's own computer analysis is attached


ULTRA = TimeControl(15)
BULLET = TimeControl(60)
BULLET_INCREMENT = TimeControl(120, 1)
BLITZ = TimeControl(180, 2)
BLITZ_LONG = TimeControl(300, 3)
RAPID = TimeControl(600)
RAPID_INCREMENT = TimeControl(900, 10)
CLASSICAL = TimeControl(1800, 20)
DAILY = TimeControl(days_per_turn=1)
SLOW_DAILY = TimeControl(days_per_turn=3)
UNLIMITED = TimeControl()

# Sam Loyd's stalemate in ten moves: engines hardly ever stalemate by themselves.
LOYD = "e3 a5 Qh5 Ra6 Qxa5 h5 h4 Rah6 Qxc7 f6 Qxd7+ Kf7 Qxb7 Qd3 Qxb8 Qh7 Qxc8 Kg6 Qe6"
PAWN_ENDING = "8/8/4k3/8/4P3/4K3/8/8 w - - 0 1"
KNIGHT_ODDS = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/R1BQKBNR w KQkq - 0 1"
QUEEN_ENDING = "6k1/5ppp/8/8/8/5Q2/5PPP/6K1 b - - 0 1"


def _from_position(plan: Plan) -> Plan:
    return replace(plan, variant="fromPosition", source=Source.FRIEND, rated=False)


SPECIAL_PLANS: tuple[Plan, ...] = (
    Plan(Status.MATE, BLITZ, analysed=True),
    Plan(Status.RESIGN, BLITZ_LONG, analysed=True),
    Plan(Status.MATE, RAPID, opponent=Opponent.TITLED, analysed=True),
    Plan(Status.DRAW, RAPID_INCREMENT, blunder_rate=0.0, analysed=True),
    Plan(Status.OUT_OF_TIME, BULLET, analysed=True),
    Plan(Status.RESIGN, CLASSICAL, opponent=Opponent.TITLED, source=Source.SWISS, analysed=True),
    Plan(Status.DRAW, CLASSICAL, min_plies=160, max_plies=260, blunder_rate=0.0),
    Plan(Status.STALEMATE, BLITZ, source=Source.FRIEND, rated=False, script=LOYD),
    Plan(Status.MATE, BULLET, source=Source.ARENA),
    Plan(Status.RESIGN, ULTRA),
    Plan(Status.OUT_OF_TIME, ULTRA, min_plies=30, max_plies=60),
    Plan(Status.TIMEOUT, BLITZ, min_plies=10, max_plies=30),
    Plan(Status.CHEAT, RAPID, min_plies=30, max_plies=60),
    Plan(Status.UNKNOWN_FINISH, BULLET_INCREMENT, source=Source.LOBBY, min_plies=20, max_plies=60),
    Plan(Status.NO_START, BLITZ, source=Source.ARENA, min_plies=0, max_plies=0),
    Plan(Status.NO_START, BLITZ_LONG, source=Source.ARENA, min_plies=1, max_plies=1),
    Plan(Status.RESIGN, BULLET, min_plies=2, max_plies=2),
    Plan(Status.ABORTED, BLITZ, min_plies=1, max_plies=1),
    Plan(Status.RESIGN, DAILY, source=Source.LOBBY),
    Plan(Status.DRAW, SLOW_DAILY, source=Source.FRIEND, blunder_rate=0.0),
    Plan(Status.OUT_OF_TIME, DAILY, source=Source.LOBBY, min_plies=20, max_plies=50),
    Plan(Status.MATE, UNLIMITED, opponent=Opponent.ENGINE, source=Source.ENGINE, rated=False),
    Plan(Status.RESIGN, BLITZ, opponent=Opponent.ENGINE, source=Source.ENGINE, rated=False),
    Plan(Status.MATE, BLITZ_LONG, opponent=Opponent.ANONYMOUS, source=Source.FRIEND, rated=False),
    Plan(Status.RESIGN, RAPID, opponent=Opponent.ANONYMOUS, source=Source.LOBBY, rated=False),
    Plan(Status.MATE, BLITZ, variant="chess960", source=Source.LOBBY),
    Plan(Status.RESIGN, RAPID, variant="chess960", source=Source.FRIEND, rated=False),
    _from_position(Plan(Status.RESIGN, BLITZ, initial_fen=KNIGHT_ODDS)),
    # White's pawn against a bare king, White to move: Black can't win, whatever White does.
    _from_position(
        Plan(Status.OUT_OF_TIME, BULLET, initial_fen=PAWN_ENDING, min_plies=8, max_plies=8, drawn=True)
    ),
    _from_position(
        Plan(Status.INSUFFICIENT_MATERIAL_CLAIM, BLITZ, initial_fen=PAWN_ENDING, min_plies=6, max_plies=6)
    ),
    replace(
        _from_position(Plan(Status.MATE, UNLIMITED, initial_fen=QUEEN_ENDING, blunder_rate=0.0)),
        opponent=Opponent.ENGINE,
        source=Source.POSITION,
    ),
    Plan(Status.MATE, BLITZ, variant="crazyhouse"),
    Plan(Status.VARIANT_END, BLITZ, variant="atomic"),
    Plan(Status.VARIANT_END, RAPID, variant="antichess"),
    Plan(Status.VARIANT_END, BLITZ, variant="kingOfTheHill"),
    Plan(Status.VARIANT_END, BULLET_INCREMENT, variant="threeCheck"),
    Plan(Status.VARIANT_END, BLITZ_LONG, variant="horde", max_plies=150),
    Plan(Status.VARIANT_END, BLITZ, variant="racingKings"),
)

ORDINARY_PLANS: tuple[Plan, ...] = (
    Plan(Status.MATE, BLITZ),
    Plan(Status.RESIGN, RAPID_INCREMENT),
    Plan(Status.RESIGN, BULLET_INCREMENT),
    Plan(Status.MATE, RAPID),
)


def make_plans(count: int) -> list[Plan]:
    """Return the plans of `count` games: the special ones first, then ordinary ones over and over."""
    ordinary = (ORDINARY_PLANS[index % len(ORDINARY_PLANS)] for index in range(count))
    return [*SPECIAL_PLANS, *ordinary][:count]
