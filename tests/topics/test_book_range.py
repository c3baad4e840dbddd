"""Books whose streams tell the changes of all levels: what is known, what is shown, and how a book
is made to know more before the market leaves what it knows."""

from __future__ import annotations

import time
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import BookInvalid, BookUpdate, OrderBook, Side
from ccrs_core.connections.runner import Runner
from ccrs_core.model.events import Gap, Level, Reason, Stale
from ccrs_core.model.orderbook import Applied
from ccrs_core.topics.waiting_changes import Ask
from tests.topics.test_keeper import Desk, change

DEPTH, REACH = 4, 8


def update(
    sequence: int,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    snapshot: bool = False,
) -> BookUpdate:
    def levels(side: list[tuple[int, int]]) -> tuple[Level, ...]:
        return tuple((Decimal(price), Decimal(size)) for price, size in side)

    previous = None if snapshot else sequence - 1
    return BookUpdate(
        "toy", "BTC/USDT", None, sequence, sequence, snapshot, levels(bids), levels(asks), previous
    )


def side(first: int, count: int, step: int = -1) -> list[tuple[int, int]]:
    return [(first + step * place, 1) for place in range(count)]


def book(depth: int = DEPTH, reach: int | None = REACH) -> OrderBook:
    return OrderBook("BTC/USDT", depth=depth, every_level=True, reach=reach)


def prices(levels: list[Level]) -> list[int]:
    return [int(price) for price, _ in levels]


# --- what is known, and what is shown ---


def test_no_more_is_shown_than_was_asked_for_and_nothing_of_it_is_ever_missing() -> None:
    held = book(reach=None)
    held.apply(update(1, side(100, 6), side(101, 6, 1), snapshot=True))
    assert prices(held.bids()) == [100, 99, 98, 97]
    assert prices(held.asks(10)) == [101, 102, 103, 104]
    assert held.size_to(Side.SELL, Decimal(1)) == 4
    assert held.vwap(Side.BUY, Decimal(5)) is None
    held.apply(update(2, [(100, 0), (99, 0)], []))
    assert prices(held.bids()) == [98, 97, 96, 95]
    assert held.known == (None, None)


def test_what_lies_beyond_the_snapshot_is_not_known_and_not_kept() -> None:
    held = book()
    held.apply(update(1, side(100, 8), side(101, 7, 1), snapshot=True))
    assert held.known == (Decimal(93), None)  # of the asks there are just seven
    assert held.apply(update(2, [(50, 1), (100, 2)], [(500, 1)])) is Applied.APPLIED
    assert held.cut is not None
    assert prices(list(held.cut.bids)) == [100]
    assert prices(list(held.snapshot(held.cut).asks)) == [*range(101, 108), 500]


def test_a_market_that_leaves_what_is_known_makes_the_book_narrow_and_then_invalid() -> None:
    held = book()
    held.apply(update(1, side(100, 8), side(101, 8, 1), snapshot=True))
    held.apply(update(2, [(100, 0), (99, 0)], []))
    assert not held.narrow
    held.apply(update(3, [(98, 0)], []))
    assert held.narrow
    assert prices(held.bids()) == [97, 96, 95, 94]
    held.apply(update(4, [(97, 0)], []))
    assert held.valid
    assert held.apply(update(5, [(96, 0)], [])) is Applied.BROKEN
    assert held.reason is Reason.RANGE
    with pytest.raises(BookInvalid, match="range"):
        held.bids()


def test_a_side_of_which_all_is_known_may_become_empty() -> None:
    held = book()
    held.apply(update(1, side(100, 3), side(101, 8, 1), snapshot=True))
    assert held.apply(update(2, [(price, 0) for price, _ in side(100, 3)], [])) is Applied.APPLIED
    assert held.best_bid is None


@pytest.mark.parametrize("frames", [1, 400])
def test_a_stream_of_far_levels_fills_neither_memory_nor_time(frames: int) -> None:
    held, count = book(depth=1000, reach=1000), 400_000 // frames
    held.apply(update(1, side(10**6, 900), side(10**6 + 1, 900, 1), snapshot=True))
    told = [update(2 + n, side(10**6 - 1000 - n * count, count), []) for n in range(frames)]
    tracemalloc.start()
    began = time.process_time()
    for each in told:
        assert held.apply(each) is Applied.APPLIED
    spent = time.process_time() - began
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(held.snapshot(told[0]).bids) <= OrderBook.MOST
    assert prices(held.bids(900)) == [price for price, _ in side(10**6, 900)]
    assert held.known[0] is not None
    assert kept < 40_000_000
    assert spent < 20.0  # inserting each at its place took minutes; with tracing, on any machine


# --- made to know more ---


def ranged(connections: int = 1) -> Desk:
    return Desk(connections, book())


def begun() -> Desk:
    """A book at number 10 that has just become narrow."""
    desk = ranged()
    desk.bring(update(1, [(100, 1)], []))
    desk.keeper.fetched(update(7, side(100, 8), side(101, 8, 1), snapshot=True), 1.0)
    for number in (8, 9, 10):
        desk.bring(update(number, [(108 - number, 0)], []))
    assert desk.asked == [Ask.FIRST, Ask.WIDER]
    return desk


def shown(desk: Desk) -> list[int]:
    return prices(desk.book.bids())


def undisturbed(desk: Desk) -> bool:
    return not any(isinstance(event, Gap | Stale) for event in desk.tap.events)


def test_a_narrow_book_is_fetched_anew_while_it_goes_on_and_nobody_is_disturbed() -> None:
    desk = begun()
    desk.bring(update(11, [(97, 0)], []))
    assert desk.asked == [Ask.FIRST, Ask.WIDER]
    # The answer is of the moment before.
    desk.keeper.fetched(update(10, side(97, 8), side(101, 8, 1), snapshot=True), 1.2)
    assert shown(desk) == [96, 95, 94, 93]
    desk.bring(update(12, [(96, 0), (95, 0)], []))
    assert shown(desk) == [94, 93, 92, 91]
    assert undisturbed(desk)
    # Whoever follows what was told has the same.
    last = desk.tap.events[-1]
    assert isinstance(last, BookUpdate)
    assert last.snapshot
    assert prices(list(last.bids)) == [94, 93, 92, 91, 90]


def test_an_answer_that_is_ahead_waits_for_the_stream() -> None:
    desk = begun()
    desk.keeper.fetched(update(12, [(96, 2), *side(95, 7)], side(101, 8, 1), snapshot=True), 1.2)
    assert desk.book.sequence == 10
    desk.bring(update(11, [(97, 0)], []))
    desk.bring(update(12, [(96, 2)], []))
    assert shown(desk) == [96, 95, 94, 93]
    assert undisturbed(desk)


def test_an_answer_that_is_too_old_is_asked_for_again() -> None:
    desk = begun()
    desk.keeper.fetched(update(5, side(100, 8), side(101, 8, 1), snapshot=True), 1.2)
    assert desk.book.narrow
    due = desk.keeper.wake_at
    assert due is not None
    assert due < 2.0
    desk.keeper.tick(due, 1)
    assert desk.asked == [Ask.FIRST, Ask.WIDER, Ask.WIDER]


def test_an_answer_that_contradicts_the_book_makes_it_invalid() -> None:
    desk = begun()
    wrong = update(10, [(97, 1), (96, 7), *side(95, 6)], side(101, 8, 1), snapshot=True)
    desk.keeper.fetched(wrong, 1.2)
    assert not desk.book.valid
    assert desk.asked[-1] is Ask.AGAIN


def test_a_market_that_leaves_before_the_answer_comes_makes_the_book_wait_for_it() -> None:
    desk = begun()
    desk.bring(update(11, [(97, 0), (96, 0)], []))
    assert desk.book.reason is Reason.RANGE
    assert desk.asked[-1] is Ask.AGAIN
    desk.keeper.fetched(update(11, side(95, 8), side(101, 8, 1), snapshot=True), 1.2)
    assert shown(desk) == [95, 94, 93, 92]
    assert [each.type for each in desk.tap.events[-4:]] == ["stale", "gap", "resumed", "book"]


class _Market:
    """A market far deeper than what a snapshot tells of it."""

    def __init__(self) -> None:
        self.best, self.number = 1000, 100
        self.bids = dict(side(1000, 60))
        self.asks = dict(side(1001, 60, 1))

    def state(self) -> tuple[dict[int, int], dict[int, int]]:
        return dict(self.bids), dict(self.asks)

    def move(self, steps: int, far: int) -> BookUpdate:
        """Move the best prices, change a far level."""
        self.number += 1
        self.best += steps
        bids = [(p, 0) for p in self.bids if p > self.best]
        asks = [(p, 0) for p in self.asks if p <= self.best]
        bids += [(p, 1 + p % 3) for p in range(self.best - 3, self.best + 1) if p not in self.bids]
        asks += [(p, 1) for p in range(self.best + 1, self.best + 4) if p not in self.asks]
        bids.append((self.best - 4 - far, 1 + (self.number + far) % 4))
        for held, changes in ((self.bids, bids), (self.asks, asks)):
            held.update(changes)
            for price in [p for p, size in held.items() if not size]:
                del held[price]
        return update(self.number, bids, asks)

    def snapshot(self) -> BookUpdate:
        bids = sorted(self.bids.items(), reverse=True)[:REACH]
        asks = sorted(self.asks.items())[:REACH]
        return update(self.number, bids, asks, snapshot=True)


_steps = st.tuples(st.sampled_from(["move"] * 3 + ["deliver", "answer"]), st.integers(-3, 2))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_steps, st.integers(0, 40)), max_size=60), st.integers(0, 4))
def test_wherever_the_market_goes_a_valid_book_is_the_markets_from_the_best_on(
    steps: list[tuple[tuple[str, int], int]], age: int
) -> None:
    desk, market, now = ranged(), _Market(), 1.0
    states, snapshots = {market.number: market.state()}, [market.snapshot()]
    line: list[BookUpdate] = []
    follower = desk.book.twin()
    read = 0
    for (what, by), far in [*steps, *[(("answer", 0), 0)] * 2]:
        now += 0.3
        if what == "move":
            line.append(market.move(by, far))
            states[market.number] = market.state()
            snapshots.append(market.snapshot())
        elif what == "deliver":
            for each in line[: 1 + far]:
                desk.bring(each, now)
            del line[: 1 + far]
        elif desk.asked and desk.keeper.wants(desk.keeper.attempt):
            desk.keeper.fetched(snapshots[max(len(snapshots) - 1 - age, 0)], now)
        if desk.keeper.wake_at is not None and desk.keeper.wake_at <= now:
            desk.keeper.tick(now, 1)
        for event in desk.tap.events[read:]:
            if isinstance(event, BookUpdate):
                assert follower.apply(event) is Applied.APPLIED
        read = len(desk.tap.events)
        held = desk.book
        if held.valid:
            bids, asks = states[held.sequence or 0]
            true_bids, true_asks = sorted(bids.items(), reverse=True), sorted(asks.items())
            assert DEPTH >= len(held.bids()) >= min(DEPTH, len(bids))
            assert [(int(p), int(s)) for p, s in held.bids()] == true_bids[: len(held.bids())]
            assert [(int(p), int(s)) for p, s in held.asks()] == true_asks[: len(held.asks())]
            assert follower.bids() == held.bids()
            assert follower.asks() == held.asks()


# --- books whose every frame is a snapshot ---


def test_a_repeated_snapshot_is_dropped_and_one_of_a_lower_new_number_is_told() -> None:
    desk = Desk()
    for number in (10, 11, 10, 12):
        desk.bring(change(number, None, 100, number, snapshot=True))
    assert [each.sequence for each in desk.tap.events if isinstance(each, BookUpdate)] == [
        10, 11, 12,
    ]  # fmt: skip
    assert undisturbed(desk)
    desk.bring(change(5, None, 100, 5, snapshot=True))
    assert [each.type for each in desk.tap.events[-2:]] == ["gap", "book"]
    assert desk.book.sequence == 5


def test_numbers_that_all_were_there_before_are_of_a_count_that_has_begun_unheard() -> None:
    desk = Desk()
    for number in (10, 11, 12):
        desk.bring(change(number, None, 100, number, snapshot=True))
    desk.bring(change(10, None, 100, 7, snapshot=True), now=1.0 + 2 * desk.race.STUCK)
    assert desk.book.bids() == [(Decimal(100), Decimal(7))]
    assert [each.type for each in desk.tap.events[-2:]] == ["gap", "book"]


# --- the end ---


def test_the_book_of_an_ended_subscription_is_invalid_and_says_why() -> None:
    desk = begun()
    desk.keeper.end()
    assert desk.book.reason is Reason.CLOSED
    assert desk.keeper.wake_at is None
    with pytest.raises(BookInvalid, match="subscription has ended"):
        desk.book.bids()
    # What is still under way changes nothing.
    assert not desk.keeper.wants(desk.keeper.attempt)
    assert isinstance(desk.runners[0], Runner)
