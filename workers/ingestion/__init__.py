"""Ingestion: from the schedule over the request to Lichess to the stored game."""
