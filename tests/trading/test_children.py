"""An order that waits, and what its trigger places: followed through, in whatever order that is
told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import LedgerConflict
from ccrs_core.model.order_requests import Trigger
from ccrs_core.model.orders import (
    Fill,
    Order,
    OrderState,
    OrderUpdate,
    Origin,
    Times,
    average,
)
from ccrs_core.trading.exposure import exposure_of
from tests.trading.books import Book, D, buy, fill, said

WAITING, OPEN, FILLED = OrderState.WAITING, OrderState.OPEN, OrderState.FILLED
CANCELED, REJECTED = OrderState.CANCELED, OrderState.REJECTED
TRIGGER = Trigger(price=D("99"), rises=False)

Step = Callable[[Book], None]


def word(**more: Any) -> Step:
    """Something that the exchange says."""
    return lambda book: _take(book, said(**more))


def part(fill_id: str, size: str, price: str, **more: Any) -> Step:
    """A fill that it tells."""
    return lambda book: _take(book, fill(fill_id, size, price, **more))


def _take(book: Book, report: Any) -> None:
    book.take(report)


def answered(book: Book) -> None:
    """The placement's answer."""
    placed = Placed(exchange_order_id="g1", client_order_id="s1")
    book.keep(book.ledger.answered("s1", placed, Times(sent_ns=1, received_ns=9)))


def planned(size: str = "1") -> Book:
    book = Book()
    book.keep(book.ledger.plan(buy(size, trigger=TRIGGER), _spot(), "s1", 0))
    book.ledger.sent("s1", 0)
    return book


def _spot() -> Any:
    from tests.trading.books import SPOT

    return SPOT


GUARD: dict[str, Any] = {
    "exchange_order_id": "g1",
    "client_order_id": "s1",
    "trigger": TRIGGER,
    "size": "1",
}
STYLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the child names the guard's id": ({"fired": True}, {"fired_by": "g1"}),
    "the child names the client's id": ({"fired": True}, {"fired_by": "s1"}),
    "the guard names the child": ({"fired": True, "children": ("o1",)}, {}),
    "the child has the same client id": ({}, {"client_order_id": "s1"}),
    "both, and the client id": (
        {"fired": True, "children": ("o1",)},
        {"client_order_id": "s1", "fired_by": "g1"},
    ),
}
ENDS: dict[str, dict[str, Any]] = {
    "filled": {"state": FILLED, "filled_size": "1"},
    "canceled": {"state": CANCELED, "reason": EndReason.BY_USER, "filled_size": "0.7"},
    "rejected": {"state": REJECTED, "reason": EndReason.BALANCE, "reason_text": "no money"},
}


def story(style: str, end: str) -> list[Step]:
    """All that is told of a guard whose trigger fires."""
    fired, named = STYLES[style]
    steps = [
        answered,
        word(state=WAITING, at=1, **GUARD),
        word(state=WAITING, at=2, **GUARD, **fired),
        word(at=5, size="1", **named, **ENDS[end]),
    ]
    with_client_id = {k: v for k, v in named.items() if k == "client_order_id"}
    if end != "rejected":
        steps.append(word(state=OPEN, at=3, size="1", **named))
        steps.append(part("t1", "0.4", "101", at=4, fee="0.1", fee_asset="USDT", **with_client_id))
        steps.append(part("t2", "0.3", "102", at=4, **with_client_id))
    if end == "filled":
        steps.append(part("t3", "0.3", "103", at=5, **with_client_id))
    return steps


def check_guard(guard: Order, end: str) -> None:
    assert guard.fired
    assert guard.children == ("o1",)
    assert guard.exchange_order_id == "g1"
    assert guard.state is ENDS[end]["state"]
    assert guard.reason is ENDS[end].get("reason")
    assert guard.reason_text == ENDS[end].get("reason_text", "")
    assert guard.fills_complete
    values = {"filled": ("1", "101.9"), "canceled": ("0.7", "71.0"), "rejected": ("0", "0")}
    size, value = map(D, values[end])
    assert (guard.filled_size, guard.filled_value) == (size, value)
    assert guard.average_price == average(value, size)
    assert guard.fees == ((("USDT", D("0.1")),) if size else ())


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_guard_is_what_it_has_placed_in_any_order_of_arrival(
    style: str, end: str, data: st.DataObject
) -> None:
    steps = data.draw(st.permutations(story(style, end)))
    again = data.draw(st.lists(st.sampled_from(steps), max_size=3))
    starts = data.draw(st.sets(st.integers(0, len(steps)), max_size=2))
    book = planned()
    ended: OrderState | None = None
    seen = D(0)
    for place, step in enumerate([*steps, *again]):
        if place in starts:
            book.reopen()
        step(book)
        guard = book.order("s1")
        assert guard.filled_size >= seen
        seen = guard.filled_size
        if ended is not None:
            assert guard.state is ended
        ended = guard.state if guard.state.final else None
        check_exposure(book)
    check_guard(book.order("s1"), end)
    child = book.order("o1")
    assert child.origin is Origin.OWN
    assert child.fired_by
    assert child.state is ENDS[end]["state"]
    assert [each for each in book.events if isinstance(each, LedgerConflict)] == []
    fills = [each for each in book.events if isinstance(each, Fill)]
    assert len({each.fill_id for each in fills}) == len(fills)
    assert {each.exchange_order_id for each in fills} <= {"o1"}
    told = [e.order for e in book.events if isinstance(e, OrderUpdate) and e.order.client_order_id]
    kept = shown(book.order("s1"))
    assert shown([each for each in told if each.exchange_order_id == "g1"][-1]) == kept
    book.reopen()
    assert shown(book.order("s1")) == kept


def shown(order: Order) -> Order:
    """Without what changes though nothing has happened."""
    return attrs.evolve(order, verified_ns=None, updated_ns=None, times=Times(), native={})


def check_exposure(book: Book) -> None:
    """Never more than one order's size is open, once it is known whose a child is."""
    child = book.ledger.order("o1")
    filled = sum((e.size for e in book.events if isinstance(e, Fill)), D(0))
    guard = book.order("s1")
    if (child is not None and "o1" not in guard.children) or guard.filled_size < filled:
        return
    orders = book.ledger.orders()
    exposure = exposure_of("BTC/USDT", [], orders)
    assert exposure.open_buys + exposure.unknown_buys + filled <= 1


def test_a_fill_that_comes_before_the_order_it_is_of_says_which_trigger_placed_that() -> None:
    """Lists of fills may have no client's id of it, and the order that waited names it alone."""
    book = planned()
    answered(book)
    book.take(said(WAITING, 2, **{**GUARD, "fired": True, "children": ("o1",)}))
    book.take(fill("f1", "1", "98", 3))
    (told,) = book.fills
    assert (told.client_order_id, told.origin) == ("s1", Origin.OWN)


@pytest.mark.parametrize(
    ("filled", "ends"), [("1.5", CANCELED), ("1", CANCELED), ("0.4", CANCELED), ("3", FILLED)]
)
def test_what_was_placed_and_made_larger_is_filled_once_all_of_that_is(
    filled: str, ends: OrderState
) -> None:
    """More than the order that waited was asked for, and less than what became of it."""
    book = planned()
    answered(book)
    book.take(said(WAITING, 2, **{**GUARD, "fired": True, "children": ("o1",)}))
    book.take(said(OPEN, 3, size="1"))
    book.take(said(OPEN, 4, size="3"))
    book.take(fill("t1", filled, "101", at=5))
    told = {"reason": EndReason.BY_USER} if ends is CANCELED else {}
    book.take(said(ends, 6, size="3", filled_size=filled, **told))
    guard = book.order("s1")
    assert (guard.state, guard.filled_size) == (ends, D(filled))
    assert guard.reason is told.get("reason")


def test_what_was_placed_anew_fills_the_order_that_waited() -> None:
    """Though the first order that it placed was canceled."""
    book = planned()
    answered(book)
    book.take(said(WAITING, 2, **{**GUARD, "fired": True, "children": ("o1", "o2")}))
    book.take(said(CANCELED, 3, size="1", reason=EndReason.EXCHANGE))
    book.take(said(OPEN, 4, size="1", exchange_order_id="o2"))
    book.take(fill("t1", "1", "101", at=5, exchange_order_id="o2"))
    book.take(said(FILLED, 6, size="1", exchange_order_id="o2", filled_size="1"))
    guard = book.order("s1")
    assert (guard.state, guard.filled_size, guard.reason) == (FILLED, 1, None)
