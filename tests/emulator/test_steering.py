"""Markets that are put into a state stand still in it, and go on once they are let."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit import Bybit

from ccrs_core.emulator import EmulatedExchange, Figure, Listing
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS


def exchange() -> tuple[EmulatedExchange, Listing]:
    dialect = Bybit().dialect()
    assert dialect is not None
    venue = EmulatedExchange(dialect, start_ns=START_NS)
    return venue, venue.listings["linear", "BTCUSDT"]


def levels(venue: EmulatedExchange, listing: Listing, side: Side) -> list[tuple[Decimal, Decimal]]:
    market = venue.market(listing)
    price, size = market.rules.price.value, market.rules.size.value
    return [(price(p), size(s)) for p, s in market.engine.depth(side, 1000)]


def test_a_steered_market_has_the_levels_it_was_given_and_nothing_happens_in_it() -> None:
    venue, listing = exchange()
    bids = [(Decimal("100000.1"), Decimal("0.5")), (Decimal("99999.9"), Decimal("0.001"))]
    venue.steer(listing, bids=bids, asks=())
    before = venue.market(listing).sequence
    venue.advance(venue.now_ns + 60 * NS_PER_SECOND)
    assert levels(venue, listing, Side.BUY) == bids
    assert levels(venue, listing, Side.SELL) == []
    assert venue.market(listing).sequence == before


def test_what_is_steered_to_none_lacks_until_it_has_a_value_again() -> None:
    venue, listing = exchange()
    market = venue.market(listing)
    venue.steer(listing, index_price=None, next_funding_time_ns=None)
    assert not market.has(Figure.INDEX_PRICE)
    assert market.has(Figure.MARK_PRICE)
    assert market.next_funding_ns is None
    venue.steer(listing, index_price=Decimal("64000.05"), next_funding_time_ns=START_NS)
    assert market.has(Figure.INDEX_PRICE)
    assert market.rules.price.value(market.index) / 100 == Decimal("64000.05")
    assert market.next_funding_ns == START_NS


def test_a_released_market_goes_on_and_lacks_nothing() -> None:
    venue, listing = exchange()
    venue.steer(listing, bids=(), asks=(), last_price=None, high_price=Decimal(1))
    venue.advance(venue.now_ns + 5 * NS_PER_SECOND)
    venue.release(listing)
    venue.advance(venue.now_ns + 5 * NS_PER_SECOND)
    market = venue.market(listing)
    assert not market.lacks
    assert levels(venue, listing, Side.BUY)
    assert levels(venue, listing, Side.SELL)
    assert market.tape.day(venue.now_ns).high > 10


def test_printed_trades_and_liquidations_are_what_they_were_said_to_be() -> None:
    venue, listing = exchange()
    size, price = Decimal("0.25"), Decimal("64000.1")
    venue.steer(listing, last_price=None)
    venue.trade(listing, Side.SELL, size, price, block=True)
    venue.trade(listing, Side.BUY, size, price, rpi=True)
    venue.liquidate(listing, Side.BUY, size, price)
    market = venue.market(listing)
    trades = list(market.tape.trades)[-2:]
    assert [(t.side, t.block, t.rpi) for t in trades] == [
        (Side.SELL, True, False),
        (Side.BUY, False, True),
    ]
    assert market.has(Figure.LAST_PRICE)
    assert market.liquidations[-1].side is Side.BUY


@pytest.mark.parametrize(
    "figures",
    [
        {"volumes": Decimal(1)},
        {"last_price": Decimal("0.01")},
        {"last_price": Decimal(0)},
        {"volume": None},
        {"bids": [(Decimal(1), Decimal(1)), (Decimal(2), Decimal(1))]},
        {"bids": [(Decimal(1), Decimal(0))]},
        {"bids": [(Decimal(5), Decimal(1))], "asks": [(Decimal(5), Decimal(1))]},
    ],
)
def test_what_no_market_could_be_is_refused_and_changes_nothing(figures: dict[str, Any]) -> None:
    venue, listing = exchange()
    before = levels(venue, listing, Side.BUY)
    with pytest.raises(UsageError):
        venue.steer(listing, index_price=None, **figures)
    market = venue.market(listing)
    assert market.has(Figure.INDEX_PRICE)
    assert not market.held
    assert levels(venue, listing, Side.BUY) == before
