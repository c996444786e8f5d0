"""Benchmarks: run by hand, one module a question. Figures stand in README.md."""
