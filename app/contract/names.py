"""What are the tasks and queues called, and which queue does each task go to?"""

from enum import StrEnum


class QueueName(StrEnum):
    """Celery queues; one worker role consumes each."""

    API = "api_queue"
    """Requests to Lichess, one at a time."""
    DB = "db_queue"
    """Games to parse and store, eight in parallel; also the light `orchestrator`."""
    ANALYSIS_SCHEDULING = "analysis_scheduling_queue"
    """The search for games that lack results."""
    ANALYSIS = "analysis_queue"
    """Games to analyse, four in parallel."""


class TaskName(StrEnum):
    """Celery tasks."""

    ORCHESTRATOR = "orchestrator"
    FETCH_PLAYER_GAMES = "fetch_player_games"
    PROCESS_GAME_DATA = "process_game_data"
    ENQUEUE_ANALYSIS_TASKS = "enqueue_analysis_tasks"
    ANALYZE_GAME = "analyze_game"


# `orchestrator` rides on db_queue: its backlog is bounded by the producer's back-pressure, so the
# orchestrator waits seconds there, where behind a long fetch on api_queue it would wait minutes.
QUEUE_OF_TASK: dict[TaskName, QueueName] = {
    TaskName.ORCHESTRATOR: QueueName.DB,
    TaskName.FETCH_PLAYER_GAMES: QueueName.API,
    TaskName.PROCESS_GAME_DATA: QueueName.DB,
    TaskName.ENQUEUE_ANALYSIS_TASKS: QueueName.ANALYSIS_SCHEDULING,
    TaskName.ANALYZE_GAME: QueueName.ANALYSIS,
}
