"""How is what was measured shown to a person: as text and as plots?"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from tests.bench.analysis.costs import Backfill, BuildSpeed, Reuse
from tests.bench.analysis.fidelity import Fidelity, Interval
from tests.bench.analysis.table import ORDERS, Row, Table
from tests.bench.bench_engine import efficiencies

_MEASURES = {
    "labels": "same label",
    "blunders": "blunders found",
    "swings": "same largest swing",
    "accuracy_error": "accuracy error, points",
}
_NAMES = {
    "fixed": "fixed",
    "adaptive": "adaptive",
    "forward": "fixed, hash kept, forward",
    "reversed": "fixed, hash kept, reversed",
}


def fidelity_text(result: Table) -> str:
    """Return the table in Markdown, and below it what it says of the adaptive mode."""
    return "\n".join([*_head(result), *_table(result), "", *_conclusions(result)]) + "\n"


def _head(result: Table) -> Iterator[str]:
    yield (
        f"{result.games} games, {result.plies} plies, {result.positions} positions searched; truth: "
        f"{result.plan.truth:,} nodes a position, clean hash."
    )
    yield ""


def _table(result: Table) -> Iterator[str]:
    yield "| mode | reference | nodes a position | " + " | ".join(_MEASURES.values()) + " | against fixed |"
    yield "|---|---:|---:|" + "---:|" * len(_MEASURES) + "---|"
    for row in result.rows:
        against = "" if row.name == "fixed" else _one_line(row.to_fixed)
        yield (
            f"| {_NAMES[row.name]} | {row.reference:,} | {row.nodes:,.0f} | "
            f"{' | '.join(_cells(row.to_truth))} | {against} |"
        )
    for reference, floor in result.floors.items():
        yield f"| noise floor: forward against reversed | {reference:,} | | | | | | {_one_line(floor)} |"


def _cells(fidelity: Fidelity) -> list[str]:
    return [
        f"{100 * fidelity.labels:.1f} %",
        f"{100 * fidelity.blunders:.1f} %",
        f"{100 * fidelity.swings:.1f} %",
        f"{fidelity.accuracy_error:.2f}",
    ]


def _one_line(fidelity: Fidelity) -> str:
    return " / ".join(cell.removesuffix(" %") for cell in _cells(fidelity))


def _conclusions(result: Table) -> Iterator[str]:
    for reference in result.plan.references:
        row = result.row("adaptive", reference)
        share, wishes = row.nodes / reference, (row.wished or 0) / row.nodes
        yield (
            f"adaptive {reference:,}, for {100 * share:.1f} % of the nodes, wishes of plugins "
            f"{100 * wishes:.1f} % more (95 % of draws of these games):"
        )
        yield ""
        for beside, found in (
            ("against fixed, less one order against the other", result.beside_floor),
            ("against the truth, less fixed against it", result.beside_fixed),
        ):
            yield f"- {beside}: {_intervals(found[reference])}"
        yield ""


def _intervals(found: Mapping[str, Interval]) -> str:
    parts = []
    for measure, interval in found.items():
        # Shares in percent; the accuracy's error is in points already.
        value, low, high = (each * (1 if measure == "accuracy_error" else 100) for each in interval)
        parts.append(f"{_MEASURES[measure]} {value:+.2f} ({low:+.2f} to {high:+.2f})")
    return "; ".join(parts)


def speeds_text(speeds: Sequence[BuildSpeed], nodes: int) -> str:
    """Return a table of builds in Markdown."""
    games = len(speeds[0].worker.games) if speeds else 0
    lines = [
        f"{games} games, {nodes:,} nodes a position; per second of processor time, Python's included.",
        "",
        "| build | bare engine, nodes/s | worker | efficiency | by game | by the wall clock | Python's |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for build in speeds:
        worker, bare = build.worker, build.bare
        each = efficiencies(worker, bare)
        lines.append(
            f"| {build.name} | {bare.nodes / bare.cpu_seconds:,.0f} | "
            f"{worker.nodes / worker.cpu_seconds:,.0f} | "
            f"{bare.cpu_seconds / worker.cpu_seconds:.3f} | "
            f"{each[0]:.3f} to {each[-1]:.3f}, median {median(each):.3f} | "
            f"{bare.wall_seconds / worker.wall_seconds:.3f} | "
            f"{100 * worker.python_seconds / worker.cpu_seconds:.1f} % |"
        )
    return "\n".join(lines) + "\n"


def costs_text(reuse: Reuse, backfill: Backfill, nodes_per_second: float, rows: Sequence[Row]) -> str:
    """Return what a history of games costs by the modes of some rows of the fidelity table."""
    stored, wishes_stored = (
        1 - part / max(1, whole)
        for part, whole in ((reuse.searched, reuse.positions), (reuse.wishes_searched, reuse.wished))
    )
    summary = (
        f"{reuse.games} games of a history, {reuse.positions:,} positions (each once a game), of which the "
        f"store has {100 * stored:.1f} % from earlier games, and {100 * wishes_stored:.1f} % of "
        f"{reuse.wished:,} wishes for several lines. At {nodes_per_second:,.0f} nodes/s:"
    )
    header = "| mode | nodes a position | wishes add | games per core-hour | with the store |"
    lines = [summary, "", header, "|---|---:|---:|---:|---:|"]
    for row in rows:
        wished = row.wished or 0
        alone = row.nodes + wished
        together = row.nodes * (1 - stored) + wished * (1 - wishes_stored)
        hourly, with_store = (
            3_600 * nodes_per_second / (nodes * reuse.positions / reuse.games) for nodes in (alone, together)
        )
        lines.append(
            f"| {row.name} | {row.nodes:,.0f} | {100 * wished / row.nodes:.1f} % | {hourly:,.0f} | "
            f"{with_store:,.0f} |"
        )
    thousand = 1_000 * backfill.seconds / backfill.games
    new_plugin = (
        f"Backfill of all plugins over {backfill.games} stored games, wishes fulfilled: {backfill.searched} "
        f"searches, {thousand:.1f} s of the worker's processor time per 1,000 games (HTTP and database not "
        "counted)."
    )
    return "\n".join([*lines, "", new_plugin]) + "\n"


def plot(result: Table, path: Path) -> None:
    """Draw each measure over the nodes that it cost."""
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    styles = {"fixed": "o-", "adaptive": "s-", "forward": "^", "reversed": "v"}
    for axis, (measure, title) in zip(axes.flat, _MEASURES.items(), strict=True):
        for name, style in styles.items():
            rows = [row for row in result.rows if row.name == name]
            color = "grey" if name in ORDERS else None
            values = [_value(row, measure) for row in rows]
            axis.plot([row.nodes for row in rows], values, style, color=color, label=_NAMES[name])
        axis.set_xscale("log")
        axis.set_xticks([], minor=True)
        axis.set_xticks(result.plan.fixed, labels=[f"{nodes:,}" for nodes in result.plan.fixed])
        axis.set_title(title if measure == "accuracy_error" else f"{title}, %")
        axis.grid(visible=True, alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("nodes a position, all its searches together")
    axes[0][0].legend()
    figure.suptitle(f"Against {result.plan.truth:,} nodes a position ({result.games} games)")
    figure.savefig(path, dpi=110)


def _value(row: Row, measure: str) -> float:
    value: float = getattr(row.to_truth, measure)
    return value if measure == "accuracy_error" else 100 * value
