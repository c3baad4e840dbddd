"""Books with orders of retail price improvement: by streams of their own, sizes are the totals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from ccrs_binance.exchange import Binance
from ccrs_bybit.exchange import Bybit
from ccrs_okx.exchange import Okx

import ccrs_core
from ccrs_core import (
    BookUpdate,
    Client,
    Exchange,
    Gap,
    Market,
    OrderBook,
    Unsupported,
    UsageError,
    book,
    top_of_book,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.model.orderbook import Applied
from ccrs_core.transport.memory import START_NS, VirtualClock, run

SYMBOL = "BTC/USDT:USDT"
Scenario = Callable[[EmulatedExchange, Client], Awaitable[None]]


def played(exchange: type[Exchange], scenario: Scenario) -> None:
    """Run a scenario with a client of an emulated exchange in virtual time."""

    async def main() -> None:
        clock = VirtualClock(START_NS)
        dialect = exchange().dialect()
        assert dialect is not None
        venue = EmulatedExchange(dialect, rate=20.0, start_ns=START_NS)
        transport = EmulatorTransport(venue, clock)
        async with ccrs_core.connect(
            exchange(), base_url="http://127.0.0.1", transport=transport, clock=clock
        ) as client:
            await scenario(venue, client)

    run(main())


def market_of(venue: EmulatedExchange) -> Any:
    """The market that stands for ``SYMBOL``."""
    return next(
        venue.market(each)
        for each in venue.listings.values()
        if each.market is Market.LINEAR and (each.base, each.quote) == ("BTC", "USDT")
        if each.expiry_ns is None
    )


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("exchange", [Okx, Binance, Bybit])
def test_a_book_with_them_is_the_whole_market_and_heals(
    exchange: type[Exchange], connections: int
) -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        heard: list[Any] = []
        async with client.subscribe(
            book(SYMBOL, 20, rpi=True), connections=connections, callback=heard.append
        ) as feed:
            for disturbance in (None, "gap" if exchange is not Binance else "drop", "drop"):
                if disturbance is not None:
                    venue.faults.add(disturbance)
                await asyncio.sleep(60.0)
                kept = feed.book(SYMBOL)
                assert kept.valid
                # What was told last is no older than the stream is slow.
                engine = market_of(venue).engine
                venue.hold(ccrs_core.emulator.Changed.BOOK)
                await asyncio.sleep(3.0)
                rules = market_of(venue).rules
                for told, ladder in ((kept.bids(20), engine.bids), (kept.asks(20), engine.asks)):
                    true = [
                        (rules.price.value(price), rules.size.value(size))
                        for price, size in ladder.top(20)
                    ]
                    assert list(told) == true
                venue.hold(ccrs_core.emulator.Changed.NOTHING)
            assert client.status().subscriptions[0].stream is not None
        assert sum(isinstance(each, BookUpdate) for each in heard) > 100
        if connections == 1:
            assert any(isinstance(each, Gap) for each in heard)

    played(exchange, scenario)


def test_a_feed_has_either_book_of_a_symbol() -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        with pytest.raises(UsageError, match="another feed"):
            await client.subscribe(book(SYMBOL), book(SYMBOL, rpi=True)).__aenter__()
        async with (
            client.subscribe(book(SYMBOL), top_of_book(SYMBOL)) as plain,
            client.subscribe(book(SYMBOL, rpi=True)) as whole,
        ):
            await asyncio.sleep(5.0)
            assert plain.book(SYMBOL).valid
            assert whole.book(SYMBOL).valid
            assert plain.book(SYMBOL) is not whole.book(SYMBOL)
            with pytest.raises(UsageError, match="another feed"):
                await plain.subscribe(book(SYMBOL, rpi=True))

    played(Bybit, scenario)


@pytest.mark.parametrize(("exchange", "symbol"), [(Binance, "BTC/USDT"), (Binance, "BTC/USD:BTC")])
def test_who_has_no_such_book_says_so(exchange: type[Exchange], symbol: str) -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        with pytest.raises(Unsupported, match="retail price improvement"):
            await client.subscribe(book(symbol, rpi=True)).__aenter__()

    played(exchange, scenario)


def test_such_a_book_may_be_crossed_and_no_other() -> None:
    levels = (Decimal(11), Decimal(1)), (Decimal(10), Decimal(1))
    update = BookUpdate("x", "A/B", None, 1, 1, True, (levels[0],), (levels[1],))
    assert OrderBook("A/B").apply(update) is Applied.BROKEN
    kept = OrderBook("A/B", may_cross=True)
    assert kept.apply(update) is Applied.APPLIED
    assert kept.valid
