"""Analysis: games that lack results are queued, evaluated by an engine and handed to the plugins."""
