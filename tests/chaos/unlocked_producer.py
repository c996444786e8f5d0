"""What does a producer do whose kernel lock is taken out? (A mutation that the gate's tests must see.)"""

import sys

from workers import cli
from workers.ingestion import lock


def _as_if_locked(descriptor: int) -> bool:
    return descriptor >= 0


if __name__ == "__main__":
    lock._flocked = _as_if_locked
    sys.exit(cli.main(["producer"]))
