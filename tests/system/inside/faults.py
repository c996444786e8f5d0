"""Does everything come back by itself, whatever part of it goes away?"""

import http.client
import os
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

from tests.system.inside import work
from tests.system.inside.host import (
    LIMIT_SECONDS,
    SECOND_WORKER,
    UNITS,
    CheckFailedError,
    expect,
    journal,
    main_pids,
    run,
    show,
    slowest,
    sql,
    wait_ready,
    wait_until,
    written_by,
)
from tests.system.inside.lichess import RATE_LIMIT_SECONDS, Lichess
from tests.system.inside.situation import Situation

WATCHDOG_SECONDS: Final = 30
"""Of the worker that will hang, so that the check does not take the minutes of a real one."""
HUNG: Final = SECOND_WORKER
MISCONFIGURED: Final = "scoresheet-analysis-consumer@9.service"
WRONG_SETTING: Final = "[Service]\nEnvironment=SCORESHEET_ENGINE_HASH_MB=plenty\n"
"""Of that worker, which only a check starts."""
_STOP_LIMIT_SECONDS: Final = 180
"""The workers' TimeoutStopSec=, after which systemd kills."""
_POSTGRESQL: Final = "postgresql@17-main.service"
_FILLER: Final = Path("/var/tmp/filler")  # noqa: S108  anybody may write there
_LAST_BYTES: Final = 32 * 2**20
"""Written one by one: how many fit, the file system does not say exactly."""
_STARTS_IN_VAIN: Final = 2
_HOUR_SECONDS: Final = 3_600
_SILENCE: Final = "SELECT 1 FROM source_gates WHERE not_before > now()"
_LOOKS: Final = 5
"""On a slow machine a silence may be over before it is seen."""


def services_restarted(situation: Situation) -> str:
    """Restart PostgreSQL, PgBouncer and Redis at work: all roles live on, and nothing is lost."""
    work.under_way(situation)
    before = main_pids()
    situation.lichess.add("rosa")
    began = time.monotonic()
    run("systemctl", "restart", "postgresql.service", "pgbouncer.service", "redis-server.service")
    away = time.monotonic() - began
    wait_until(lambda: situation.api.json_or_none("/readyz"), "the API is ready")
    ready = time.monotonic() - began
    situation.lichess.wait_whole("rosa")
    expect(main_pids() == before, "a role was restarted")
    whole = time.monotonic() - began
    return f"back in {away:.0f} s; API ready after {ready:.0f} s, a new player's games whole {whole:.0f} s"


def api_restart(situation: Situation) -> str:
    """Restart the API: it costs its clients a wait and no error.

    On a machine as slow as this more may wait then than its database serves in time: some are asked to come
    again.
    """
    waits: list[float] = []
    troubles: list[str] = []
    asked_again: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(0.1):
            began = time.monotonic()
            try:
                status, _ = situation.api.send("GET", "/v1/games?limit=1", timeout=LIMIT_SECONDS)
            except (OSError, http.client.HTTPException) as error:
                troubles.append(repr(error))
                continue
            if status == http.client.SERVICE_UNAVAILABLE:
                asked_again.append(status)
                continue
            waits.append(time.monotonic() - began)
            if status != http.client.OK:
                troubles.append(str(status))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        run("systemctl", "restart", "scoresheet-api.service")
        restarted_after = len(waits)
        wait_until(lambda: len(waits) >= restarted_after + len(clients), "requests are answered again")
    finally:
        enough.set()
        for client in clients:
            client.join()
    expect(not troubles, f"{len(troubles)} of {len(waits)} requests failed: {troubles[:3]}")
    return (
        f"{len(waits)} requests, none refused, {len(asked_again)} asked to come again; "
        f"the longest waited {max(waits):.1f} s"
    )


def killed(situation: Situation) -> str:
    """Kill every role at once in the midst of its work, and stop a worker besides: the killed come back."""
    work.under_way(situation)
    before = main_pids()
    situation.lichess.add("karl")
    _hang(situation)
    run("systemctl", "kill", "--signal=KILL", "--kill-whom=all", *UNITS)
    took = wait_ready(instead_of=before)
    began = time.monotonic()
    situation.lichess.wait_whole("karl")
    return f"all ready after {slowest(took)}; what was under way whole {time.monotonic() - began:.0f} s later"


def watchdog(situation: Situation) -> str:
    """See that systemd notices a worker that was stopped, and replaces it."""
    _hang(situation)
    wait_ready([HUNG], instead_of={HUNG: situation.hung_pid})
    ready = time.monotonic() - situation.hung_since
    barks = [
        int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 - situation.hung_since
        for entry in journal("--identifier=systemd", f"UNIT={HUNG}")
        if "Watchdog timeout" in str(entry["MESSAGE"])
    ]
    expect(len(barks) == 1, f"the watchdog barked {len(barks)} times")
    expect(barks[0] > 0, "the watchdog barked before the worker was stopped")
    return (
        f"a stopped worker was noticed after {barks[0]:.1f} s (WatchdogSec={WATCHDOG_SECONDS}), "
        f"its successor ready after {ready:.0f} s"
    )


def _hang(situation: Situation) -> None:
    """Stop a worker for its watchdog to notice, unless that was done in good time."""
    if situation.hung_pid:
        return
    situation.hung_pid = main_pids([HUNG])[HUNG]
    run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", HUNG)
    situation.hung_since = time.monotonic()


def warm_stop(situation: Situation) -> str:
    """Stop the analysis workers: they hand back what they have begun."""
    work.under_way(situation)
    holders = work.holders()
    handed_back = {unit: _handed_back(unit) for unit in work.WORKERS}
    began = time.monotonic()
    run("systemctl", "stop", *work.WORKERS)
    took = time.monotonic() - began
    results = show(work.WORKERS, "Result")
    kept = set(holders.values()) & work.held()
    back = {unit: _handed_back(unit) - handed_back[unit] for unit in work.WORKERS}
    work.stop_being_endless()
    run("systemctl", "start", "--no-block", *work.WORKERS)
    for unit, properties in results.items():
        expect(properties["Result"] == "success", f"{unit} ended with {properties['Result']}")
    expect(not kept, f"games are still held by {kept}")
    expect(all(back.values()), f"not every worker handed its game back: {back}")
    return f"{took:.1f} s (limit {_STOP_LIMIT_SECONDS} s), {sum(back.values())} games handed back, none held"


def _handed_back(unit: str) -> int:
    return sum('"game_handed_back"' in line for line in written_by(unit))


def wrong_setting(_: Situation) -> str:
    """Start a worker with a wrong setting: it fails with one readable line, and is not started again."""
    run("systemctl", "start", MISCONFIGURED, check=False)
    unit = show([MISCONFIGURED], "ActiveState", "ExecMainStatus", "NRestarts")[MISCONFIGURED]
    expect(unit["ActiveState"] == "failed", f"it is {unit['ActiveState']}")
    expect(unit["ExecMainStatus"] == "78", f"its exit status was {unit['ExecMainStatus']}")
    expect(unit["NRestarts"] == "0", f"it was started again {unit['NRestarts']} times")
    lines = written_by(MISCONFIGURED)
    expect(len(lines) == 1 and "SCORESHEET_ENGINE_HASH_MB" in lines[0], f"it wrote {lines}")
    run("systemctl", "reset-failed", MISCONFIGURED)
    return lines[0]


def disk_full(situation: Situation) -> str:
    """Fill the disk until PostgreSQL falls over: clients hear of it, and with room again all is back."""
    situation.lichess.add("fritz")
    disk = os.statvfs(_FILLER.parent)
    most = disk.f_bavail * disk.f_frsize - _LAST_BYTES
    # Not by root, for whom a part is set aside. Its end is that there is no room for more.
    fill = f"fallocate --length={most} {_FILLER} && cat /dev/zero >> {_FILLER}"
    run("runuser", "-u", "nobody", "--", "sh", "-c", fill, check=False)
    try:
        wait_until(_postgresql_is_down, "PostgreSQL fell over", poll_seconds=0)
        status, body = situation.api.send("GET", "/v1/games?limit=1")
        expect(status == http.client.SERVICE_UNAVAILABLE, f"without a database: {status}, {body[:200]!r}")
        wait_until(lambda: _starts_of_postgresql() >= _STARTS_IN_VAIN, "it is started again, in vain")
    finally:
        _FILLER.unlink()
    began = time.monotonic()
    wait_until(lambda: situation.api.json_or_none("/readyz"), "the API is ready")
    ready = time.monotonic() - began
    situation.lichess.wait_whole("fritz")
    wait_ready()
    whole = time.monotonic() - began
    situation.lichess.check()
    return (
        f"PostgreSQL was started {_starts_of_postgresql()} times; with room again the API was ready after "
        f"{ready:.0f} s, a player's games whole {whole:.0f} s"
    )


def _postgresql_is_down() -> bool:
    """Have PostgreSQL begin another segment of its log; tell whether it no longer answers."""
    statements = "SELECT pg_logical_emit_message(true, 'checks', 'fill'); SELECT pg_switch_wal()"
    try:
        sql(statements)
    except CheckFailedError:
        return show([_POSTGRESQL], "ActiveState")[_POSTGRESQL]["ActiveState"] != "active"
    return False


def _starts_of_postgresql() -> int:
    return int(show([_POSTGRESQL], "NRestarts")[_POSTGRESQL]["NRestarts"])


def clock(situation: Situation) -> str:
    """Put the clock an hour forward amid the silence after a 429, and back again: no request comes early."""
    work.let_end()
    lichess = situation.lichess
    refused = _refused(lichess)
    _turn_clock(_HOUR_SECONDS)
    began = time.monotonic()
    lichess.wait_whole(refused)
    forward = time.monotonic() - began
    rounds = _rounds()
    _turn_clock(-_HOUR_SECONDS)
    began = time.monotonic()
    lichess.add("emil")
    lichess.wait_whole("emil")
    back = time.monotonic() - began
    wait_until(lambda: _rounds() > rounds, "Beat sends the next round")
    wait_until(
        lambda: lichess.nothing_open(refused) and lichess.nothing_open("emil"), "their games are analysed"
    )
    lichess.check()
    return (
        f"a new player's games whole {forward:.0f} s after a step forward ({RATE_LIMIT_SECONDS} s of silence "
        f"among them), {back:.0f} s after one back"
    )


def _refused(lichess: Lichess) -> str:
    """Return a player whose first request was just answered 429: the silence is on record and not over."""
    for number in range(_LOOKS):
        player = f"dora{number}"
        lichess.refuse_next()
        lichess.add(player)
        # On record: else the workers' own clock would decide, which is about to be wrong.
        wait_until(partial(_silent_or_whole, lichess, player), "a request is answered 429")
        if sql(_SILENCE):
            expect(lichess.has_refused(), "no request was answered 429")
            return player
    raise CheckFailedError("each silence was over before it was seen")


def _silent_or_whole(lichess: Lichess, player: str) -> bool:
    return bool(sql(_SILENCE)) or lichess.is_whole(player)


def _turn_clock(seconds: float) -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def _rounds() -> int:
    return sum('"players_due"' in line for line in written_by("scoresheet-consumer.service"))
