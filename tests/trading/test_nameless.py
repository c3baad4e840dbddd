"""Fills that lists tell by the exchange's id of their order alone, while own orders are of unknown
outcome: such a fill isn't told as somebody else's before it is known whose it is."""

from __future__ import annotations

import asyncio
from typing import Any

from ccrs_core import Adjustment, AdjustmentKind, Fill, Market, Side, limit
from ccrs_core.model.orders import OrderState, Origin
from tests.trading.books import SECOND, Book, fill, said
from tests.trading.desk_world import world
from tests.trading.test_placing import once
from tests.trading.test_placing import unknown as lost
from tests.virtual import scenario

FILLED = OrderState.FILLED


def unknown() -> Book:
    """A ledger with an own order of unknown outcome."""
    book = Book()
    book.place()
    book.keep(book.ledger.unknown("c1", "the answer was lost", 1))
    return book


def listed(book: Book, *reports: Any, at: int = 2) -> Any:
    """What a list says, a second ``at``."""
    change = book.ledger.take(reports, at * SECOND, backfilled=True)
    book.keep(change)
    return change


def test_a_fill_that_may_be_an_own_orders_waits_for_the_word_on_whose_it_is() -> None:
    book, told = unknown(), fill("f1", "1")
    change = listed(book, told)
    assert change.nameless == (told,)
    assert not change.rows
    listed(book, said(FILLED, 2, client_order_id="c1", size="1", filled_size="1"))
    assert not listed(book, told).nameless
    (found,) = book.fills
    assert (found.client_order_id, found.origin) == ("c1", Origin.OWN)
    assert book.order("c1").fills_complete


def test_it_is_somebody_elses_once_its_order_is_known_to_be() -> None:
    book, told = unknown(), fill("f1", "1")
    assert listed(book, told).nameless
    listed(book, said(FILLED, 2, client_order_id="web", size="1", filled_size="1"))
    assert not listed(book, told).nameless
    (found,) = book.fills
    assert (found.client_order_id, found.origin) == ("web", Origin.OTHER)
    assert book.order("c1").state is OrderState.UNKNOWN


def test_nobody_waits_longer_than_half_a_minute_or_for_what_cannot_be_an_own_one() -> None:
    for other in (
        fill("f1", "1", side=Side.SELL),
        fill("f1", "1", native="ETHUSDT", market=Market.LINEAR),
        fill("f1", "1", client_order_id="web"),
        fill("f1", "1", by_exchange=True),
    ):
        book = unknown()
        assert not listed(book, other).nameless
        assert len(book.fills) == 1
    book, told = unknown(), fill("f1", "1")
    for at, waits in ((2, True), (20, True), (31, True), (33, False), (34, False)):
        assert bool(listed(book, told, at=at).nameless) is waits
    assert len(book.fills) == 1
    # What a stream tells doesn't wait: it would not come again.
    book = unknown()
    assert not book.ledger.take([told], 2 * SECOND).nameless


def test_who_looks_for_nothing_waits_for_nothing() -> None:
    book = unknown()
    told = fill("f1", "1")
    assert listed(book, told).nameless
    book.keep(book.ledger.presumed_absent("c1", "denied", 3 * SECOND))
    assert not listed(book, told, at=4).nameless
    assert book.fills[0].origin is Origin.OTHER


def test_what_is_asked_of_each_fill_of_others_isnt_asked_of_orders_that_have_ended() -> None:
    book = Book()
    index = book.ledger._books.index
    book.place()
    book.place("c2")
    assert {each.client_order_id for each in index.unsettled} == {"c1", "c2"}
    done = {"client_order_id": "c1", "size": "1", "filled_size": "1"}
    listed(book, said(FILLED, 2, **done))
    assert len(list(index.unsettled)) == 2, "its fill may come yet"
    listed(book, fill("f1", "1", client_order_id="c1"))
    assert [each.client_order_id for each in index.unsettled] == ["c2"]
    assert len(index) == 2


@scenario
async def test_no_figure_is_judged_while_a_fill_that_explains_it_is_held_back() -> None:
    async with world(presume_absent_after=None) as seen:
        server, symbol = seen.server, "BTC/USD:USD"
        server.push_of = lambda topic, row: [0.0] if topic == "positions" else []
        await seen.account.reconcile()
        # Another program's fill is in the lists no sooner than it has to be.
        server.list_lag = 9.5
        row = {"market": "linear", "native": "BTCUSD", "side": "buy", "size": "1", "price": "100"}
        other = server.place("key", {**row, "link": "", "type": "limit", "tif": "gtc"})
        server.fill("key", other["id"], "1")
        server.faults.append(once("/place", "drop"))
        await lost(seen, limit(symbol, Side.BUY, price="100", size="1"))
        await asyncio.sleep(11.0)
        assert (await seen.account.reconcile()).whole
        await asyncio.sleep(200.0)
        (found,) = seen.of(Fill)
        assert found.origin is Origin.OTHER
        (money,) = seen.of(Adjustment)  # what there was at the beginning
        assert (money.kind, money.asset) == (AdjustmentKind.OPENING, "USD")
