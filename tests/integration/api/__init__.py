"""Tests of the API over HTTP, on PostgreSQL 17 through PgBouncer and on Redis."""
