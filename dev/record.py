"""How far is a player's record, and how does it read?"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dev.errors import DevError

__all__ = ["Counts", "follow", "read_counts", "show_summary"]

_POLL_SECONDS: Final = 1.0
_PLAIN_SECONDS: Final = 10
"""Between two lines of progress where the output is no terminal."""
_STANDSTILL_SECONDS: Final = 300
"""Without any progress for this long, waiting has no point."""


@dataclass(frozen=True)
class Counts:
    """A player's record in numbers of games."""

    seen: int
    stored: int
    refused: int
    analysed: int
    unsupported: int
    failed: int
    open: int
    """Waiting for their analysis, or under it."""
    whole: bool
    """The source has shown all it has, and nothing that it showed is pending."""

    @property
    def settled(self) -> bool:
        """Nothing is left to do."""
        return self.whole and self.open == 0

    @property
    def missing_nothing(self) -> bool:
        """Every game seen is stored, and every stored one analysed or of a variant without an engine."""
        return (
            self.settled
            and self.refused == self.failed == 0
            and self.seen == self.stored == self.analysed + self.unsupported
        )

    def line(self) -> str:
        """Return the record in one line, for programs to read."""
        names = ("seen", "stored", "refused", "analysed", "unsupported", "failed")
        return " ".join(f"{name}={getattr(self, name)}" for name in names)


def read_counts(client: httpx.Client, player: str) -> Counts:
    """Ask the API for the counts."""
    record = client.get(f"/v1/players/{player}").raise_for_status().json()
    analyses = client.get(f"/v1/players/{player}/summary").raise_for_status().json()["analyses"]
    completeness = record["completeness"]
    return Counts(
        seen=completeness["seen"],
        stored=completeness["stored"],
        refused=completeness["refused"],
        analysed=analyses["done"],
        unsupported=analyses["unsupported"],
        failed=analyses["failed"],
        open=analyses["pending"] + analyses["running"],
        whole=completeness["complete"],
    )


def follow(client: httpx.Client, player: str, console: Console, total: int, since: str | None) -> Counts:
    """Show progress until the player's record is settled by a look at Lichess later than `since`.

    `total` is the number of games to expect. Raises DevError when nothing moves for five minutes.
    """
    last, moved = None, time.monotonic()
    with _display(console, total) as show:
        while True:
            counts = _counts_or_none(client, player, since)
            if counts != last:
                last, moved = counts, time.monotonic()
            if counts is not None:
                show(counts)
                if counts.settled:
                    return counts
            if time.monotonic() - moved > _STANDSTILL_SECONDS:
                raise DevError(f"no progress for {_STANDSTILL_SECONDS} s: {last and last.line()}")
            time.sleep(_POLL_SECONDS)


def _counts_or_none(client: httpx.Client, player: str, since: str | None) -> Counts | None:
    try:
        synced_at = client.get(f"/v1/players/{player}").raise_for_status().json()["synced_at"]
        counts = read_counts(client, player)
    except httpx.HTTPError:
        return None  # the API is being restarted; the stack says so
    if synced_at == since:
        return Counts(**{**counts.__dict__, "whole": False})
    return counts


@contextmanager
def _display(console: Console, total: int) -> Iterator[Callable[[Counts], None]]:
    if not console.is_terminal:
        yield _plain(console, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        stored = progress.add_task("stored", total=total)
        analysed = progress.add_task("analysed", total=total)

        def show(counts: Counts) -> None:
            progress.update(stored, completed=counts.stored + counts.refused)
            progress.update(analysed, completed=counts.analysed + counts.unsupported + counts.failed)

        yield show


def _plain(console: Console, total: int) -> Callable[[Counts], None]:
    last = time.monotonic()

    def show(counts: Counts) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_SECONDS:
            last = time.monotonic()
            console.print(f"progress: {counts.line()} of {total}", soft_wrap=True)

    return show


def show_summary(client: httpx.Client, player: str, console: Console) -> None:
    """Print results by colour and speed, accuracy, and the largest swings."""
    summary: dict[str, Any] = client.get(f"/v1/players/{player}/summary").raise_for_status().json()
    table = Table("", "games", "won", "drawn", "lost", "accuracy", title=f"{summary['username']} on Lichess")
    rows = [("all", summary["total"], None)]
    rows += [(color, tally, summary["accuracy"].get(color)) for color, tally in summary["by_color"].items()]
    rows += [(speed, tally, None) for speed, tally in summary["by_speed"].items()]
    for name, tally, accuracy in rows:
        percent = "" if accuracy is None else f"{accuracy['percent']:.1f} %"
        table.add_row(name, *(str(tally[key]) for key in ("games", "win", "draw", "loss")), percent)
    console.print(table)
    console.print("Largest swings")
    for swing in summary["largest_swings"]:
        number = (swing["ply"] + 1) // 2
        dots = "." if swing["side"] == "white" else "…"
        players = f"{swing['white']} - {swing['black']}, {swing['created_at'][:10]}"
        chances = f"{swing['before']:+.2f} → {swing['after']:+.2f} for {swing['side']}"
        console.print(
            f"  {players}: {number}{dots} {swing['san']}, winning chances {chances}", soft_wrap=True
        )
        console.print(f"    {swing['analysis_url']}", soft_wrap=True)
