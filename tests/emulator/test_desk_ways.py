"""What exchanges do in other ways than most: orders that end as canceled, that are told to be
filled by a word of their own, that another size ends."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ccrs_core.emulator import Ending, Stage
from ccrs_core.emulator.matching import Lifetime
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType, Trigger
from tests.emulator.trading_floor import LINEAR, OPTION, PROMPT, SPOT, D, Exchange, frozen

MARKET: dict[str, Any] = {"type": OrderType.MARKET}


def floor(**conduct: Any) -> Exchange:
    """Quiet markets of 60000 to 60001."""
    it = Exchange(frozen(**conduct))
    for listing in (SPOT, LINEAR):
        it.book(listing, bids=[("60000", "5"), ("59900", "50")], asks=[("60001", "5")])
        it.venue.steer(listing, last_price=D(60000), mark_price=D(60000), index_price=D(60000))
    return it


@pytest.mark.parametrize(("rejects", "stage"), [(True, Stage.REJECTED), (False, Stage.CANCELED)])
def test_what_would_take_is_rejected_or_canceled(rejects: bool, stage: Stage) -> None:
    it = floor(rejects_late=rejects)
    order = it.place(it.ann, LINEAR, Side.BUY, "1", price=D(60001), lifetime=Lifetime.POST_ONLY)
    now = it.now(it.ann, order)
    assert (now.stage, now.ending) == (stage, Ending.WOULD_TAKE)


@pytest.mark.parametrize("apart", [True, False])
def test_an_order_may_be_told_to_be_filled_after_its_last_fill(apart: bool) -> None:
    it = floor(completes_apart=lambda order: apart)
    order = it.place(it.ann, SPOT, Side.BUY, "1", **MARKET)
    versions = [(v.stage, v.filled) for v in it.versions(order) if v.filled]
    whole = [(Stage.FILLED, D(1))]
    assert versions == ([(Stage.OPEN, D(1)), *whole] if apart else whole)
    assert it.ann.wallet["USDT"].locked == 0
    assert order.number not in it.ann.orders


@pytest.mark.parametrize(("to_the_lot", "stage"), [(True, Stage.FILLED), (False, Stage.CANCELED)])
def test_an_amount_of_quote_is_filled_to_the_lot(to_the_lot: bool, stage: Stage) -> None:
    it = floor(fills_to_the_lot=to_the_lot)
    order = it.place(it.ann, SPOT, Side.BUY, None, quote_size=D(100), **MARKET)
    now = it.now(it.ann, order)
    assert (now.stage, now.filled) == (stage, D("0.001"))
    # Where the book has no more, the rest is no lot's.
    more = it.place(it.ann, SPOT, Side.BUY, None, quote_size=D(400_000), **MARKET)
    assert it.now(it.ann, more).stage is Stage.CANCELED


def test_a_size_of_what_is_filled_ends_an_order_as_filled() -> None:
    it = floor(amends_below_filled=True)
    order = it.place(it.ann, LINEAR, Side.BUY, "6", price=D(60001))
    margin = it.ann.wallet["USDT"].order_margin
    it.desk.amend(it.ann, order.number, attrs.evolve(order.asked, size=D(2)))
    now = it.now(it.ann, order)
    assert (now.stage, now.size, now.filled) == (Stage.FILLED, D(5), D(5))
    assert margin > it.ann.wallet["USDT"].order_margin == 0
    assert it.market(LINEAR).engine.bids.best == 600000


def test_orders_that_belong_together_end_each_other() -> None:
    it = floor()
    orders = [
        it.place(it.ann, LINEAR, side, "1", **MARKET, trigger=trigger, pair="one")
        for side, trigger in (
            (Side.BUY, Trigger(price=D(60500), rises=True)),
            (Side.SELL, Trigger(price=D(59500), rises=False)),
        )
    ]
    other = it.place(
        it.ann, LINEAR, Side.SELL, "1", **MARKET, trigger=Trigger(price=D(59400), rises=False)
    )
    it.venue.steer(LINEAR, last_price=D(60500))
    assert it.now(it.ann, orders[0]).stage is Stage.FILLED
    assert it.now(it.ann, orders[1]).ending is Ending.PARTNER
    assert it.now(it.ann, other).stage is Stage.WAITING


def test_what_a_trigger_brings_to_life_and_what_waited_name_each_other() -> None:
    it = floor(triggers_anew=lambda listing: True)
    waited = it.place(
        it.ann, LINEAR, Side.BUY, "1", **MARKET, trigger=Trigger(price=D(60500), rises=True)
    )
    it.venue.steer(LINEAR, last_price=D(60500))
    ended = it.now(it.ann, waited)
    assert ended.ending is Ending.REPLACED
    assert ended.replaced_by is not None
    child = it.desk.find(it.ann, number=ended.replaced_by)
    assert child is not None
    assert (child.origin, child.stage) == (waited.number, Stage.FILLED)


def test_sizes_are_counted_in_contracts_where_the_exchange_does() -> None:
    assert LINEAR.counted(D("0.5")) == D("0.5")
    assert attrs.evolve(LINEAR, contract=D("0.01")).counted(D("0.5")) == 50
    assert OPTION.counted(D(1)) == 1
    assert PROMPT.rejects_late
