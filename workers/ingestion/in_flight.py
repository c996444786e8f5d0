"""Did the last request's producer live to read its status?"""

import os
from pathlib import Path
from typing import Final

_SENT: Final = b"sent    \n"
_ANSWERED: Final = b"answered\n"


class InFlight:
    """A file that says whether a request went out whose status nobody has read; to be used by one at a time.

    It outlives whoever wrote it, and the power: no boot is asked for. Both words are of one length and stand
    in one place, so that a disk that is full since takes them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def sent(self) -> None:
        """Note, before a request is sent, that its status is to come; on disk on return. Raises OSError."""
        is_new = not self._path.exists()
        self._write(_SENT, durably=True)
        if is_new:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def answered(self) -> None:
        """Note that the status is known. Raises OSError."""
        # A power cut may undo this: then the next request waits once in vain.
        self._write(_ANSWERED, durably=False)

    @property
    def is_open(self) -> bool:
        """Whether a status is still to come; no where nothing says so."""
        try:
            return self._path.read_bytes() == _SENT
        except FileNotFoundError:
            return False

    def _write(self, word: bytes, *, durably: bool) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, word, 0)
            if durably:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
