"""What does a plugin look like whose author releases a second version?"""

from typing import ClassVar

from plugins.api import AnalysedGame, Plugin, PluginOutput


class Count(PluginOutput):
    """A number of plies."""

    plies: int


class First(Plugin[Count]):
    """Counts the plies whose evaluation is a mate."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "mates"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Mates"
    description: ClassVar[str] = "How many positions are a forced mate."
    result_type: ClassVar[type[PluginOutput]] = Count

    def analyse(self, game: AnalysedGame) -> Count:
        """Count them."""
        return Count(plies=sum(evaluation.score.mate is not None for evaluation in game.evaluations))


class Second(First):
    """Counts all plies that have an evaluation."""

    version: ClassVar[int] = 2

    def analyse(self, game: AnalysedGame) -> Count:
        """Count them."""
        return Count(plies=len(game.evaluations))


class OfTheFuture(First):
    """Written for a contract that does not exist yet."""

    api_version: ClassVar[int] = 2
