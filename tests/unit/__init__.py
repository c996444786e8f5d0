"""Tests of single units: no sockets, no processes."""
