"""How good are the analyses, and what do they cost?

    make bench-analysis
    python -m tests.bench.bench_analysis [FILE[:GAMES] ...] [--references 25000 100000] [--truth 400000] …

In one run: how well each way of spending nodes agrees with much deeper searches; what the worker costs
beside the bare engine, for every build of it; what the store of evaluations saves, and what a new plugin
costs, on a history of games. Everything is written to var/bench/analysis: report.md, a plot, and the
searches of the first part, which are never repeated.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog
from rich.progress import Progress

from dev.binaries import find_binaries
from dev.engines import builds
from dev.paths import STATE
from tests.bench.analysis import report
from tests.bench.analysis.costs import history, memory_mib, speeds, stored_and_again
from tests.bench.analysis.games import Game, sample
from tests.bench.analysis.searches import Cache, Job, collect
from tests.bench.analysis.table import Plan, Table, table
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_builds import EngineBuild, fastest, try_builds

_BUNDLED = "tests/fakes/lichess/games/selfplay.ndjson"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and show; returns the exit status."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    options = _options(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    engines = _working(options)
    best = fastest(engines)
    if best is None or best.identity is None:
        print("bench: no engine works here; try `make engines`", file=sys.stderr)
        return 1
    fidelity = _fidelity(options, best.path, best.identity.name)
    report.plot(fidelity, options.folder / "fidelity.png")
    text = "\n".join(
        [
            f"{best.identity.name}, one thread, hash {options.hash_mb} MB.\n",
            "## Fidelity\n",
            report.fidelity_text(fidelity),
            *_costs(options, fidelity, best.path, [build.path for build in engines]),
        ]
    )
    (options.folder / "report.md").write_text(text)
    print(text)
    return 0


def _working(options: argparse.Namespace) -> list[EngineBuild]:
    paths = [options.engine] if options.engine else builds() or [find_binaries().stockfish.path]
    tried = asyncio.run(try_builds(paths, EngineOptions(paths[0], options.hash_mb)))
    for build in tried:
        if build.fault:
            print(f"bench: {build.path.name} left out: {build.fault}", file=sys.stderr)
    return [build for build in tried if not build.fault]


def _fidelity(options: argparse.Namespace, engine: Path, name: str) -> Table:
    games = [game for source in options.games for game in _sample(source)]
    if not games:
        raise SystemExit(f"bench: no games in {' '.join(options.games)}")
    plan = Plan(tuple(sorted(options.references)), options.truth)
    path = options.folder / "searches.sqlite"
    _search(plan.jobs(games), path, engine, options)
    with closing(Cache(path, name, options.hash_mb)) as cache:
        return table(plan, games, cache)


def _costs(
    options: argparse.Namespace, fidelity: Table, engine: Path, engines: Sequence[Path]
) -> Iterator[str]:
    reference = max(options.references)
    claims = history(options.history, options.history_games)
    some = claims[:: max(1, len(claims) // options.speed_games)][: options.speed_games]
    nodes = options.speed_nodes or reference
    measured = [*speeds(engines, some, nodes, options.hash_mb)]
    yield "## The worker beside the bare engine\n"
    yield report.speeds_text(measured, nodes)
    yield "## A history of games\n"
    speed = max(build.worker.nodes / build.worker.cpu_seconds for build in measured)
    rows = [fidelity.row(name, reference) for name in ("fixed", "adaptive")]
    yield report.costs_text(*stored_and_again(claims), speed, rows)
    yield "## Memory\n"
    for slots in (1, 4):
        each = memory_mib(engine, options.hash_mb, slots)
        yield f"{slots} engine(s) at work: {each:.0f} MiB each, shared pages divided among them.\n"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "games",
        nargs="*",
        default=[f"{_BUNDLED}:4"],
        metavar="FILE[:GAMES]",
        help="NDJSON or PGN, may be gzipped; FILE:40 draws 40 of its games, always the same,\n"
        "and FILE:40-60 the 20 that it would draw next (default: %(default)s)",
    )
    parser.add_argument("--references", type=int, nargs="+", default=[4_000, 16_000])
    parser.add_argument("--truth", type=int, default=64_000)
    parser.add_argument("--hash-mb", type=int, default=16)
    parser.add_argument(
        "--engine", type=Path, help="default: the fastest of `make engines`, else the stack's"
    )
    parser.add_argument("--history", type=Path, default=Path(_BUNDLED), help="NDJSON; default: %(default)s")
    parser.add_argument("--history-games", type=int, default=1_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--speed-games", type=int, default=2, metavar="N", help="default: %(default)s")
    parser.add_argument("--speed-nodes", type=int, metavar="NODES", help="default: the highest reference")
    parser.add_argument("--slots", type=int, default=1, help="engines that search at once (default: 1)")
    parser.add_argument("--folder", type=Path, default=STATE / "bench/analysis", help="default: %(default)s")
    return parser.parse_args(arguments)


def _sample(source: str) -> list[Game]:
    path, _, wanted = source.partition(":")
    if not wanted:
        return sample(Path(path))
    first, dash, last = wanted.rpartition("-")
    return sample(Path(path), int(last))[int(first) if dash else 0 :]


def _search(jobs: Sequence[Job], cache: Path, engine: Path, options: argparse.Namespace) -> None:
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("searching", total=sum(job.nodes for job in jobs))
        for job, _ in collect(jobs, cache, engine, options.hash_mb, options.slots):
            progress.advance(task, job.nodes)


if __name__ == "__main__":
    sys.exit(main())
