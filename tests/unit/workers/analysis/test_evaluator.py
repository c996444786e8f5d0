"""Is each position of a game searched once, and is no absurd game searched at all?"""

import zlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import chess
import pytest

from app.contract.analyses import AnalysisClaim, BudgetMode
from app.contract.games import Color
from app.contract.positions import (
    EngineIdentity,
    Evaluation,
    FurtherLine,
    Score,
    exact_score,
    position_key,
)
from plugins.api import Wish
from workers.analysis.budget import Budget, Found, scan_nodes
from workers.analysis.evaluator import GameSearch, replay
from workers.analysis.position import InvalidPosition, searchable

ENGINE = EngineIdentity(name="Counting 1", hash_mb=1)
FIXED = Budget(100, BudgetMode.FIXED)
ADAPTIVE = Budget(20_000, BudgetMode.ADAPTIVE)


def claim(**fields: Any) -> AnalysisClaim:
    defaults: dict[str, Any] = {
        "id": "abcdefgh",
        "fence": 1,
        "lease_seconds": 60,
        "attempt": 1,
        "variant": "standard",
        "initial_fen": None,
        "status": "resign",
        "winner": "white",
        "uci": [],
        "clocks_cs": None,
        "lichess_evaluations": None,
        "plugins": [],
        "evaluations": [],
    }
    return AnalysisClaim.model_validate(defaults | fields)


class PureEvaluator:
    """Answers as a function of position, nodes and lines, and remembers what it was asked.

    The deeper, the nearer to zero.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    async def evaluate(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int = 1
    ) -> Evaluation:
        assert expected == ENGINE
        assert exact_score(board) is None
        self.asked.append((board.fen(), nodes, lines))
        moves = [[move.uci()] for move in board.legal_moves][:lines]
        cp = zlib.crc32(board.fen().encode()) % 601 - 300
        return Evaluation(
            position_key=position_key(board),
            halfmove_clock=board.halfmove_clock,
            budget_nodes=nodes,
            lines=lines,
            score=Score(cp=cp * 1_000 // (1_000 + nodes)),
            depth=1,
            nodes=nodes + 3,
            pv=moves[0],
            further=[FurtherLine(score=Score(cp=0), pv=pv) for pv in moves[1:]],
        )


@dataclass
class Searched:
    """One game, searched."""

    search: GameSearch
    asked: list[tuple[str, int, int]]


async def searched(
    uci: Sequence[str],
    known: Sequence[Evaluation] = (),
    *,
    budget: Budget = FIXED,
    wishes: Mapping[int, Wish] | None = None,
) -> Searched:
    evaluator = PureEvaluator()
    search = GameSearch(evaluator, ENGINE, budget, replay(claim(uci=list(uci))), uci, known=known)
    await search.search()
    if wishes:
        await search.search({ply for ply, wish in wishes.items() if wish.full_budget})
        await search.fulfil(wishes)
    return Searched(search, evaluator.asked)


SHUFFLE = ["g1f3", "g8f6", "f3g1", "f6g8"]
FOOLS_MATE = ["f2f3", "e7e5", "g2g4", "d8h4"]
ITALIAN = ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5"]
TRANSPOSED = ["g1f3", "b8c6", "e2e4", "e7e5", "f1c4", "f8c5"]


async def test_every_ply_gets_an_evaluation_and_a_finished_position_no_search() -> None:
    done = await searched(FOOLS_MATE)
    found = done.search.evaluations()
    assert len(found) == 5
    assert len(done.asked) == len(done.search.new) == 4
    assert (found[4].score, found[4].nodes, found[4].pv) == (Score(mate=0), 0, ())
    assert (found[0].nodes, found[0].budget_nodes) == (103, 100)
    assert done.search.position_nodes() == [100, 100, 100, 100, 0]


async def test_in_the_adaptive_mode_a_deeper_search_counts_for_its_neighbour_too() -> None:
    board = chess.Board()
    board.push_uci("a2a3")
    preferred = next(iter(board.legal_moves)).uci()  # by the evaluator
    uci = ["a2a3", preferred, "a3a4"]
    deep = await PureEvaluator().evaluate(board, 40_000, ENGINE)
    adaptive, fixed = [
        (await searched(uci, [deep], budget=Budget(1_500, mode))).search
        for mode in (BudgetMode.ADAPTIVE, BudgetMode.FIXED)
    ]
    assert adaptive.position_nodes() == fixed.position_nodes() == [1_500, 40_000, 1_500, 1_500]
    lent, own = adaptive.evaluations(), fixed.evaluations()
    assert [lent[2].score, lent[2].budget_nodes] == [deep.score, 40_000]
    assert [own[2].score, own[2].budget_nodes] != [deep.score, 40_000]
    assert lent[2].pv == own[2].pv  # the lender's line ends with the move that led here
    assert [lent[0], lent[1], lent[3]] == [own[0], own[1], own[3]]


async def test_known_positions_are_not_searched_again() -> None:
    first = await searched(ITALIAN)
    second = await searched(ITALIAN, first.search.new[:2])
    assert second.asked == first.asked[2:]
    assert second.search.evaluations() == first.search.evaluations()
    assert second.search.new == first.search.new[2:]


async def test_a_transposition_is_found_again_only_at_the_same_halfmove_clock() -> None:
    first = await searched(ITALIAN)
    second = await searched(TRANSPOSED, first.search.new)
    # After the fourth ply the position is the same and the clock 0 instead of 2: never the same worth.
    assert position_key(replay(claim(uci=ITALIAN))[4]) == position_key(replay(claim(uci=TRANSPOSED))[4])
    assert len(second.asked) == len(TRANSPOSED)
    other_order = ["b1c3", "b8c6", "g1f3", "g8f6"], ["g1f3", "g8f6", "b1c3", "b8c6"]
    first = await searched(other_order[0])
    second = await searched(other_order[1], first.search.new)
    assert len(second.asked) == 3


async def test_a_repetition_is_searched_again_since_its_clock_differs() -> None:
    boards = replay(claim(uci=SHUFFLE))
    assert position_key(boards[0]) == position_key(boards[4])
    done = await searched(SHUFFLE)
    assert len(done.asked) == 5


async def test_a_game_drawn_by_repetition_ends_with_the_worth_of_its_last_position() -> None:
    done = await searched(SHUFFLE * 2)
    last = done.search.evaluations()[-1]
    assert last.budget_nodes == 100
    assert last.score != Score(cp=0)


async def test_the_adaptive_mode_deepens_some_and_finds_its_way_again_without_a_search() -> None:
    first = await searched(ITALIAN, budget=ADAPTIVE)
    assert max(first.search.position_nodes()) > scan_nodes(ADAPTIVE)
    assert len(first.asked) > len(ITALIAN) + 1
    again = await searched(ITALIAN, first.search.new, budget=ADAPTIVE)
    assert again.asked == []
    assert again.search.evaluations() == first.search.evaluations()


async def test_a_result_does_not_depend_on_which_game_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_step(_: Color, found: Sequence[Found], budget: Budget, full: AbstractSet[int]) -> dict[int, int]:
        step = 5_000 if len(found) == 6 else 0
        wanted = {ply: budget.reference_nodes if ply in full else step for ply in range(len(found))}
        return {ply: nodes for ply, nodes in wanted.items() if found[ply].nodes < nodes}

    monkeypatch.setattr("workers.analysis.evaluator.deepen", one_step)
    games = {"one": ITALIAN, "other": [*ITALIAN[:4], "d2d4"]}
    # The first game leaves richer searches of positions that the second would not search so deeply.
    wishes = {"one": {ply: Wish(lines=2, full_budget=True) for ply in range(4)}, "other": {2: Wish(lines=3)}}
    alone = {name: await searched(uci, budget=ADAPTIVE, wishes=wishes[name]) for name, uci in games.items()}
    assert alone["one"].search.position_nodes() == [20_000] * 4 + [scan_nodes(ADAPTIVE)] * 3
    assert alone["other"].search.position_nodes() == [5_000] * 6
    for order in (("one", "other"), ("other", "one")):
        store: list[Evaluation] = []
        for name in order:
            done = await searched(games[name], store, budget=ADAPTIVE, wishes=wishes[name])
            assert done.search.evaluations() == alone[name].search.evaluations()
            store += done.search.new
        assert len(store) < len(alone["one"].search.new) + len(alone["other"].search.new)


async def test_what_a_richer_setting_left_satisfies_a_poorer_one_and_never_the_reverse() -> None:
    rich = await searched(ITALIAN)
    poor_budget = Budget(10, BudgetMode.FIXED)
    poor = await searched(ITALIAN, rich.search.new, budget=poor_budget)
    assert poor.asked == []
    assert poor.search.position_nodes() == [100] * 7
    poorest = await searched(ITALIAN, budget=poor_budget)
    again = await searched(ITALIAN, poorest.search.new)
    assert len(again.asked) == 7
    mixed = [*rich.search.new, *poorest.search.new]
    assert (await searched(ITALIAN, mixed, budget=poor_budget)).search.position_nodes() == [10] * 7


async def test_what_the_fixed_mode_left_satisfies_the_adaptive_one() -> None:
    fixed = await searched(ITALIAN, budget=Budget(20_000, BudgetMode.FIXED))
    adaptive = await searched(ITALIAN, fixed.search.new, budget=ADAPTIVE)
    assert adaptive.asked == []
    assert adaptive.search.evaluations() == fixed.search.evaluations()


async def test_a_wish_for_lines_is_a_search_of_its_own_with_a_sixteenth_of_the_reference() -> None:
    wishes = {0: Wish(lines=3), 1: Wish(lines=2, full_budget=True), 3: Wish(), 4: Wish(lines=2)}
    done = await searched(FOOLS_MATE, budget=Budget(64_000, BudgetMode.ADAPTIVE), wishes=wishes)
    found = done.search.evaluations()
    assert [len(item.lines) for item in found] == [3, 2, 0, 0, 0]
    several = {item.lines: item for item in done.search.new if item.lines > 1}
    assert several[3].budget_nodes == 4_000
    assert several[2].budget_nodes == found[1].budget_nodes == 64_000
    assert found[0].lines[0].pv == tuple(several[3].pv)
    assert found[0].lines[1].pv == tuple(several[3].further[0].pv)
    one_line = await searched(FOOLS_MATE, list(several.values()), budget=ADAPTIVE)
    assert all(lines == 1 for _, _, lines in one_line.asked)
    assert len({fen for fen, _, _ in one_line.asked}) == 4


@pytest.mark.parametrize("budget", [ADAPTIVE, FIXED], ids=["adaptive", "fixed"])
async def test_a_wish_for_lines_never_gets_less_than_what_the_store_brings(budget: Budget) -> None:
    done = await searched(FOOLS_MATE, budget=budget, wishes={0: Wish(lines=2)})
    several = [item for item in done.search.new if item.lines > 1]
    assert [item.budget_nodes for item in several] == [scan_nodes(budget)]
    again = await searched(FOOLS_MATE, done.search.new, budget=budget, wishes={0: Wish(lines=2)})
    assert again.asked == []


def test_two_ways_to_one_position_give_one_fen() -> None:
    one = replay(claim(uci=["e2e3", "e7e6", "d2d4"]))[-1]
    other = replay(claim(uci=["d2d4", "e7e6", "e2e3"]))[-1]
    assert position_key(one) == position_key(other)
    assert searchable(one).fen() == searchable(other).fen()


def test_the_move_number_and_an_idle_en_passant_square_do_not_reach_the_engine() -> None:
    board = replay(claim(uci=["e2e4"]))[-1]
    assert board.fen(en_passant="fen").split()[3] == "e3"
    assert searchable(board).fen(en_passant="fen").split()[3:] == ["-", "0", "1"]


def test_a_capturable_en_passant_square_does() -> None:
    board = replay(claim(uci=["e2e4", "a7a6", "e4e5", "d7d5"]))[-1]
    assert searchable(board).fen(en_passant="fen").split()[3] == "d6"


@pytest.mark.parametrize(
    "fen",
    [
        "blah",
        "4k3/8/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/8/4K3 w - - 0 1",
        "8/8/8/8/8/8/8/8 w - - 0 1",
        "4k3/8/8/8/8/8/8/8 w - - 0 1",
        "4k3/8/8/8/8/8/8/3KK3 w - - 0 1",
        "4k3/8/8/8/8/8/4R3/4K3 w - - 0 1",
        "P3k3/8/8/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/p3K3 w - - 0 1",
        "4k3/8/8/8/NNNNNNNN/NNNNNNNN/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/8/4P3/4K3 x - - 0 1",
        "4k3/8/8/8/8/8/4P3/4K3 w - - -1 1",
        "4k3/8/8/8/8/8/4P3/4K3 w - - 99999 1",
    ],
)
def test_an_absurd_initial_position_is_refused_with_its_fen(fen: str) -> None:
    with pytest.raises(InvalidPosition) as caught:
        replay(claim(variant="fromPosition", initial_fen=fen, uci=["e2e4"]))
    assert fen.split(maxsplit=1)[0] in str(caught.value)


@pytest.mark.parametrize("uci", ["e2e5", "0000", "nonsense", "e7e8q"])
def test_a_move_that_is_not_legal_is_refused_with_its_ply(uci: str) -> None:
    with pytest.raises(InvalidPosition, match="ply 2"):
        replay(claim(uci=["e2e4", uci]))


def test_a_variant_that_stockfish_does_not_play_is_refused() -> None:
    with pytest.raises(InvalidPosition, match="atomic"):
        replay(claim(variant="atomic"))


@pytest.mark.parametrize("variant", ["chess960", "fromPosition"])
def test_chess960_castling_is_replayed_and_known_to_the_engine(variant: str) -> None:
    fen = "1k6/8/8/8/8/8/8/1K3R2 w F - 0 1"
    boards = replay(claim(variant=variant, initial_fen=fen, uci=["b1f1"]))
    assert boards[-1].king(chess.WHITE) == chess.G1
    seen = searchable(boards[0])  # python-chess sets UCI_Chess960 by it
    assert (seen.chess960, seen.fen()) == (True, "1k6/8/8/8/8/8/8/1K3R2 w K - 0 1")


def test_a_set_up_game_with_ordinary_castling_is_ordinary_to_the_engine() -> None:
    fen = "4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1"
    boards = replay(claim(variant="fromPosition", initial_fen=fen, uci=["e1g1"]))
    assert not any(searchable(board).chess960 for board in boards)


def test_a_finished_position_is_a_legal_start() -> None:
    assert len(replay(claim(variant="fromPosition", initial_fen="7k/6Q1/6K1/8/8/8/8/8 b - - 0 1"))) == 1
