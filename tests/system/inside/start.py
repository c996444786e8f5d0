"""Does the machine come up as it was installed, and may its units do no more than they have to?"""

import json
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.system.inside.host import SECOND_WORKER, UNITS, expect, run, short, show, wait_ready, wait_until
from tests.system.inside.lichess import OWNER
from tests.system.inside.situation import Situation

_ENGINE_UNIT: Final = "scoresheet-analysis-consumer.service"
_MIGRATION: Final = "scoresheet-migrate.service"
_EXPOSURE_LIMIT: Final = 1.5
_ENGINE_EXPOSURE_LIMIT: Final = 1.0
_WORKER_TOKEN: Final = Path("/var/lib/scoresheet/secrets/worker-token")


def boot(situation: Situation) -> str:
    """Wait for every role; nothing had to be started twice on the way."""
    # Beside the API, whose start is what takes the time.
    situation.lichess.start()
    wait_until(_is_migrated, "the database is migrated")
    _make_token(situation)
    # The second worker too: what there is to analyse must not be done before both are at it.
    units = (*UNITS, SECOND_WORKER)
    wait_ready(units)
    shown = show((*units, _MIGRATION), "ActiveEnterTimestampMonotonic", "NRestarts")
    again = [unit for unit, properties in shown.items() if properties["NRestarts"] != "0"]
    expect(not again, f"started more than once: {again}")
    last = max(int(properties["ActiveEnterTimestampMonotonic"]) for properties in shown.values())
    expect(
        show(["scoresheet.target"], "ActiveState")["scoresheet.target"]["ActiveState"] == "active",
        "no target",
    )
    return f"{last / 1e6:.0f} s from the kernel's start to the last READY of {len(units)} units"


def _is_migrated() -> bool:
    ended = "ExecMainExitTimestampMonotonic"
    return show([_MIGRATION], ended)[_MIGRATION][ended] != "0"


def _make_token(situation: Situation) -> None:
    admin = "/usr/local/libexec/scoresheet-admin"
    token = run(admin, "token", "create", "checks", "--scope=read", "--scope=write").strip()
    situation.api.token = token
    situation.secrets += [token, _WORKER_TOKEN.read_text().strip()]


def exposure(_: Situation) -> str:
    """Hold what each unit of ours may do against its limit."""
    listed = json.loads(run("systemd-analyze", "security", "--no-pager", "--json=short"))
    ours = {
        entry["unit"]: float(entry["exposure"]) for entry in listed if entry["unit"].startswith("scoresheet-")
    }
    expect(set(UNITS) <= set(ours), f"only {sorted(ours)} are listed")
    for unit, value in ours.items():
        limit = _ENGINE_EXPOSURE_LIMIT if unit == _ENGINE_UNIT else _EXPOSURE_LIMIT
        expect(value <= limit, f"{unit} has {value}, more than {limit}")
    figures = sorted(ours.items())
    return ", ".join(f"{short(unit)} {value}" for unit, value in figures)


def database_closed(_: Situation) -> str:
    """Knock at PostgreSQL and PgBouncer as the workers' user, in the name of each role: none lets it in."""
    doors = [
        (port, role) for port in (5432, 6432) for role in ("scoresheet", "scoresheet_migrate", "postgres")
    ]
    for port, role in doors:
        address = f"host=/run/postgresql port={port} user={role} dbname=scoresheet"
        as_worker = (
            "runuser",
            "-u",
            "scoresheet-worker",
            "--",
            "psql",
            "--no-psqlrc",
            "--no-password",
            address,
        )
        tried = subprocess.run(
            [*as_worker, "--command=SELECT 1"], capture_output=True, text=True, check=False
        )
        expect(tried.returncode != 0, f"the workers' user is {role} at port {port}")
        expect("failed" in tried.stderr, f"no clear refusal at port {port}: {tried.stderr.strip()!r}")
    return f"{len(doors)} doors tried by the workers' user, all closed"


def ingest(situation: Situation) -> str:
    """Follow a player: the games come in from Lichess."""
    began = time.monotonic()
    situation.lichess.follow(OWNER)
    situation.lichess.wait_whole(OWNER)
    return f"{len(situation.lichess.players[OWNER])} games in {time.monotonic() - began:.0f} s"
