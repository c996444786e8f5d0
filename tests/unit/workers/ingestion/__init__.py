"""Unit tests of ingestion: no socket is opened."""
