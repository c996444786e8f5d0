"""Can a worker's main process read what its children note?"""

import os
from types import SimpleNamespace

import pytest
from celery import signals

from workers import progress
from workers.progress import MAX_PROCESSES, Board


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_child_s_notes_are_seen_in_its_parent_and_in_its_slot_alone() -> None:
    clock = Clock()
    board = Board(clock)
    child = os.fork()
    if child == 0:
        board.take_slot(2)
        board.begin()
        board.advance(patience_seconds=30)
        board.count()
        board.say("fetching José")
        os._exit(0)
    os.waitpid(child, 0)
    *before, slot = board.slots(3)
    assert (slot.busy, slot.moved_at, slot.patience_seconds) == (True, 1_000.0, 30.0)
    assert (slot.done, slot.text) == (1, "fetching José")
    assert all(not other.busy and other.done == 0 and other.text == "" for other in before)


def test_a_child_that_takes_over_a_slot_is_idle_and_goes_on_counting() -> None:
    clock = Clock()
    board = Board(clock)
    board.take_slot(0)
    board.begin()
    board.count()
    board.say("about to be killed")
    clock.now += 60
    board.take_slot(0)
    board.count()
    (slot,) = board.slots(1)
    assert (slot.busy, slot.moved_at, slot.done, slot.text) == (False, 1_060.0, 2, "")


def test_a_line_ends_with_its_task_unless_it_stays() -> None:
    board = Board()
    board.begin()
    board.say("fetching alice")
    board.end()
    assert board.slots(1)[0].text == ""
    board.begin()
    board.say("waiting for Lichess", stays=True)
    board.end()
    board.begin()
    board.end()
    assert board.slots(1)[0].text == "waiting for Lichess"


def test_a_line_that_is_too_long_is_cut_and_leaves_the_next_slot_alone() -> None:
    board = Board()
    board.say("ü" * 500)
    first, second = board.slots(2)
    assert first.text == "ü" * 80
    assert second.text == ""


def test_one_child_asks_for_the_backlog_and_again_after_a_while() -> None:
    clock = Clock()
    board = Board(clock)
    assert board.backlog is None
    assert board.backlog_is_due(5)
    assert not board.backlog_is_due(5)
    board.set_backlog(130)
    clock.now += 5
    assert board.backlog == 130
    assert board.backlog_is_due(5)


def test_there_is_room_for_as_many_children_as_can_be_set() -> None:
    board = Board()
    board.take_slot(MAX_PROCESSES - 1)
    board.say("x" * 300)
    assert board.slots(MAX_PROCESSES)[-1].text


def test_a_pool_s_child_takes_the_slot_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    monkeypatch.setattr(progress, "board", board)
    monkeypatch.setattr(progress, "current_process", lambda: SimpleNamespace(index=1))
    signals.worker_process_init.send(sender="test")
    board.count()
    assert [slot.done for slot in board.slots(2)] == [0, 1]
