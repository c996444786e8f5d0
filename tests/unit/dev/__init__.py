"""Tests of what a checkout needs around the product."""
