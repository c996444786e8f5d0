"""The schema's history, run by `scoresheet migrate`."""
