"""Which games does the test kit give to a plugin?

Games of an engine against itself, with an engine's evaluations: samples.json, made by `dev.plugin_samples`.
From one of them come the odd ones, each of which lacks or has something that a plugin must cope with.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from app.contract.analyses import EARLIER_PLIES
from app.contract.games import Clock, Color, LichessEvaluation
from app.contract.positions import EvaluationSource, Score
from plugins.api import AnalysedGame, Division, EarlierGames, Line, PositionEvaluation

BASE = "SH5eqL8e"
"""The sample that has everything: clocks, division, 100 plies to a mate."""
BUDGET_NODES = 20_000
"""Of every evaluation."""


@cache
def load_samples() -> Mapping[str, AnalysedGame]:
    """Return the sample games by id: none, one and two moves, mate, stalemate, resignations, a game lost on
    time, without clocks, correspondence, chess960, Black to move first, and 242 plies.
    """
    return MappingProxyType({entry["id"]: _game(entry) for entry in _entries()})


def named_samples() -> Iterator[tuple[str, AnalysedGame]]:
    """Yield the samples, each with what it is."""
    for entry in _entries():
        yield entry["about"], load_samples()[entry["id"]]


def odd_games(*, evaluated: bool = True) -> Iterator[tuple[str, AnalysedGame]]:
    """Yield games that are odd in one way each, with its name.

    `evaluated` says whether every game with moves has evaluations, as for a plugin that needs them.
    """
    base = load_samples()[BASE]
    clocks = base.clocks_cs or ()
    for plies in (1, 2, 3, 7, 20):
        yield f"that ends at ply {plies}", cut(base, plies)
    yield "without moves but with clocks", replace(cut(base, 0), evaluations=(), clocks_cs=clocks[:2])
    yield "without clocks", replace(base, clocks_cs=None)
    yield "with one clock", replace(base, clocks_cs=clocks[:1])
    yield "with a clock less than moves", replace(base, clocks_cs=clocks[:-1])
    yield "with a clock more than moves", replace(base, clocks_cs=(*clocks, 0))
    yield "without a time control", replace(base, clock=None)
    yield "without a division", replace(base, division=None)
    yield "that begins as an endgame", replace(base, division=Division(None, 0))
    yield "of words that are new", replace(base, status="adjourned", speed="glacial", winner=None)
    yield "that Lichess analysed", replace(base, lichess_evaluations=_of_lichess(base))
    yield "that Lichess analysed in part", replace(base, lichess_evaluations=_of_lichess(base)[:50])
    yield (
        "with gaps in Lichess's analysis",
        replace(base, lichess_evaluations=tuple(LichessEvaluation() for _ in base.uci)),
    )
    yield (
        "with Lichess's evaluations in place of an engine's",
        replace(
            base,
            evaluations=_bare(base),
            evaluations_from=EvaluationSource.LICHESS,
            lichess_evaluations=_of_lichess(base),
        ),
    )
    yield (
        "with Lichess's lines where a move was worse",
        replace(
            base,
            evaluations=_of_misplayed(base),
            evaluations_from=EvaluationSource.LICHESS,
            lichess_evaluations=_of_lichess(base),
        ),
    )
    yield "with several lines", replace(base, evaluations=tuple(_with_lines(base)))
    yield "that both players know", replace(base, earlier_games=_earlier(base, 25))
    yield "that both players play first", replace(base, earlier_games=_earlier(base, 0))
    if not evaluated:
        yield "without evaluations", replace(base, evaluations=())


def cut(game: AnalysedGame, plies: int) -> AnalysedGame:
    """Return a game as it would be had it ended after so many plies."""
    return replace(
        game,
        uci=game.uci[:plies],
        evaluations=game.evaluations[: plies + 1],
        clocks_cs=None if game.clocks_cs is None else game.clocks_cs[:plies],
        status="resign",
    )


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((files(__package__) / "samples.json").read_text())
    return entries


def _game(entry: Mapping[str, Any]) -> AnalysedGame:
    winner, clock, division = entry["winner"], entry["clock"], entry["division"]
    return AnalysedGame(
        id=entry["id"],
        variant=entry["variant"],
        initial_fen=entry["initial_fen"],
        status=entry["status"],
        winner=winner and Color(winner),
        uci=tuple(entry["uci"].split()),
        clocks_cs=None if entry["clocks_cs"] is None else tuple(entry["clocks_cs"]),
        evaluations=tuple(map(_evaluation, entry["evaluations"])),
        speed=entry["speed"],
        clock=clock and Clock(initial_seconds=clock[0], increment_seconds=clock[1]),
        days_per_turn=entry["days_per_turn"],
        division=division and Division(*division),
    )


def _evaluation(entry: Sequence[Any]) -> PositionEvaluation:
    cp, mate, depth, nodes, pv = entry
    return PositionEvaluation(
        score=Score(cp=cp, mate=mate),
        depth=depth,
        nodes=nodes,
        pv=tuple(pv.split()),
        budget_nodes=BUDGET_NODES if nodes else 0,
    )


def _with_lines(game: AnalysedGame) -> Iterator[PositionEvaluation]:
    lines = next(entry["lines"] for entry in _entries() if entry["id"] == game.id)
    for ply, evaluation in enumerate(game.evaluations):
        found = [Line(Score(cp=cp, mate=mate), tuple(pv.split())) for cp, mate, pv in lines.get(str(ply), [])]
        yield replace(evaluation, lines=tuple(found))


def _bare(game: AnalysedGame) -> tuple[PositionEvaluation, ...]:
    return tuple(replace(item, depth=0, nodes=0, budget_nodes=0, pv=()) for item in game.evaluations)


def _of_misplayed(game: AnalysedGame) -> tuple[PositionEvaluation, ...]:
    """Return evaluations as Lichess's are: a line only where another move was played."""
    lines = [
        item.pv if item.pv[:1] != (uci,) else ()
        for item, uci in zip(game.evaluations, game.uci, strict=False)
    ]
    return tuple(replace(item, pv=line) for item, line in zip(_bare(game), [*lines, ()], strict=True))


def _of_lichess(game: AnalysedGame) -> tuple[LichessEvaluation, ...]:
    return tuple(LichessEvaluation(score=item.score) for item in game.evaluations[1:-1])


def _earlier(game: AnalysedGame, games: int) -> dict[Color, EarlierGames]:
    reached = tuple(max(0, games - 3 * ply) for ply in range(min(game.plies, EARLIER_PLIES) + 1))
    return {side: EarlierGames(games=games, reached=reached, complete=bool(games)) for side in Color}
