"""Tests of the fakes themselves."""
