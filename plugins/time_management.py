"""How did each side use its time, and what did its moves lose meanwhile?

Times are Lichess's: the first move of each side counts as none (lila @ 37b6e72, `Game.moveTimes`), the last
recorded clock had no increment added, and a side that went berserk gets none. Clocks of 10 s and more are
stored without their last three bits and read back as the middle of what they may have been
(lichess-org/compression @ 217b1c3, `LowBitTruncator`): 9,000 centiseconds come as 9,003.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.games import Clock, Color
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.lichess import Judgement
from plugins.moves import Percent, RatedMove, mean_percent, percent, rated_moves

LONGEST = 3
"""Longest thinks that a result names."""
LONG, QUICK = 2.0, 0.5
"""A move is long from twice the side's mean time on, and quick up to half of it."""
_BERSERK_OFF_CS = 100
"""How far from half of the initial time a first clock may be for berserk: PGN has whole seconds. No
farther: one real game in a thousand, no tournament's, begins with 59 % of the time on a clock."""

Seconds = Annotated[float, Field(ge=0)]


class Pace(StrEnum):
    """How a move's time compares with the side's mean in this game."""

    QUICK = "quick"
    USUAL = "usual"
    LONG = "long"


class MovesInTime(PluginOutput):
    """What some moves took and lost."""

    moves: Annotated[int, Field(ge=0)]
    mean_seconds: Seconds | None
    """None of no move."""
    mean_win_lost: Percent | None
    """Win% that such a move lost on average; None of no move."""
    blunders: Annotated[int, Field(ge=0)]
    """Lichess's label, over Scoresheet's evaluations."""


class Think(PluginOutput):
    """One move and its time."""

    ply: Ply
    """Number of the move, both sides counted, from 1."""
    san: str
    seconds: Seconds
    seconds_left: Seconds
    """On the mover's clock after the move."""
    win_lost: Percent
    """Win% that the move lost."""


class SideTime(PluginOutput):
    """One side's use of its time, over the moves whose time is known: all but its first."""

    berserk: bool
    """Whether it gave up half of its time at the start, as the first clock shows. Not seen where the initial
    time is less than 40 increments: then berserk takes the increment alone (scalachess
    `Clock.Config.berserkPenalty`)."""
    all: MovesInTime
    by_pace: dict[Pace, MovesInTime]
    """The same moves by their time, compared with this side's mean."""
    in_trouble: MovesInTime
    """Those begun with less than `trouble_seconds` on the clock."""
    trouble_since_ply: Ply | None
    """The first such move; None if there was none."""
    lowest_seconds: Seconds | None
    """Least that ever was on the clock after a move; None if no time is known."""
    longest: list[Think]
    """The longest thinks, the longest first."""


class TimeManagementResult(PluginOutput):
    """Both sides' use of time; nothing where the game has no clocks."""

    trouble_seconds: Seconds | None
    """Below this Lichess shows a clock in red: an eighth of the initial time, 10 to 60 s. None without."""
    white: SideTime | None
    black: SideTime | None


@dataclass(frozen=True, slots=True)
class _TimedMove:
    move: RatedMove
    seconds: float
    seconds_before: float
    seconds_left: float


class TimeManagement(Plugin[TimeManagementResult]):
    """Sets time against what the moves lost."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "time_management"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Time management"
    description: ClassVar[str] = (
        "Time per move against the Win% that the moves lost: quick, usual and long thinks, and what happened "
        "in time trouble. Only of games with a real-time clock."
    )
    result_type: ClassVar[type[PluginOutput]] = TimeManagementResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> TimeManagementResult:
        """Sum up both sides, if there are clocks."""
        if game.clock is None or not game.clocks_cs:
            return TimeManagementResult(trouble_seconds=None, white=None, black=None)
        trouble = float(trouble_seconds(game.clock))
        moves = rated_moves(game)
        sides = {
            side: _side(game, _timed(game.clock, game.clocks_cs, moves, side), trouble) for side in Color
        }
        return TimeManagementResult(
            trouble_seconds=trouble, white=sides[Color.WHITE], black=sides[Color.BLACK]
        )


def trouble_seconds(clock: Clock) -> int:
    """Return below how many seconds Lichess shows a clock in red (scalachess `Clock.Config.emergSeconds`)."""
    return min(60, max(10, clock.initial_seconds // 8))


def berserk(clock: Clock, first_cs: int) -> bool:
    """Tell from a side's first clock, in centiseconds, whether it halved its time at the start."""
    half_cs = clock.initial_seconds * 50
    return half_cs > 0 and abs(first_cs - half_cs) <= _BERSERK_OFF_CS


def _timed(
    clock: Clock, clocks_cs: Sequence[int], moves: Sequence[RatedMove], side: Color
) -> list[_TimedMove]:
    timed = []
    for move in moves:
        index = move.ply - 1
        if move.mover is not side or index < 2 or index >= len(clocks_cs):
            continue
        before, left = clocks_cs[index - 2], clocks_cs[index]
        added = index < len(clocks_cs) - 1 and not berserk(clock, clocks_cs[index % 2])
        spent = max(0, before - left + (clock.increment_seconds * 100 if added else 0))
        timed.append(_TimedMove(move, spent / 100, before / 100, left / 100))
    return timed


def _side(game: AnalysedGame, timed: Sequence[_TimedMove], trouble: float) -> SideTime | None:
    if not timed or game.clock is None or game.clocks_cs is None:
        return None
    mean = sum(item.seconds for item in timed) / len(timed)
    pressed = [item for item in timed if item.seconds_before < trouble]
    longest = sorted(timed, key=lambda item: (-item.seconds, item.move.ply))[:LONGEST]
    by_pace: dict[Pace, list[_TimedMove]] = {pace: [] for pace in Pace}
    for item in timed:
        by_pace[_pace(item.seconds, mean)].append(item)
    return SideTime(
        berserk=berserk(game.clock, game.clocks_cs[(timed[0].move.ply - 1) % 2]),
        all=_summed_up(timed),
        by_pace={pace: _summed_up(items) for pace, items in by_pace.items()},
        in_trouble=_summed_up(pressed),
        trouble_since_ply=pressed[0].move.ply if pressed else None,
        lowest_seconds=min(item.seconds_left for item in timed),
        longest=[_think(game, item) for item in longest],
    )


def _pace(seconds: float, mean: float) -> Pace:
    if seconds >= LONG * mean and seconds > 0:
        return Pace.LONG
    return Pace.QUICK if seconds <= QUICK * mean else Pace.USUAL


def _summed_up(timed: Sequence[_TimedMove]) -> MovesInTime:
    count = len(timed)
    return MovesInTime(
        moves=count,
        mean_seconds=round(sum(item.seconds for item in timed) / count, 2) if count else None,
        mean_win_lost=mean_percent([item.move.loss for item in timed]),
        blunders=sum(item.move.judgement is Judgement.BLUNDER for item in timed),
    )


def _think(game: AnalysedGame, item: _TimedMove) -> Think:
    return Think(
        ply=item.move.ply,
        san=game.san(item.move.ply),
        seconds=item.seconds,
        seconds_left=item.seconds_left,
        win_lost=percent(item.move.loss),
    )
