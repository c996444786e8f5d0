"""What crosses the wire between the API, its workers and its clients."""
