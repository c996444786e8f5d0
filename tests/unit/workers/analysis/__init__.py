"""Tests of workers/analysis/."""
