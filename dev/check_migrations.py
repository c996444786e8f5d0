"""Do the migrations make what the models describe?"""

import sys
import tempfile
from pathlib import Path

from dev.program import Program
from dev.services import data_services, open_state
from dev.stack import Stack

__all__ = ["check_migrations"]


def check_migrations() -> None:
    """Migrate a new database and let the product compare it with its models.

    Raises DevError with what the product says of the differences.
    """
    with tempfile.TemporaryDirectory(prefix="scoresheet-") as folder, open_state(Path(folder)) as state:
        services = data_services(state)
        postgres = services.programs[0]
        command = Path(sys.executable).with_name("scoresheet")
        steps = [
            Program(name, (command, *arguments), environment=services.environment, oneshot=True)
            for name, arguments in (("migrate", ["migrate"]), ("compare", ["migrate", "--check"]))
        ]
        with Stack(state, [postgres, *steps]):
            pass
