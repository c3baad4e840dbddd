"""When differences are judged, and what is made of figures whose order nobody tells."""

from __future__ import annotations

from typing import Any

import pytest

from ccrs_core import Market
from ccrs_core.model.accounts import AdjustmentKind, IncomeKind
from ccrs_core.model.orders import FillKind
from tests.trading.books import SECOND, Book, D, fill
from tests.trading.test_positions import SYMBOL, adjustments, balance, held, income, judged, traded


def earned(book: Book) -> Any:
    profit = book.ledger.profit(SYMBOL)
    assert profit is not None
    return profit


def test_all_figures_of_before_are_judged_at_once() -> None:
    """What was delivered isn't held for another reading of all lists."""
    book = Book()
    book.take(held("4", 3), balance("10", 3))
    book.take(held("0", 60), balance("7", 60))
    told = {(each.kind, each.amount) for each in judged(book, 60)}
    assert told == {
        (AdjustmentKind.OPENING, D(4)),
        (AdjustmentKind.UNEXPLAINED, D(-4)),
        (AdjustmentKind.OPENING, D(10)),
        (AdjustmentKind.UNEXPLAINED, D(-3)),
    }
    assert earned(book).size == 0
    numbers = [each.number for each in adjustments(book)]
    assert len(set(numbers)) == len(numbers)
    assert not judged(book, 120)


def test_an_opening_takes_no_reason_that_is_of_what_came_after_it() -> None:
    book = Book()
    book.take(held("4", 3))
    book.take(income("x", "0", 60, kind=IncomeKind.EXERCISE), held("0", 60))
    opening, gone = judged(book, 60)
    assert (opening.kind, opening.amount) == (AdjustmentKind.OPENING, D(4))
    assert (gone.kind, gone.amount) == (AdjustmentKind.EXERCISE, D(-4))


@pytest.mark.parametrize("before", [False, True])
def test_what_was_closed_by_force_in_the_millisecond_it_was_opened_is_no_opening(
    before: bool,
) -> None:
    """Fills of the exchange's own orders aren't numbered among those of others."""
    book = Book()
    if before:
        book.take(held("0", 1))
        judged(book, 1)
    forced = {"kind": FillKind.LIQUIDATION, "by_exchange": True, "price": "101"}
    opened, closed = traded("7", "-2", at=5, sequence=7), traded("-8", "2", at=5, **forced)
    book.take(held("-2", 5, sequence=7), opened, closed, held("0", 8))
    assert not judged(book, 10)
    assert (earned(book).size, earned(book).realised) == (0, -2)
    book.take(traded("9", "1", at=11, sequence=9), held("1", 11, sequence=9))
    assert not judged(book, 20)


@pytest.mark.parametrize("buys_first", [False, True])
def test_a_figure_between_both_sides_of_a_trade_with_oneself_is_no_opening(
    buys_first: bool,
) -> None:
    book = Book()
    own = {"at": 5, "sequence": 7}
    sides = [
        traded("7", "6", exchange_order_id="a", **own),
        traded("7", "-6", exchange_order_id="b", **own),
    ]
    book.take(*(sides if buys_first else sides[::-1]))
    book.take(held("6", 5, sequence=7), held("0", 5, sequence=7))
    assert not judged(book, 10)
    assert earned(book).size == 0
    book.take(traded("9", "1", at=11, sequence=9), held("1", 11, sequence=9))
    assert not judged(book, 20)


def test_what_was_held_long_ago_and_sold_at_once_is_an_opening_still() -> None:
    """One that was sold in the millisecond of the first figure was there before."""
    book = Book()
    book.take(traded("7", "-6", at=5, sequence=7), held("0", 5, sequence=7))
    (opening,) = judged(book, 10)
    assert (opening.kind, opening.amount) == (AdjustmentKind.OPENING, D(6))


def test_what_fills_alone_have_told_of_is_flat_too_once_no_list_has_it() -> None:
    """It was bought and expired, and the process was killed before it had stored more."""
    book = Book()
    book.take(traded("7", "4", "3", at=5, sequence=7))
    book.take(income("x", "0", 60, kind=IncomeKind.EXERCISE), backfilled=True)
    lacking(book, Market.LINEAR, 124)  # which may lag
    assert not judged(book, 124)
    lacking(book, Market.LINEAR, 130)
    (gone,) = judged(book, 10)
    assert (gone.kind, gone.amount) == (AdjustmentKind.EXERCISE, D(-4))
    assert (earned(book).size, earned(book).realised) == (0, 0)
    lacking(book, Market.LINEAR, 190)
    assert not judged(book, 200)


def test_what_was_bought_of_spot_is_no_position_that_a_list_could_lack() -> None:
    book = Book()
    book.take(fill("7", "4", "3", 5))
    lacking(book, Market.SPOT, 200)
    assert not judged(book, 200)
    assert not [each for each in book.events if each.type == "position"]


def lacking(book: Book, market: Market, at: int) -> None:
    """A list of positions has none."""
    book.keep(book.ledger.flat(market, [], at * SECOND, at * SECOND))
