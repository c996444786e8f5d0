"""Which moves are labelled, and what is said of them?"""

import dataclasses

from app.contract.games import Color
from plugins.accuracy import Accuracy
from plugins.lichess import Judgement
from plugins.move_judgements import LINE_PLIES, MAX_JUDGED, MoveJudgements
from plugins.phases import Phase
from tests.unit.plugins.games import (
    RAPID,
    as_analysed,
    cp,
    exported,
    fools_mate,
    game,
    mate,
    needs_data,
    real_games,
)


def test_a_judged_move_comes_with_the_better_one_and_its_line() -> None:
    best = {2: "e2e4 d7d6 d2d4"}
    moves = MoveJudgements().analyse(fools_mate(best=best)).moves
    assert [move.ply for move in moves] == [1, 3]
    blunder = moves[1]
    assert (blunder.side, blunder.san, blunder.uci) == (Color.WHITE, "g4", "g2g4")
    assert (blunder.judgement, blunder.phase) == (Judgement.BLUNDER, Phase.OPENING)
    assert (blunder.score_before, blunder.score_after) == (cp(-70), mate(-1))
    assert (blunder.better_uci, blunder.better_san) == ("e2e4", "e4")
    assert blunder.better_line == ["e4", "d6", "d4"]
    assert (blunder.win_before, blunder.win_after) == (43.59, 2.46)


def test_chances_are_seen_from_the_mover() -> None:
    moves = MoveJudgements().analyse(game(("e2e4", "f7f6"), [0, 0, 200])).moves
    assert [(move.ply, move.side, move.judgement) for move in moves] == [(2, Color.BLACK, Judgement.BLUNDER)]
    assert (moves[0].win_before, moves[0].win_after) == (50.0, 32.38)


def test_a_label_rests_on_the_smaller_budget() -> None:
    played = fools_mate()
    scanned = played.evaluations[3]
    object.__setattr__(scanned, "budget_nodes", 5_000)
    by_ply = {move.ply: move for move in MoveJudgements().analyse(played).moves}
    assert (by_ply[1].nodes, by_ply[3].nodes) == (100_000, 5_000)


def test_a_label_near_a_threshold_is_less_sure() -> None:
    # -169 from 0 is 0.3015 of winning chances: just a blunder; -300 is 0.5023.
    near = MoveJudgements().analyse(game(("e2e4", "e7e5", "a2a3"), [15, 0, 0, -169])).moves[0]
    far = MoveJudgements().analyse(game(("e2e4", "e7e5", "a2a3"), [15, 0, 0, -300])).moves[0]
    assert near.judgement is far.judgement is Judgement.BLUNDER
    assert near.confidence is not None
    assert far.confidence is not None
    assert 0.25 <= near.confidence < far.confidence <= 1


def test_without_nodes_nothing_is_said_of_the_confidence() -> None:
    played = fools_mate()
    of_lichess = [dataclasses.replace(item, nodes=0, budget_nodes=0) for item in played.evaluations]
    played = dataclasses.replace(played, evaluations=tuple(of_lichess))
    assert {(move.nodes, move.confidence) for move in MoveJudgements().analyse(played).moves} == {(0, None)}


def test_long_lines_are_cut_and_the_rest_of_the_judged_moves_is_counted() -> None:
    shuffle = ("g1f3", "g8f6", "f3g1", "f6g8") * ((MAX_JUDGED + 8) // 4)
    scores = [-400 if ply % 2 else 400 for ply in range(len(shuffle) + 1)]
    best = {0: " ".join(("b1c3", "b8c6", "c3b1", "c6b8") * 4)}
    result = MoveJudgements().analyse(game(shuffle, scores, best=best))
    assert len(result.moves) == MAX_JUDGED
    assert result.omitted == len(shuffle) - MAX_JUDGED
    assert len(result.moves[0].better_line) == LINE_PLIES


def test_a_game_without_moves_has_no_labels() -> None:
    result = MoveJudgements().analyse(game((), []))
    assert (result.moves, result.omitted) == ([], 0)


@needs_data
def test_real_games_get_the_labels_that_lichess_gave_them() -> None:
    moves = differing = 0
    for entry, _ in zip(exported(RAPID), range(200), strict=False):
        ours = {move.ply: move.judgement for move in MoveJudgements().analyse(as_analysed(entry)).moves}
        for ply, item in enumerate(entry["analysis"], start=1):
            theirs = item.get("judgment", {}).get("name")
            moves += 1
            differing += (ours[ply].capitalize() if ply in ours else None) != theirs
    assert moves > 10_000
    assert differing / moves < 0.001  # some were exported by an older lila: see docs/parity.md


@needs_data
def test_labels_add_up_to_the_counts_of_accuracy() -> None:
    for played in real_games(100):
        judged = MoveJudgements().analyse(played).moves
        accuracy = Accuracy().analyse(played)
        for side, numbers in ((Color.WHITE, accuracy.white), (Color.BLACK, accuracy.black)):
            labels = [move.judgement for move in judged if move.side is side]
            assert labels.count(Judgement.INACCURACY) == numbers.inaccuracies
            assert labels.count(Judgement.MISTAKE) == numbers.mistakes
            assert labels.count(Judgement.BLUNDER) == numbers.blunders
