"""Which state does a program find itself in when it starts? As JSON, for a test that compares two ways."""

import json
import os
import signal
import sys
from pathlib import Path

_OWN = {"SUPERVISOR_SERVER_URL"}
"""Where the supervisor answers: another folder for each."""

if __name__ == "__main__":
    status = Path("/proc/self/status").read_text()
    state = {
        "arguments": sys.argv[1:],
        "module": Path(sys.argv[0]).name,
        "name": __name__,
        "environment": {name: value for name, value in sorted(os.environ.items()) if name not in _OWN},
        "signals": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
        "masks": [
            line for line in status.splitlines() if line.startswith(("Sig", "Shd")) and "Q" not in line
        ],
        "open files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "leads its group": os.getpgid(0) == os.getpid(),
        "umask": os.umask(0o77),
        "threads": "Threads:\t1" in status,
    }
    sys.stdout.write(json.dumps(state) + "\n")
    sys.exit(int(sys.argv[1]))
