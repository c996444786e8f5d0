"""How does one process take up several messages of a task at once?

celery-batches gathers them in the worker's main process. What it leaves out, and this adds, is what Celery
does for single messages: time limits, messages that come back when their process dies, and requests that the
worker counts as under way (the watchdog looks at them).
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from celery import Celery
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery_batches import Batches, SimpleRequest
from celery_batches.trace import apply_batches_task

from workers.celery_app import ScoresheetTask

__all__ = ["BatchTask", "SimpleRequest"]


class BatchTask(Batches, ScoresheetTask):  # type: ignore[misc]  # Batches has no types
    """A task that is sent as any other, and called with a list of the requests that arrived together.

    A batch is acknowledged as a whole, late: what can be done of it must be done before the task raises.
    """

    abstract = True

    def Strategy(  # type: ignore[override]  # noqa: N802  a string, or what Celery calls
        self, task: Batches, app: "Celery[Any]", consumer: Consumer
    ) -> Callable[..., None]:
        """Return what receives the messages of one connection to the broker."""
        receive: Callable[..., None] = Batches.Strategy(self, task, app, consumer)
        # The timer of the last connection is gone with it, and Batches would wait for it for ever; what was
        # gathered is worked off all the same. It comes again, which is no harm.
        self._tref = None
        if not self._buffer.empty():
            self._tref = consumer.timer.call_repeatedly(self.flush_interval, self._do_flush)
        return receive

    def identity(self, requests: Sequence[SimpleRequest]) -> dict[str, Any]:
        """Return what names the messages of a batch in the log."""
        return {"messages": [{"task_id": request.id, **self.named(request.args)} for request in requests]}

    def flush(self, requests: Collection[Request]) -> None:
        """Hand requests to the pool; what came before goes alone: it may be what kills its process."""
        again = [request for request in requests if request.delivery_info.get("redelivered")]
        first = [request for request in requests if not request.delivery_info.get("redelivered")]
        for batch in [*([request] for request in again), *([first] if first else [])]:
            self._hand_over(batch)

    def _hand_over(self, batch: Collection[Request]) -> None:
        def accepted(pid: Any, time_accepted: float) -> None:
            for request in batch:
                request.on_accepted(pid, time_accepted)

        def timed_out(soft: bool, seconds: float) -> None:
            for request in batch:
                request.on_timeout(soft, seconds)

        def returned(_: object) -> None:
            for request in batch:
                request.on_success((False, None, 0.0))

        def failed(error: Any) -> None:
            for request in batch:
                request.on_failure(error)

        for request in batch:
            state.task_reserved(request)
        self._pool.apply_async(
            apply_batches_task,
            args=(self, ([SimpleRequest.from_request(request) for request in batch],), 0, None),
            accept_callback=accepted,
            timeout_callback=timed_out,
            callback=returned,
            error_callback=failed,
            soft_timeout=self.soft_time_limit,
            timeout=self.time_limit,
        )
