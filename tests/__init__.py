"""All tests of Scoresheet, and the fakes they run against."""
