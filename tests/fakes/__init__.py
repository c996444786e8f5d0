"""Stand-ins for what Scoresheet talks to, as real as the tests need them."""
