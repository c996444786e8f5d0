"""How does a role read its settings from the environment, and say in one line what is wrong with them?"""

import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

PREFIX = "SCORESHEET_"
EX_CONFIG = 78
"""Exit status of a role whose configuration is wrong (sysexits.h)."""

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class ConfigurationError(Exception):
    """The configuration is wrong; the message is one line and names the variable."""


def load_settings(settings_class: type[SettingsT], known_elsewhere: Iterable[str] = ()) -> SettingsT:
    """Return the settings, or raise ConfigurationError.

    One environment file serves all roles: `known_elsewhere` are names (upper case, without prefix)
    that other roles read. A SCORESHEET_ name that nobody reads is an error, since it is most likely misspelt.
    """
    known = {field.upper() for field in settings_class.model_fields} | set(known_elsewhere)
    unknown = sorted(
        name for name in os.environ if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known
    )
    if unknown:
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}")
    try:
        return settings_class()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_one_line(item) for item in error.errors())) from error


def _one_line(error: Mapping[str, object]) -> str:
    location = error["loc"]
    name = PREFIX + str(location[0]).upper() if isinstance(location, tuple) and location else "settings"
    return f"{name}: {error['msg']}"
