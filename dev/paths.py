"""Where in the checkout are the things that development makes?"""

from pathlib import Path
from typing import Final

__all__ = ["CHECKOUT", "STATE", "TOOLS"]

CHECKOUT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = CHECKOUT / ".tools"
"""Programs fetched for this checkout alone."""
STATE: Final = CHECKOUT / "var"
"""Data, sockets and logs of the stack that `make up`, `make demo` and `make run` share."""
