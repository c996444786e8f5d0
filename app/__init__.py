"""The API of Scoresheet: the only code that knows PostgreSQL."""
