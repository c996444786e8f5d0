"""Do requests that meet on the same rows wait for one another, rather than fail?"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from app.contract.ingestion import FetchKind, Observations
from tests.integration.api.driver import Ledger, make_game, observe
from tests.integration.conftest import Api, wait_until

_WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_a_claim_does_not_wait_for_what_a_consumer_is_settling(api: Api) -> None:
    """A consumer holds one entry and inserts the next; a claim holds the player and would want the entry."""
    games = [make_game(1), make_game(2)]
    Ledger(api, "bob").track().stream(games[1:])
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    ledger.see(run_id, games[:1])
    ledger.make_holes_due()
    batch = Observations(observations=[observe(game, run_id, line) for line, game in enumerate(games, 1)])
    with (
        ThreadPoolExecutor() as threads,
        closing(api.new_worker()) as consumer,
        api.backend.connect() as blocker,
    ):
        with blocker.transaction():
            # Holds the consumer up between the two games.
            blocker.execute("SELECT FROM games WHERE source_id = 'game0002' FOR UPDATE")
            storing = threads.submit(consumer.store, batch)
            wait_until(lambda: api.value(_WAITERS) == 1, "the consumer waits")
            plan = ledger.plan()
            assert plan.kind is FetchKind.STREAM  # the hole is being filled
            assert api.value(_WAITERS) == 1
        assert storing.result().stored == 1
    assert ledger.manifest() == {"game0001": "stored", "game0002": "stored"}


def test_many_consumers_and_a_producer_never_deadlock(api: Api) -> None:
    ledger = Ledger(api).track()
    games = [make_game(number) for number in range(60)]

    def consume(run_id: int, order: list[int]) -> None:
        with closing(api.new_worker()) as consumer:
            for start in range(0, len(order), 10):
                lines = order[start : start + 10]
                consumer.store(
                    Observations(
                        observations=[observe(games[number], run_id, number + 1) for number in lines]
                    )
                )

    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            run_id = ledger.plan().run_id
            orders = [list(range(60))[::step] + list(range(60)) for step in (1, -1, 7, -7)]
            work = [threads.submit(consume, run_id, order) for order in orders]
            for start in range(0, 60, 15):
                ledger.see(run_id, games[start : start + 15], start + 1)
                ledger.make_holes_due()
            for done in work:
                done.result()
            ledger.make_due()
    assert set(ledger.manifest().values()) == {"stored"}
    assert len(ledger.manifest()) == 60
