"""Which of the installed builds of the engine work on this host, and which is the fastest?

Builds of one engine for different CPUs find the same, node for node, at up to twice the speed. So the fastest
may be taken freely, as long as it is shown to find the same.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import chess

from app.contract.positions import EngineIdentity, Evaluation
from workers.analysis.engine import Engine, EngineError, EngineOptions, EngineTimeout

_PROBES = (
    chess.STARTING_FEN,
    "r1bqk2r/ppp2ppp/2np1n2/2b1p3/2B1P3/2PP1N2/PP3PPP/RNBQK2R w KQkq - 0 6",
    "r2q1rk1/1b2bppp/p2ppn2/1p6/3BPP2/P1NB4/1PP3PP/R2Q1RK1 w - - 1 14",
    "8/5pk1/4p1p1/3pP2p/1r3P1P/4R1P1/5PK1/8 w - - 3 41",
    "8/8/4kpp1/3p1b2/p6P/2B5/6P1/6K1 b - - 0 47",
)
_NODES = 20_000
_ALONE_NODES = 1_000
"""Where there is no choice it only has to be seen that it works."""
_ENOUGH_SECONDS = 0.25
"""Processor time after which the speed of a build is known well enough: they differ by much."""

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
"""What the kernel counts processor time in."""


@dataclass(frozen=True)
class EngineBuild:
    """One installed program, tried."""

    path: Path
    identity: EngineIdentity | None = None
    """Who it is; None where it did not get so far."""
    nodes_per_second: float | None = None
    """Of processor time; None where it was not measured."""
    fault: str = ""
    """Why it is not used; empty where it could be."""
    too_slow: bool = False
    """Whether the fault is that it did not answer in time, which may be the host's."""
    found: Sequence[Evaluation] = field(default=(), repr=False)
    """What it found at the probes, as far as it was asked."""


def installed(setting: str) -> list[Path]:
    """Return the programs that a setting names, in its order.

    The setting is a list with colons, like PATH: of programs, looked up on PATH if bare names, and of
    folders, which stand for the executable files in them, by name. What is not there is returned as named.
    """
    programs: list[Path] = []
    for entry in filter(None, setting.split(":")):
        path = Path(entry)
        if path.is_dir():
            programs += sorted(file for file in path.iterdir() if shutil.which(file))
        else:
            programs.append(path)
    return list(dict.fromkeys(programs))


async def try_builds(programs: Sequence[Path], options: EngineOptions) -> list[EngineBuild]:
    """Try each program with a short search, one after another, in their order; raises nothing.

    The first one that works says which engine is meant. Others are refused if they are another engine, or
    find anything else. Speed is measured where there is a choice.
    """
    probes, nodes = (_PROBES, _NODES) if len(programs) > 1 else (_PROBES[:1], _ALONE_NODES)
    builds = [await _tried(replace(options, path=path), probes, nodes) for path in programs]
    model = next((build for build in builds if not build.fault), None)
    return builds if model is None else [_held_against(model, build) for build in builds]


def fastest(builds: Sequence[EngineBuild]) -> EngineBuild | None:
    """Return the build to use, None where none works."""
    fit = [build for build in builds if not build.fault]
    return max(fit, key=lambda build: build.nodes_per_second or 0, default=None)


async def _tried(options: EngineOptions, probes: Sequence[str], nodes: int) -> EngineBuild:
    build = EngineBuild(options.path)
    try:
        engine = await Engine.launch(options)
        try:
            build = replace(build, identity=engine.identity)
            started = engine.processor_seconds()
            found: list[Evaluation] = []
            for fen in probes:
                found.append(await engine.evaluate(chess.Board(fen), nodes))
                spent = engine.processor_seconds() - started
                if spent >= _ENOUGH_SECONDS:
                    break
        finally:
            await engine.close()
    except EngineError as error:
        return replace(build, fault=str(error), too_slow=isinstance(error, EngineTimeout))
    speed = sum(item.nodes for item in found) / max(spent, _TICK_SECONDS) if len(probes) > 1 else None
    return replace(build, found=tuple(found), nodes_per_second=speed)


def _held_against(model: EngineBuild, build: EngineBuild) -> EngineBuild:
    if build.fault:
        return build
    if build.identity != model.identity:
        return replace(build, fault=f"another engine than {model.path}")
    if any(one != other for one, other in zip(model.found, build.found, strict=False)):
        return replace(build, fault=f"does not find what {model.path} finds")
    return build
