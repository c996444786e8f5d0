"""Does a history as long as anybody's leave the producer as small as it was?"""

from tests.chaos.test_ingestion_memory import stream_through_in_constant_memory


def test_a_history_of_20000_games_streams_through_in_constant_memory() -> None:
    stream_through_in_constant_memory(20_000)
