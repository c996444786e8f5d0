"""What does a producer do whose kernel lock is taken out? (A mutation that the gate's tests must see.)"""

import sys

from workers import cli
from workers.ingestion import lock


def _as_if_locked(descriptor: int) -> bool:
    return descriptor >= 0


def _nameless(descriptor: int, boot_id: str) -> str:
    # Else it would take over what its rival, whom the kernel's lock would keep out, still holds in Redis.
    del descriptor, boot_id
    return ""


if __name__ == "__main__":
    lock._flocked = _as_if_locked
    lock._name = _nameless
    sys.exit(cli.main(["producer"]))
