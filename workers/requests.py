"""What does a worker's main process log of a task whose own process can log no more?"""

from typing import TYPE_CHECKING, Any, cast

import structlog
from celery.worker.request import Request

if TYPE_CHECKING:
    from workers.celery_app import ScoresheetTask

__all__ = ["NamedRequest"]


class NamedRequest(Request):
    """A message under way, whose lines in the log name its task, and player or game.

    A child that was killed, or ran into its hard limit, leaves these lines to the main process.
    """

    def on_failure(self, *args: Any, **kwargs: Any) -> Any:
        """Do what Celery does when the task failed or its process died."""
        with structlog.contextvars.bound_contextvars(**self._identity()):
            return super().on_failure(*args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Do what Celery does when the task ran into a limit."""
        with structlog.contextvars.bound_contextvars(**self._identity()):
            return super().on_timeout(soft, timeout)

    def _identity(self) -> dict[str, Any]:
        task = cast("ScoresheetTask", self.task)
        return {"task": self.name, "task_id": self.id, **task.named(self.args)}
