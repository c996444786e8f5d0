"""How is a secret read from the file that systemd or the owner provides?"""

from pathlib import Path

from pydantic import SecretStr


class SecretFileError(Exception):
    """A credential file is missing, unreadable, empty or no text."""


def read_secret(path: Path) -> SecretStr:
    """Return the file's content without surrounding white space; raises SecretFileError with one line."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"cannot read the secret in {path}: {error}") from error
    if not text:
        raise SecretFileError(f"the secret in {path} is empty")
    if not text.isprintable() or not text.isascii() or " " in text:
        raise SecretFileError(f"the secret in {path} must be one line of printable ASCII without spaces")
    return SecretStr(text)
