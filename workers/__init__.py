"""The Celery roles: they fetch, parse and analyse games, and reach the data through the API alone."""
