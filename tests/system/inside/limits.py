"""Does analysis keep to its share of the processor, and does the API answer meanwhile?"""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.system.inside import work
from tests.system.inside.host import ANALYSIS_SLICE, expect, show, wait_until
from tests.system.inside.situation import Situation

_CHANGED_PERCENT: Final = 30
_MEASURED_SECONDS: Final = 10.0
_SETTLING_SECONDS: Final = 2.0
_TOLERANCE: Final = 0.05
"""Of the quota: the kernel hands it out by periods of 100 ms, and two readings are not taken at once."""
_LEAST: Final = 0.6
"""Of the quota, that analysis must use for the figure to say something: other roles, which go first, may want
the rest."""

_ANSWERS: Final = 6
_PAUSE_SECONDS: Final = 0.3
"""Between two requests."""


def quota(situation: Situation) -> str:
    """Measure that analysis saturates its quota and gets no more, and that the API answers meanwhile."""
    work.under_way(situation)
    with _requests(situation) as answers:
        figure = _use_of_processor(work.TEST_PERCENT)
        wait_until(lambda: len(answers) >= _ANSWERS, "requests are answered")
    slow = statistics.quantiles(answers, n=20)[-1]
    return (
        f"{figure}, by two workers; {len(answers)} requests to the API meanwhile: "
        f"median {statistics.median(answers) * 1000:.0f} ms, 95 % within {slow * 1000:.0f} ms"
    )


def set_property(situation: Situation) -> str:
    """Change the quota of the slice at work."""
    work.under_way(situation)
    with work.quota(_CHANGED_PERCENT):
        return _use_of_processor(_CHANGED_PERCENT)


def memory(_: Situation) -> str:
    """Hold what all of Scoresheet uses against its slices."""
    shown = show(["scoresheet.slice", ANALYSIS_SLICE], "MemoryCurrent", "MemoryPeak", "MemoryMax")
    told = []
    for unit, properties in shown.items():
        values = {
            name: int(properties[name]) // 2**20 for name in ("MemoryCurrent", "MemoryPeak", "MemoryMax")
        }
        expect(values["MemoryPeak"] <= values["MemoryMax"], f"{unit} used {values['MemoryPeak']} MiB")
        told.append(
            f"{unit} {values['MemoryCurrent']} MiB, at most {values['MemoryPeak']} of {values['MemoryMax']}"
        )
    return "; ".join(told)


def _use_of_processor(percent: int) -> str:
    time.sleep(_SETTLING_SECONDS)  # the period of the old quota ends
    folder = Path("/sys/fs/cgroup") / show([ANALYSIS_SLICE], "ControlGroup")[ANALYSIS_SLICE][
        "ControlGroup"
    ].lstrip("/")
    before, began = _statistics(folder), time.monotonic()
    time.sleep(_MEASURED_SECONDS)
    after, took = _statistics(folder), time.monotonic() - began
    used = (after["usage_usec"] - before["usage_usec"]) / took / 1e4
    throttled = after["nr_throttled"] - before["nr_throttled"]
    periods = after["nr_periods"] - before["nr_periods"]
    error = used / percent - 1
    expect(throttled > 0, f"analysis never reached its quota of {percent} %: it used {used:.1f} %")
    expect(error <= _TOLERANCE, f"analysis used {used:.1f} % of a processor with a quota of {percent} %")
    expect(used >= _LEAST * percent, f"analysis used only {used:.1f} % of its quota of {percent} %")
    return (
        f"used {used:.1f} % of {percent} %: {error:+.1%} in {took:.0f} s, "
        f"held back in {throttled} of {periods} periods"
    )


def _statistics(folder: Path) -> dict[str, int]:
    pairs = (line.split() for line in (folder / "cpu.stat").read_text().splitlines())
    return {name: int(value) for name, value in pairs}


@contextmanager
def _requests(situation: Situation) -> Iterator[list[float]]:
    """Ask for a page of games again and again; each answer's time in seconds is added to the list."""
    answers: list[float] = []
    troubles: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        # The slower the machine, the fewer: what the API takes would be missed by analysis, which goes last.
        while not enough.wait(max(_PAUSE_SECONDS, 2 * answers[-1] if answers else 0)):
            began = time.monotonic()
            try:
                status, _ = situation.api.send("GET", "/v1/games?limit=20")
            except (OSError, http.client.HTTPException) as error:
                troubles.append(repr(error))
                continue
            answers.append(time.monotonic() - began)
            if status != http.client.OK:
                troubles.append(str(status))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()
    expect(not troubles, f"the API answered {troubles[:3]}")
