"""One at a time, in the order of coming, and no more than may wait."""

from __future__ import annotations

import math
import threading
import time

import pytest

from studio.jobs.serving.refusals import Busy, Closing, TimedOut
from studio.jobs.serving.turns import Ticket, Turns


def never() -> bool:
    return False


def test_those_who_wait_are_served_one_at_a_time_in_the_order_of_coming() -> None:
    turns, order, inside = Turns(8), [], []
    tickets = [turns.join() for _ in range(8)]

    def take(number: int, ticket: Ticket) -> None:
        with turns.turn(ticket, never, math.inf):
            inside.append(number)
            assert len(inside) == 1
            order.append(number)
            inside.remove(number)

    threads = [threading.Thread(target=take, args=each) for each in reversed(list(enumerate(tickets)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))


def test_more_than_may_wait_are_sent_away_at_once() -> None:
    turns = Turns(1)
    first, _ = turns.join(), turns.join()
    with pytest.raises(Busy):
        turns.join()
    turns.leave(first)
    assert turns.join()


def test_nobody_waits_beyond_the_deadline_and_the_place_is_free_again() -> None:
    turns = Turns(1)
    turns.join()
    late = turns.join()
    with pytest.raises(TimedOut), turns.turn(late, never, time.monotonic() - 1):
        raise AssertionError("its turn came")
    assert turns.join()


def test_who_has_given_up_leaves_the_queue() -> None:
    turns = Turns(1)
    turns.join()
    with pytest.raises(Closing), turns.turn(turns.join(), lambda: True, math.inf):
        raise AssertionError("its turn came")
    assert turns.join()


def test_closing_sends_away_who_waits_and_lets_the_one_finish() -> None:
    turns = Turns(2)
    first, second = turns.join(), turns.join()
    with turns.turn(first, never, math.inf):
        turns.close()
        with pytest.raises(Closing), turns.turn(second, never, math.inf):
            raise AssertionError("its turn came")
        with pytest.raises(Closing):
            turns.join()
        assert not turns.settle(0)
    assert turns.settle(0)
