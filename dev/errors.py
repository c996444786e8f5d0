"""What can go wrong while a checkout is set up or its stack runs?"""

__all__ = ["DevError"]


class DevError(Exception):
    """Says in one line, meant for a person, what is wrong and what to do about it.

    Commands print it without a traceback and exit with status 1.
    """
