"""Makes games of a fictional player by engine self-play, in the exact shape of Lichess's NDJSON."""
