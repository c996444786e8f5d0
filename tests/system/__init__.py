"""Tests that boot a machine of their own: `make test-system`."""
