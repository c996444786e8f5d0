"""Is a lease renewed while a game is worked on, and does the work end when it must?"""

import asyncio

import pytest

from workers.analysis.lease import Lease, OutOfTime, WorkerStopping
from workers.api_client import ApiUnavailable, StaleFence


class Clock:
    """Time that stands still, or passes a little whenever somebody looks."""

    def __init__(self, step_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.step_seconds = step_seconds

    def __call__(self) -> float:
        self.now += self.step_seconds
        return self.now


def never() -> bool:
    return False


class Renewals:
    """Counts renewals, which come from another thread, and tells when there were enough."""

    def __init__(self, enough: int, error: Exception | None = None) -> None:
        self.count = 0
        self._enough = enough
        self._error = error
        self._reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._enough:
            self._loop.call_soon_threadsafe(self._reached.set)
        if self._error is not None:
            raise self._error

    async def enough(self) -> str:
        """Work until there were enough renewals."""
        await self._reached.wait()
        return "done"


def test_a_lease_is_renewed_at_a_third() -> None:
    renewals: list[float] = []
    clock = Clock()
    lease = Lease(60, lambda: renewals.append(clock.now), clock=clock)
    for clock.now in (0, 19, 20, 21, 39, 40, 59, 60):
        lease.renew_if_due()
    assert renewals == [20, 40, 60]


async def test_a_single_long_position_renews_too() -> None:
    renewals = Renewals(enough=3)
    lease = Lease(0.3, renewals)
    assert await lease.keep(renewals.enough(), stopping=never, limit_seconds=600) == "done"


async def test_work_that_has_begun_is_cancelled_and_waited_for() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(WorkerStopping):
        await Lease(60, lambda: None).keep(work(), stopping=begun.is_set, limit_seconds=600)
    assert ended.is_set()


async def test_a_game_has_a_time_limit() -> None:
    lease = Lease(1e9, lambda: None, clock=Clock(step_seconds=10))
    with pytest.raises(OutOfTime, match="not done after 15 s"):
        await lease.keep(asyncio.Event().wait(), stopping=never, limit_seconds=15)


async def test_work_ends_when_the_lease_is_lost() -> None:
    def refuse() -> None:
        raise StaleFence(409, "stale_fence", "the lease is gone", {})

    with pytest.raises(StaleFence):
        await Lease(0.03, refuse).keep(asyncio.Event().wait(), stopping=never, limit_seconds=600)


async def test_an_api_that_is_away_does_not_stop_the_work() -> None:
    renewals = Renewals(enough=2, error=ApiUnavailable("refused"))
    lease = Lease(0.03, renewals)
    assert await lease.keep(renewals.enough(), stopping=never, limit_seconds=600) == "done"


async def test_what_the_work_raises_comes_through() -> None:
    async def work() -> None:
        raise KeyError("broken")

    with pytest.raises(KeyError):
        await Lease(60, lambda: None).keep(work(), stopping=never, limit_seconds=600)


@pytest.mark.parametrize(("lease_seconds", "plugin_seconds"), [(120, 30), (60, 30), (40, 20), (2, 1)])
def test_a_plugin_may_not_take_longer_than_the_rest_of_a_lease(
    lease_seconds: float, plugin_seconds: float
) -> None:
    lease = Lease(lease_seconds, lambda: None, clock=Clock())
    assert lease.plugin_seconds == plugin_seconds
    assert lease.plugin_seconds + lease_seconds / 3 < lease_seconds
