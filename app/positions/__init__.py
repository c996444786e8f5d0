"""Evaluations of positions, by position and provenance."""
