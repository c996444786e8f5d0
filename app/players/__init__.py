"""Tracked accounts and their sync state."""
