"""How much time do the players use, and what do their clocks show?"""

from dataclasses import dataclass
from random import Random

from tests.fakes.lichess.selfplay.plan import Plan, Status

# Lichess gives back a little network delay on the first moves: full clocks show three hundredths more.
FIRST_MOVES_BONUS_CS = 3
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Timing:
    """Clocks after each move in centiseconds, None in correspondence, and the length of the game.

    A game that ends while a player is to move has one entry more: that player's clock at the end (lila,
    Game.finish).
    """

    clocks_cs: list[int] | None
    duration_ms: int


def simulate(plan: Plan, plies: int, rng: Random, *, ended_by_move: bool) -> Timing:
    """Let both players think; in a game lost on time, the one to move at the end thinks for too long."""
    if plan.time.initial_seconds is None:
        return _correspondence(plan, plies, rng)
    initial_cs = plan.time.initial_seconds * 100
    increment_cs = plan.time.increment_seconds * 100
    usual_cs = initial_cs / 45 + 0.8 * increment_cs
    left_cs = [initial_cs + FIRST_MOVES_BONUS_CS] * 2
    clocks_cs: list[int] = []
    duration_cs = 0
    for ply in range(plies if ended_by_move else plies + 1):
        side = ply % 2
        at_end = ply == plies
        # The clocks start when both players have moved.
        if ply >= 2:
            used_cs = min(round(usual_cs * rng.lognormvariate(-0.4, 0.8)), left_cs[side] * 2 // 5)
            if at_end and plan.status is Status.OUT_OF_TIME:
                used_cs = left_cs[side]
            left_cs[side] += (0 if at_end else increment_cs) - used_cs
            duration_cs += used_cs
        clocks_cs.append(left_cs[side])
    return Timing(clocks_cs, duration_cs * 10)


def _correspondence(plan: Plan, plies: int, rng: Random) -> Timing:
    limit_ms = (plan.time.days_per_turn or 7) * MS_PER_DAY
    thinking_ms = sum(rng.randrange(limit_ms // 20, limit_ms // 4) for _ in range(plies))
    return Timing(None, thinking_ms + (limit_ms if plan.status is Status.OUT_OF_TIME else MS_PER_HOUR))
