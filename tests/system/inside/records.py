"""Is what the machine holds whole, does it say so, and does it come back from a dump?"""

import json
import time
from pathlib import Path
from typing import Final

from tests.system.inside import work
from tests.system.inside.host import (
    ROLES,
    SECOND_WORKER,
    UNITS,
    expect,
    run,
    short,
    show,
    sql,
    wait_until,
    written_by,
)
from tests.system.inside.situation import Situation

_BACKUPS: Final = Path("/var/lib/scoresheet/backups")
_API_ROLE: Final = "scoresheet"
_OPEN: Final = """SELECT 'fetch ' || id FROM ingestion_runs WHERE finished_at IS NULL
    UNION ALL SELECT 'game ' || game_id FROM game_analyses WHERE state = 'running'"""
_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


def structured(situation: Situation) -> str:
    """Read what the roles wrote: each line is one event in JSON, and none holds a secret."""
    lines = 0
    for unit in (*UNITS, SECOND_WORKER):
        # The worker that hung printed its threads' stacks when the watchdog ended it.
        for text in written_by(unit, but_pid=situation.hung_pid):
            try:
                event = json.loads(text)
            except ValueError:
                event = {}
            missing = {"timestamp", "level", "event"} - set(event)
            expect(not missing, f"{unit} wrote {text[:200]!r}, without {sorted(missing)}")
            lines += 1
    whole = run("journalctl", "--boot", "--quiet", "--no-pager", "--output=export")
    expect(not any(secret in whole for secret in situation.secrets), "a token stands in the journal")
    return (
        f"{lines} lines of {len(ROLES)} roles, all JSON with time, level and event; no token in the journal"
    )


def analysed(situation: Situation) -> str:
    """Compare with Lichess, after all that was done: every game is stored once and analysed."""
    work.let_end()
    began = time.monotonic()
    lichess = situation.lichess
    wait_until(lambda: all(map(lichess.nothing_open, lichess.players)), "every game is analysed")
    lichess.check()
    done = 0
    for player in lichess.players:
        counts, expected = lichess.analyses(player), lichess.analysed(player)
        expect(counts["done"] == expected, f"of {player}: {counts}, expected {expected} done")
        done += counts["done"]
    games = sum(map(len, lichess.players.values()))
    took = time.monotonic() - began
    return f"{games} games of {len(lichess.players)} players stored once, {done} analysed ({took:.0f} s)"


def restored(_: Situation) -> str:
    """Restore a backup into an empty database: every row is as it was."""
    began = time.monotonic()
    run("systemctl", "stop", "scoresheet.target", "scoresheet-*.service")
    stopped = time.monotonic() - began
    open_ = sql(_OPEN)
    expect(not open_, f"the API had stopped before these were reported: {open_}")
    run("systemctl", "start", "scoresheet-backup.service")
    before = _tables(_API_ROLE)
    psql = ("runuser", "-u", "postgres", "--", "psql", "--no-psqlrc", "--quiet")
    run(*psql, "--command=DROP DATABASE scoresheet WITH (FORCE)")
    run(*psql, "--file=systemd/database.sql")
    expect(not sql(_TABLES), "the new database is not empty")
    (dump,) = _BACKUPS.glob("*.dump")
    said = run("runuser", "-u", "scoresheet", "--", "/usr/local/libexec/scoresheet-restore", str(dump))
    after = _tables(_API_ROLE)
    differing = sorted(table for table in before | after if before.get(table) != after.get(table))
    expect(not differing, f"these tables differ: {differing}")
    return f"{said.strip()}; the API's role reads the same of every table. Target stopped in {stopped:.0f} s"


def _tables(role: str) -> dict[str, str]:
    """Return count and hash of each table's rows, whatever their order, as a role reads them."""
    hashed = "count(*) || ' ' || md5(coalesce(string_agg(md5(row::text), '' ORDER BY md5(row::text)), ''))"
    # One query for all: to start psql is what takes the time.
    each = [f"SELECT '{name}', {hashed} FROM {name} AS row" for name in sql(_TABLES, role)]  # noqa: S608  our own
    return dict(row.split("|") for row in sql(" UNION ALL ".join(each), role))


def nothing_failed(_: Situation) -> str:
    """Look for failed units of the whole machine."""
    failed = run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend").splitlines()
    expect(not failed, f"failed: {failed}")
    loaded = run("systemctl", "list-units", "--plain", "--no-legend").splitlines()
    restarts = ", ".join(f"{short(unit)} {of['NRestarts']}" for unit, of in show(UNITS, "NRestarts").items())
    return f"none of {len(loaded)} units; restarts: {restarts}"
