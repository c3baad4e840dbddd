"""Figures of books are exact, and snapshots never know what comes later."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    BookUpdate,
    Channel,
    Gap,
    OrderBook,
    Reason,
    Stale,
    TopOfBook,
    UsageError,
    book_snapshots,
    grouped,
    imbalance,
    microprice,
)

SECOND = 10**9
START = 1_767_225_600 * SECOND
SIZES = st.decimals("0.001", 1000, places=3)
LEVELS = st.dictionaries(st.integers(1, 400), SIZES, min_size=1, max_size=12)


def update(
    bids: Any, asks: Any, *, sequence: int = 1, at: float = 0.0, snapshot: bool = True, **more: Any
) -> BookUpdate:
    sides = [
        tuple((Decimal(str(price)), Decimal(str(size))) for price, size in side)
        for side in (bids, asks)
    ]
    ns = START + round(at * SECOND)
    return BookUpdate("toy", "A/B", ns, ns, sequence, snapshot, *sides, **more)


@st.composite
def books(draw: st.DrawFn) -> BookUpdate:
    bids, asks = draw(LEVELS), draw(LEVELS)
    return update(
        [(Decimal(p) / 10, s) for p, s in sorted(bids.items(), reverse=True)],
        [(Decimal(p + 500) / 10, s) for p, s in sorted(asks.items())],
    )


def near(value: Decimal | None, exact: Fraction) -> bool:
    return value is not None and abs(Fraction(value) - exact) <= abs(exact) / 10**30


@settings(max_examples=40)
@given(books(), st.integers(1, 5))
def test_figures_are_exact_whatever_the_context(book: BookUpdate, levels: int) -> None:
    kept = OrderBook("A/B")
    kept.apply(book)
    (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
    top = TopOfBook("toy", "A/B", None, 1, None, bid, bid_size, ask, ask_size)
    with localcontext() as context:
        context.prec = 2
        for each in (book, kept, top):
            weight = Fraction(bid) * Fraction(ask_size) + Fraction(ask) * Fraction(bid_size)
            assert near(microprice(each), weight / (Fraction(bid_size) + Fraction(ask_size)))
        for each in (book, kept):
            b, a = (sum(Fraction(s) for _, s in side[:levels]) for side in (book.bids, book.asks))
            assert near(imbalance(each, levels), (b - a) / (b + a)) or b == a


@settings(max_examples=40)
@given(books(), st.sampled_from(["0.1", "0.5", "3"]), st.none() | st.integers(1, 4))
def test_groups_hold_every_size_once_and_look_no_better(
    book: BookUpdate, step: str, levels: int | None
) -> None:
    every, _ = both = grouped(book, Decimal(step))
    for found, side in zip(both, (book.bids, book.asks), strict=True):
        assert sum(size for _, size in found) == sum(size for _, size in side)
        assert all(price % Decimal(step) == 0 for price, _ in found)
    bids, asks = both
    assert bids[0][0] <= book.bids[0][0]
    assert asks[0][0] >= book.asks[0][0]
    assert [p for p, _ in bids] == sorted({p for p, _ in bids}, reverse=True)
    assert [p for p, _ in asks] == sorted({p for p, _ in asks})
    assert grouped(book, Decimal(step), levels)[0] == every[:levels]


def test_an_empty_side_has_no_microprice_and_is_all_of_the_imbalance() -> None:
    one = update([(1, 2)], [])
    assert microprice(one) is None
    assert imbalance(one) == 1
    assert imbalance(update([], [])) is None


@pytest.mark.parametrize("wrong", [update([], [], snapshot=False), 7, None])
def test_what_tells_no_best_prices_is_refused(wrong: Any) -> None:
    for figure in (microprice, imbalance, lambda book: grouped(book, Decimal(1))):
        with pytest.raises(UsageError):
            figure(wrong)


def test_arguments_that_cannot_work_are_refused() -> None:
    for call in (
        lambda: imbalance(update([], []), 0),
        lambda: grouped(update([], []), Decimal(0)),
        lambda: grouped(update([], []), 0.5),  # type: ignore[arg-type]
        lambda: book_snapshots([], "1s"),
        lambda: book_snapshots([], "1m", levels=0),
    ):
        with pytest.raises(UsageError):
            call()


def gap(kind: Any, at: float, about: Channel = Channel.BOOK) -> Any:
    return kind("toy", "A/B", None, START + round(at * SECOND), about, Reason.SEQUENCE)


def taken(events: list[Any], **more: Any) -> list[tuple[float, Any, bool]]:
    return [
        ((each.time_ns - START) / SECOND, each.sequence if each.bids else None, each.complete)
        for each in book_snapshots(events, timedelta(seconds=1), **more)
    ]


def test_a_snapshot_holds_what_was_known_at_its_moment() -> None:
    events = [
        update([(9, 1)], [(11, 1)], sequence=1, at=0.2),
        update([(9, 2)], [], sequence=2, at=0.999, snapshot=False),
        update([(9, 3)], [], sequence=3, at=1.0, snapshot=False),
        update([(9, 4)], [], sequence=4, at=3.5, snapshot=False),
    ]
    assert taken(events) == [(1, 2, True), (2, 3, True), (3, 3, True)]
    first = next(iter(book_snapshots(events, timedelta(seconds=1))))
    assert first.bids == ((Decimal(9), Decimal(2)),)


def test_a_hole_leaves_no_levels_until_the_book_is_whole_again() -> None:
    events = [
        update([(9, 1)], [(11, 1)], sequence=1, at=0.2),
        gap(Gap, 1.5),
        update([(9, 2)], [], sequence=7, at=2.5, snapshot=False),
        update([(8, 1)], [(11, 1)], sequence=8, at=3.5),
        gap(Stale, 4.5),
        update([(8, 2)], [], sequence=9, at=5.5, snapshot=False),
        gap(Gap, 6.2, Channel.TRADES),
        gap(Gap, 7.2, Channel.TRADES),
    ]
    assert taken(events) == [
        *((1, 1, True), (2, None, False), (3, None, False), (4, 8, True)),
        *((5, 8, False), (6, 9, True), (7, 9, True)),
    ]


def test_a_change_that_does_not_follow_on_makes_the_book_invalid() -> None:
    events = [
        update([(9, 1)], [(11, 1)], sequence=1, at=0.2),
        update([(9, 2)], [], sequence=7, at=0.5, snapshot=False, previous_sequence=5),
        gap(Gap, 1.2, Channel.TRADES),
    ]
    assert taken(events) == [(1, None, False)]


def test_levels_beyond_the_depth_are_not_kept() -> None:
    events = [
        update([(9, 1), (8, 1), (7, 1)], [(11, 1)], sequence=1, at=0.2),
        update([(9, 0)], [], sequence=2, at=0.5, snapshot=False),
        gap(Gap, 1.2, Channel.TRADES),
    ]
    (one,) = book_snapshots(events, timedelta(seconds=1), depth=2)
    assert one.bids == ((Decimal(8), Decimal(1)),)
    (two,) = book_snapshots(events, timedelta(seconds=1), levels=1)
    assert two.bids == ((Decimal(8), Decimal(1)),)
