"""Tests that repeat for long, or need what takes long to make: `make soak` runs them."""
