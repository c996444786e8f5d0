"""How does a role read its settings, and say in one line what is wrong with them?"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

PREFIX = "SCORESHEET_"
EX_CONFIG = 78
"""Exit status of a role whose configuration is wrong (sysexits.h)."""

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class NotNowError(Exception):
    """What a program needs did not answer in time; another start may be luckier. The message is one line."""


class ConfigurationError(Exception):
    """The configuration is wrong; the message is one line and names the variable."""


def load_settings(settings_class: type[SettingsT], names: Collection[str]) -> SettingsT:
    """Return the settings, or raise ConfigurationError.

    Each comes from a variable or, if that is absent or empty, from one of systemd's credentials of the same
    name (LoadCredential=scoresheet_database_url:…): the place for whatever holds a password.
    One environment file serves all roles: `names` (upper case, without prefix) are what they read among them.
    A SCORESHEET_ name that nobody reads is an error, since it is most likely misspelt.
    """
    known = {field.upper() for field in settings_class.model_fields} | set(names)
    try:
        credentials = _credentials()
        given = [*os.environ, *(path.name.upper() for path in credentials)]
        unknown = sorted(n for n in given if n.startswith(PREFIX) and n.removeprefix(PREFIX) not in known)
        if unknown:
            raise ConfigurationError(f"unknown setting {', '.join(unknown)}")
        return settings_class(_secrets_dir=credentials[0].parent if credentials else None)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_one_line(item) for item in error.errors())) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"CREDENTIALS_DIRECTORY: {error}") from error


def _credentials() -> list[Path]:
    """Return the credentials that are settings; not those that a setting names the file of."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return []
    return sorted(path for path in Path(folder).iterdir() if path.name.upper().startswith(PREFIX))


def _one_line(error: Mapping[str, object]) -> str:
    location = error["loc"]
    name = PREFIX + str(location[0]).upper() if isinstance(location, tuple) and location else "settings"
    return f"{name}: {error['msg']}"
