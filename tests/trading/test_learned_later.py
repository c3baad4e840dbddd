"""What becomes known later than it was so, or again: it counts once, and where it belongs."""

from __future__ import annotations

from typing import Any

import pytest

from ccrs_core import Market, Side
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import Adjustment, AdjustmentKind, IncomeKind, LedgerConflict
from ccrs_core.model.order_requests import PositionSide, Trigger
from ccrs_core.model.orders import Order, OrderState, OrderUpdate
from ccrs_core.model.reports import EarlyFillReport, Report
from tests.trading.books import SECOND, SPOT, Book, D, buy, fill, said
from tests.trading.test_positions import (
    adjustments,
    balance,
    held,
    income,
    judged,
    traded,
)
from tests.waiting import done

OPEN, WAITING, CANCELED = OrderState.OPEN, OrderState.WAITING, OrderState.CANCELED
NOWHERE: dict[str, Any] = {"market": Market.LINEAR, "native": "NEWUSDT"}
TRIGGER = Trigger(price=D("99"), rises=False)
GUARD: dict[str, Any] = {
    "exchange_order_id": "g1",
    "client_order_id": "s1",
    "trigger": TRIGGER,
    "size": "1",
}


def conflicts(book: Book) -> list[LedgerConflict]:
    return [event for event in book.events if isinstance(event, LedgerConflict)]


def numbers(book: Book) -> list[int]:
    """Of all that was told, in the order in which it was."""
    return [event.number for event in book.events]


# --- fills ----------------------------------------------------------------------------------


def test_an_early_word_of_a_fill_counts_in_the_instruments_units() -> None:
    lots = EarlyFillReport(
        market=Market.LINEAR,
        native="ETHUSDT",
        fill_id="1",
        exchange_order_id="o1",
        client_order_id="",
        side=Side.BUY,
        price=D("3000"),
        size=D("2"),
        exchange_time_ns=1,
        received_time_ns=2,
    )
    (early,) = Book().take(lots).early
    assert early.size == D("0.02")


def test_the_same_fee_in_another_asset_is_another_fee() -> None:
    book = Book()
    book.take(fill("t", "1", fee="0.5", fee_asset="USDT"))
    for _ in range(2):
        book.take(fill("t", "1", fee="0.5", fee_asset="BNB"))
    (told,) = conflicts(book)
    assert (told.known, told.told) == ("0.5 USDT", "0.5 BNB")


def test_the_value_of_an_order_is_not_known_as_long_as_that_of_one_fill_is_not() -> None:
    unknown: dict[str, Any] = {"market": Market.INVERSE, "native": "BTCUSD"}
    book = Book()
    book.take(said(OPEN, 1, size="3", **unknown))
    for n, price in enumerate(["100", "0", "100"]):
        book.take(fill(f"f{n}", "1", price, at=2, **unknown))
        assert (book.order().filled_value is None) is (n > 0)
    assert book.order().filled_size == 3


@pytest.mark.parametrize("whose", ["told first", "told last"])
def test_a_fill_without_a_side_is_of_the_own_orders_whichever_is_told_first(whose: str) -> None:
    """Of the exchange's id alone fills are told, until the answer says that it is ours."""
    book = Book()
    asked = buy(position_side=PositionSide.SHORT)
    book.keep(book.ledger.plan(asked, SPOT, "c1", 0))
    book.ledger.sent("c1", 0)
    steps: list[Report] = [
        fill("t", "1", position_side=None, fee="0.5", fee_asset="USDT"),
        said(OPEN, 2, client_order_id="c1", size="1", position_side=PositionSide.SHORT),
    ]
    for each in steps if whose == "told last" else steps[::-1]:
        book.take(each)
    assert book.order("c1").fees == (("USDT", D("0.5")),)
    assert {each.position_side for each in book.fills[-1:]} <= {
        PositionSide.NET,
        PositionSide.SHORT,
    }


def test_what_the_exchange_said_of_an_order_counts_once_it_is_known_to_be_ours() -> None:
    """The larger of two cumulative sizes, though both sides of the join had one."""
    book = Book()
    book.place()
    book.take(said(OPEN, 1, exchange_order_id="", client_order_id="c1", filled_size="0.1"))
    book.take(said(OPEN, 2, size="1", filled_size="0.4", filled_value="41"))
    assert book.order().origin is not book.order("c1").origin
    book.take(said(OPEN, 1, client_order_id="c1", size="1", filled_size="0.2"))
    order = book.order("c1")
    assert (order.exchange_order_id, order.filled_size, order.filled_value) == ("o1", D("0.4"), 41)
    assert not order.fills_complete


def test_an_order_that_is_overfilled_further_is_told_of_once() -> None:
    book = Book()
    book.take(said(OrderState.FILLED, 1, size="1", filled_size="1"))
    for n in range(3):
        book.take(fill(f"f{n}", "1", at=1))
    (told,) = conflicts(book)
    assert told.what == "size of an order"


# --- orders ---------------------------------------------------------------------------------


def test_an_amendment_to_what_was_asked_already_tells_nothing() -> None:
    book = Book()
    book.place()
    book.take(said(OPEN, 1, client_order_id="c1", size="1", price="100"))
    told = len(book.events)
    change = book.keep(book.ledger.amended("c1", 2 * SECOND, price=D("100")))
    assert (len(book.events), change.rows) == (told, ())


def guarded(book: Book) -> None:
    """An own order that waits for its trigger."""
    book.keep(book.ledger.plan(buy(trigger=TRIGGER), SPOT, "s1", 0))
    book.ledger.sent("s1", 0)
    book.take(said(WAITING, 1, **GUARD))


def test_an_id_that_is_used_again_after_a_canceled_trigger_is_another_order() -> None:
    """Nothing of it is what the trigger has placed, which it never did."""
    book = Book()
    guarded(book)
    book.take(said(CANCELED, 2, reason=EndReason.BY_USER, **GUARD))
    book.take(said(OPEN, 3, exchange_order_id="n1", client_order_id="s1", size="5"))
    book.take(fill("t", "2", at=4, exchange_order_id="n1", client_order_id="s1"))
    old, new = book.order("s1"), book.order("n1")
    assert (old.state, old.fired, old.children, old.filled_size) == (CANCELED, False, (), 0)
    assert (new.state, new.fired_by, new.filled_size) == (OPEN, "", 2)


def fired(book: Book) -> Order:
    """An own order whose trigger has fired."""
    guarded(book)
    book.take(said(WAITING, 2, **{**GUARD, "fired": True, "children": ("o1",)}))
    return book.order("s1")


def test_a_guard_is_complete_only_once_what_it_has_placed_is() -> None:
    book = Book()
    fired(book)
    book.take(said(OrderState.FILLED, 3, size="1", filled_size="1"))
    assert book.order("s1").state is OrderState.FILLED
    for share, complete in (("0.6", False), ("0.4", True)):
        book.take(fill(f"f{share}", share, at=3))
        assert book.order("s1").fills_complete is complete


def test_a_fee_that_is_learned_later_counts_beside_those_of_what_was_placed() -> None:
    """Of the one that waited a part may be filled under its own id."""
    book = Book()
    fired(book)
    book.take(
        said(OPEN, 3, size="1"),
        fill("a", "0.4", at=3, fee="0.1", fee_asset="USDT"),
        fill("b", "0.3", at=4, exchange_order_id="g1", client_order_id="s1"),
    )
    late = {"exchange_order_id": "g1", "client_order_id": "s1", "fee_asset": "USDT"}
    for _ in range(2):
        book.take(fill("b", "0.3", at=4, fee="0.2", **late))
    assert book.order("s1").fees == (("USDT", D("0.3")),)
    told = [e.order for e in book.events if isinstance(e, OrderUpdate) and e.order.asked]
    assert told[-1].fees == (("USDT", D("0.3")),)


# --- positions and balances -------------------------------------------------------------------


def test_money_explains_one_change_of_a_position_and_none_after_it() -> None:
    book = Book()
    book.take(held("0", 0))
    judged(book, 0)
    book.take(traded("a", "1", at=1), held("1", 2))
    book.take(income("d", "5", 100, kind=IncomeKind.DELIVERY), held("0", 100))
    book.take(held("0.5", 200))
    kinds = [each.kind for each in judged(book, 300)]
    assert kinds == [AdjustmentKind.DELIVERY, AdjustmentKind.UNEXPLAINED]


@pytest.mark.parametrize("later", ["the figures are newer", "a fill waits for its instrument"])
def test_numbers_rise_though_what_was_there_before_is_judged_later_than_it_was_read(
    later: str,
) -> None:
    """Its number comes before the fills' where it is told with them, and else where it is told."""
    book, whole = Book(), 20
    reports: list[Report] = [held("3", 10), balance("100", 10), traded("a", "1", at=5)]
    if later == "the figures are newer":
        whole = 7
    else:
        reports.append(fill("n", "1", at=5, **NOWHERE))
    book.take(*reports, backfilled=True, whole_before_ns=whole * SECOND)
    assert not adjustments(book)
    book.take(traded("b", "1", at=30))
    told = judged(book, 20)
    assert [(each.asset, each.amount) for each in told] == [("", 2), ("USDT", 100)]
    assert numbers(book) == sorted(numbers(book))
    assert len(done(book.store.entries_after(0, 99))) == len(book.events)


def test_of_what_a_whole_list_leaves_out_nothing_is_available_either() -> None:
    book = Book()
    book.take(balance("10", 1, "LINK", available=D("7")))
    book.keep(book.ledger.nothing_else([], 5 * SECOND, 5 * SECOND))
    assert [(e.total, e.available) for e in book.events if not isinstance(e, Adjustment)][-1] == (
        *(0, 0),
    )
    assert not book.ledger.balances()


def test_orders_whose_triggers_name_each_other_are_two_orders() -> None:
    book = Book()
    pair = [
        said(OPEN, n, exchange_order_id=own, fired_by=other, size="1")
        for n, (own, other) in enumerate((("a", "b"), ("b", "a")), 1)
    ]
    for _ in range(2):
        book.take(*pair)
        for each in ("a", "b"):
            book.take(fill(f"f{each}", "0.5", at=3, exchange_order_id=each))
            assert book.order(each).filled_size <= 1
        book.reopen()
    assert len(book.fills) == 2


def test_what_an_index_has_let_go_of_leaves_nothing_behind() -> None:
    """Of triggers and of what they have placed, too, known and unknown ones."""
    book = Book(recent=5)
    index = book.ledger._books.index
    for n in range(60):
        ids = {"exchange_order_id": f"o{n}", "size": "1", "filled_size": "1"}
        named = {"fired_by": f"g{n}" if n % 2 else f"nobody{n}"}
        guard = {"exchange_order_id": f"g{n}", "trigger": TRIGGER, "size": "1"}
        if n % 2:
            book.take(said(WAITING, n, **guard, fired=True, children=(f"o{n}",)))
        book.take(fill(f"f{n}", "1", at=n, exchange_order_id=f"o{n}"))
        book.take(said(OrderState.FILLED, n, **ids, **named))
    held = index._by_exchange, index._by_id, index._placed, index._lost, index._unsettled
    assert all(len(each) <= 12 for each in held), [len(each) for each in held]
    assert len(index) <= 12
