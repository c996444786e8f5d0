"""Tests against real servers: sockets, processes, databases."""
