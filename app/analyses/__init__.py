"""Analyses of games: what waits, who holds it, what came out."""
