"""An order is the same, in whichever order what is said of it arrives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Market, Side
from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import LedgerConflict
from ccrs_core.model.orders import Order, OrderState, Origin, Times
from ccrs_core.model.reports import FillReport, OrderReport, Report
from tests.trading.books import SECOND, Book, D, buy, fill, said, total

OPEN, FILLED, CANCELED = OrderState.OPEN, OrderState.FILLED, OrderState.CANCELED


def outcome(book: Book) -> dict[str, Any]:
    """An order without what depends on when its news arrived."""
    shown = {f: getattr(book.order(), f) for f in Order.__slots__ if f != "__weakref__"}
    return {k: v for k, v in shown.items() if k not in ("verified_ns", "times")}


def in_all_orders(reports: Sequence[Report], own: bool = False) -> Book:
    """Take reports in each order, and twice each; all must come to the same."""
    books: list[Book] = []
    for order in permutations(reports):
        book = Book()
        if own:
            book.place()
        for report in (*order, *order):
            book.take(report)
        books.append(book)
        assert outcome(book) == outcome(books[0]), order
        states = [e.order.state for e in book.events if hasattr(e, "order")]
        assert [s.rank for s in states] == sorted(s.rank for s in states)
        assert not any(isinstance(event, LedgerConflict) for event in book.events)
        assert total(book.fills) == total(books[0].fills)
        assert len(book.fills) == sum(isinstance(each, FillReport) for each in reports)
    return books[0]


def test_a_fill_before_the_amendments_event_is_no_overfill() -> None:
    """E3."""
    order = in_all_orders(
        [
            said(OPEN, 1, size="1.0", price="2500", filled_size="0"),
            fill("e1", "0.4", "2500", at=2),
            said(OPEN, 3, size="0.8", price="2501", filled_size="0.4", filled_value="1000"),
            fill("e2", "0.4", "2501", at=4),
            said(FILLED, 4, size="0.8", price="2501", filled_size="0.8", filled_value="2000.4"),
        ]
    ).order()
    assert (order.size, order.filled_size, order.average_price) == (D("0.8"), D("0.8"), D("2500.5"))
    assert order.state is FILLED
    assert order.fills_complete


def test_a_row_ahead_of_its_fills_shows_what_is_filled_and_that_fills_are_missing() -> None:
    """B7, C2."""
    book = Book()
    row = said(FILLED, 5, size="0.5", filled_size="0.5", filled_value="30500.4")
    book.take(row, fill("e1", "0.2", "61000", at=4))
    order = book.order()
    assert (order.filled_size, order.average_price) == (D("0.5"), D("61000.8"))
    assert order.state is FILLED
    assert not order.fills_complete
    book.take(fill("e2", "0.3", "61001.33", at=4), row)
    assert book.order().fills_complete
    assert total(book.fills) == D("0.5")
    assert book.order().remaining == 0


def test_the_duplicate_of_a_fill_may_bring_the_end() -> None:
    """B5."""
    order = in_all_orders(
        [
            said(OPEN, 1, size="5", filled_size="3"),
            fill("881", "3", at=1),
            fill("882", "2", at=2),
            said(OPEN, 2, size="5", filled_size="5"),
            said(FILLED, 2, size="5", filled_size="5"),
        ]
    ).order()
    assert (order.state, order.filled_size) == (FILLED, 5)


def test_a_late_word_reopens_nothing_and_is_not_told() -> None:
    """C1."""
    book = Book()
    book.take(said(FILLED, 3, size="100", filled_size="100"), fill("t", "100", at=3))
    told = len(book.events)
    book.take(said(OPEN, 1, size="100", filled_size="0"))
    assert len(book.events) == told
    assert (book.order().state, book.order().filled_size) == (FILLED, 100)


def test_a_fill_after_the_end_is_taken_and_the_state_stays() -> None:
    """C3."""
    book = Book()
    book.take(said(CANCELED, 3, size="10", filled_size="4", reason=EndReason.BY_USER))
    assert not book.order().fills_complete
    book.take(fill("71", "4", at=2))
    order = book.order()
    assert (order.state, order.filled_size, order.reason) == (CANCELED, 4, EndReason.BY_USER)
    assert order.fills_complete
    assert order.remaining == 0


def test_what_ends_with_a_rest_is_open_no_more() -> None:
    """C4, C5, C6."""
    expired = said(
        OrderState.EXPIRED, 2, size="100", filled_size="60", reason=EndReason.NO_LIQUIDITY
    )
    order = in_all_orders([said(OPEN, 1, size="100"), fill("t", "60", at=2), expired]).order()
    assert (order.state, order.filled_size, order.remaining) == (OrderState.EXPIRED, 60, 0)


def test_a_market_buy_for_an_amount_shows_what_was_spent() -> None:
    """C5, I3: 20.1 of \"10\" is no overfill."""
    order = in_all_orders(
        [
            said(OPEN, 1, quote_size="10", filled_size="0"),
            fill("t", "20.1", "0.4975", at=2, value="9.99975"),
            said(CANCELED, 2, quote_size="10", filled_size="20.1", filled_value="9.99975"),
        ]
    ).order()
    assert (order.size, order.quote_size, order.filled_value) == (None, 10, D("9.99975"))


def test_the_exchanges_price_and_size_count_and_what_was_asked_is_kept() -> None:
    """E5."""
    book = Book()
    book.place(asked=buy("0.5", "63000"))
    book.take(said(OPEN, 1, client_order_id="c1", size="0.3", price="61200"))
    order = book.order("c1")
    assert (order.price, order.size) == (61200, D("0.3"))
    assert order.altered == ("price", "size")
    book.take(
        fill("t", "0.3", "61200", at=2),
        said(FILLED, 2, client_order_id="c1", size="0.3", price="61200", filled_size="0.3"),
    )
    assert (book.order("c1").state, book.order("c1").remaining) == (FILLED, 0)


def test_a_second_end_is_not_taken_and_told_once() -> None:
    book = Book()
    book.take(said(CANCELED, 2, size="1", reason=EndReason.BY_USER))
    for _ in range(3):
        book.take(said(FILLED, 3, size="1"))
    (told,) = (event for event in book.events if isinstance(event, LedgerConflict))
    assert (told.known, told.told) == ("canceled (by_user)", "filled")
    assert book.order().state is CANCELED


def test_a_row_that_a_late_cancel_repeats_is_ignored() -> None:
    order = in_all_orders(
        [
            said(FILLED, 2, size="1", filled_size="1"),
            said(FILLED, 3, size="1", filled_size="1", reason=EndReason.BY_USER, late=True),
        ]
    ).order()
    assert (order.state, order.reason) == (FILLED, None)


def test_nothing_of_a_row_that_repeats_an_end_is_taken() -> None:
    book = Book()
    book.take(said(FILLED, 2, size="1", filled_size="1", filled_value="100"))
    told = len(book.events)
    book.take(said(FILLED, 3, size="7", filled_size="7", reason_text="late", late=True))
    assert len(book.events) == told
    assert (book.order().size, book.order().filled_size) == (1, 1)


def test_a_value_is_never_that_of_another_size() -> None:
    book = Book()
    book.take(said(OPEN, 2, size="1", filled_size="0.5"))
    book.take(said(OPEN, 1, size="1", filled_size="0.2", filled_value="20", average_price="100"))
    order = book.order()
    assert (order.filled_size, order.filled_value, order.average_price) == (D("0.5"), None, None)
    book.take(said(OPEN, 2, size="1", filled_size="0.5", filled_value="51", average_price="102"))
    assert (book.order().filled_value, book.order().average_price) == (51, 102)


def test_what_is_filled_is_whole_though_no_row_says_how_much() -> None:
    book = Book()
    book.take(said(FILLED, 2, size="3"))
    assert book.order().filled_size == 3
    assert not book.order().fills_complete


def test_a_fill_of_an_order_that_never_was_is_taken_and_the_contradiction_told() -> None:
    book = Book()
    book.place()
    book.keep(book.ledger.absent("c1", "denied", 5))
    book.take(fill("t", "1", client_order_id="c1"))
    assert book.order("c1").state is OrderState.ABSENT
    assert book.order("c1").filled_size == 1
    (told,) = (event for event in book.events if isinstance(event, LedgerConflict))
    assert (told.known, told.told) == ("absent", "a fill of 1")


# --- any history ---


@st.composite
def histories(draw: st.DrawFn) -> list[Report]:
    """What an exchange says of one order, from its beginning to its end: rows and fills."""
    size, price = D(draw(st.integers(1, 20))), D(draw(st.integers(90, 110)))
    done, value, at = D(0), D(0), 1
    reports: list[Report] = [said(OPEN, at, size=size, price=price, filled_size="0")]

    def row(state: OrderState, **more: Any) -> OrderReport:
        return said(
            *(state, at),
            **{"size": size, "price": price, "filled_size": done, "filled_value": value, **more},
        )

    for number in range(draw(st.integers(0, 4))):
        at += draw(st.integers(0, 2))
        if draw(st.booleans()) and size > done:
            part = D(draw(st.integers(1, int(size - done))))
            done, value = done + part, value + part * price
            fee = draw(st.sampled_from([None, "0.1", "-0.2"]))
            asset = draw(st.sampled_from(["USDT", "BTC"]))
            reports.append(
                fill(f"f{number}", str(part), str(price), at=at, fee=fee, fee_asset=asset)
            )
        else:
            at += 1
            price, size = price + 1, max(done + 1, size - draw(st.integers(-2, 2)))
        reports.append(row(OPEN, native_fields={"step": str(number)}))
    at += draw(st.integers(0, 1))
    if done == size:
        reports.append(row(FILLED))
    else:
        reports.append(row(CANCELED, reason=EndReason.BY_USER, reason_text="by user"))
    return reports


@given(histories(), st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_arrival_comes_to_the_same(
    reports: list[Report], chance: random.Random, own: bool
) -> None:
    first, other = Book(), Book()
    if own:
        first.place()
        other.place()
        placed = Placed(exchange_order_id="o1", client_order_id="c1")
        first.keep(first.ledger.answered("c1", placed, Times(received_ns=1)))
        answers_after = chance.randrange(len(reports) + 1)
    for report in reports:
        first.take(report)
    mixed = [*reports, *chance.sample(reports, chance.randrange(len(reports)))]
    chance.shuffle(mixed)
    for at, report in enumerate(mixed):
        if own and at == answers_after:
            other.keep(other.ledger.answered("c1", placed, Times(received_ns=1)))
        if chance.random() < 0.1:
            other.reopen()
        other.take(report)
    if own and answers_after >= len(mixed):
        other.keep(other.ledger.answered("c1", placed, Times(received_ns=1)))
    assert outcome(other) == outcome(first)
    order = first.order()
    assert order.fills_complete
    assert order.filled_size == total(first.fills) == total(other.fills)
    assert order.origin is (Origin.OWN if own else Origin.OTHER)
    assert order.state is (FILLED if order.filled_size == order.size else CANCELED)


@pytest.mark.parametrize("market", [Market.SPOT, Market.INVERSE])
def test_an_average_is_by_size_or_of_inverse_contracts_by_value(market: Market) -> None:
    book = Book()
    native = "BTCUSDT" if market is Market.SPOT else "BTCUSD"
    for fill_id, price in (("a", "50000"), ("b", "100000")):
        book.take(fill(fill_id, "5", price, market=market, native=native))
    book.take(said(FILLED, 2, market=market, native=native, size="10", filled_size="10"))
    order = book.order()
    if market is Market.SPOT:
        assert (order.filled_value, order.average_price) == (750000, 75000)
    else:
        assert order.filled_value == D("0.015")
        assert order.average_price == D("66666.66666666666666666666666666667")


def test_times_are_the_exchanges() -> None:
    book = Book()
    book.take(said(OPEN, 5, created_ns=SECOND), said(OPEN, 3), fill("t", "1", at=7))
    order = book.order()
    assert (order.created_ns, order.updated_ns) == (SECOND, 7 * SECOND)
    assert order.side is Side.BUY
