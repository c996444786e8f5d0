"""Tests of app/ without a socket."""
