"""A feed that wants fewer levels than come is told of these alone, and exactly of these."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import BookUpdate, Level, OrderBook, Policy, Reason, UsageError
from ccrs_core.topics.shown import Shown


class Consumer:
    """Rebuilds the book twice from what it is told: as anybody would, and with our own class."""

    policy = Policy.DROP_OLDEST

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self.told: list[BookUpdate] = []
        self.twin: OrderBook | None = None

    def put(self, events: Sequence[Any]) -> None:
        for update in events:
            self.told.append(update)
            assert self.twin is not None
            self.twin.apply(update)
            for side, levels in zip(self.sides, (update.bids, update.asks), strict=True):
                if update.snapshot:
                    side.clear()
                side.update(levels)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]

    def levels(self) -> tuple[list[Level], list[Level]]:
        bids, asks = self.sides
        return sorted(bids.items(), reverse=True), sorted(asks.items())


PRICES = st.integers(1, 12)
CHANGES = st.lists(st.tuples(PRICES, st.integers(0, 3)), max_size=6, unique_by=lambda c: c[0])
STEPS = st.lists(
    st.tuples(st.sampled_from(["delta"] * 8 + ["snapshot", "restart", "break"]), CHANGES, CHANGES),
    max_size=30,
)


def _update(
    number: int, bids: Any, asks: Any, previous: int | None, *, snapshot: bool
) -> BookUpdate:
    below = tuple((Decimal(100 - p), Decimal(s)) for p, s in bids if s or not snapshot)
    above = tuple((Decimal(100 + p), Decimal(s)) for p, s in asks if s or not snapshot)
    return BookUpdate("x", "A/B", number, number, number, snapshot, below, above, previous)


@given(STEPS, st.integers(1, 6), st.sampled_from([(6, False), (4, True), (None, True)]))
def test_whoever_applies_what_is_told_has_exactly_the_best_levels(
    steps: Any, depth: int, kind: tuple[int | None, bool]
) -> None:
    levels, every = kind
    depth = min(depth, levels or depth)
    kept = OrderBook("A/B", depth=levels, every_level=every)
    consumer = Consumer()
    shown = Shown(kept, depth, cast(Any, consumer))
    consumer.twin = shown.book.twin()
    kept.apply(first := _update(50, [(1, 1), (2, 1)], [(3, 2)], None, snapshot=True))
    shown.put((first,))
    number = 50
    for what, bids, asks in steps:
        before, number = number, number + 2
        if what == "break":
            kept.invalidate(Reason.SEQUENCE)
            assert not shown.book.valid
        if what == "restart":
            # Also at the very number that was told last.
            number = consumer.told[-1].sequence if consumer.told[-1].sequence < before else 1
        whole = what == "snapshot" or not kept.valid
        update = _update(number, bids, asks, None if whole else before, snapshot=whole)
        kept.apply(update)
        told = len(consumer.told)
        expected_before = consumer.levels()
        shown.put((update,))
        best = kept.bids(depth), kept.asks(depth)
        assert (shown.book.bids(), shown.book.asks()) == best
        assert consumer.levels() == best
        assert (consumer.twin.bids(), consumer.twin.asks()) == best
        if len(consumer.told) == told:
            assert expected_before == consumer.levels()
        elif not consumer.told[-1].snapshot:
            assert expected_before != consumer.levels()
            assert consumer.told[-1].previous_sequence == consumer.told[-2].sequence


def test_a_book_that_is_shown_in_part_is_read_only_and_is_as_valid_as_the_whole_one() -> None:
    kept = OrderBook("A/B", depth=50)
    book = Shown(kept, 1, cast(Any, Consumer())).book
    assert not book.valid
    update = _update(7, [(1, 1), (2, 5)], [(1, 2), (2, 2)], None, snapshot=True)
    kept.apply(update)
    assert book.valid
    assert book.sequence == 7
    assert book.bids(10) == [(Decimal(99), Decimal(1))]
    assert book.known == (None, None)
    assert len(book.snapshot(update).asks) == 1
    assert book.shows(book.snapshot(update))
    assert not book.shows(update)
    with pytest.raises(UsageError, match="twin"):
        book.apply(update)
    with pytest.raises(UsageError, match="twin"):
        book.invalidate(Reason.SEQUENCE)
    kept.close("its client was closed")
    assert not book.valid
