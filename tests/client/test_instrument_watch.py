"""Who watches a market's instruments hears of listings and ticks without waiting for the list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import attrs
import pytest
from ccrs_binance.exchange import Binance
from ccrs_bybit.exchange import Bybit
from ccrs_okx.exchange import Okx

import ccrs_core
from ccrs_core import (
    Client,
    Exchange,
    InstrumentChanged,
    InstrumentStatus,
    Market,
    UsageError,
    top_of_book,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport, Fault, FaultKind
from ccrs_core.transport.memory import START_NS, VirtualClock, run

Scenario = Callable[[EmulatedExchange, Client], Awaitable[None]]
SYMBOL = "BTC/USDT:USDT"


def played(exchange: type[Exchange], scenario: Scenario) -> None:
    """Run a scenario with a client of an emulated exchange in virtual time."""

    async def main() -> None:
        clock = VirtualClock(START_NS)
        dialect = exchange().dialect()
        assert dialect is not None
        venue = EmulatedExchange(dialect, rate=1.0, start_ns=START_NS)
        transport = EmulatorTransport(venue, clock)
        here = "http://127.0.0.1"
        async with ccrs_core.connect(
            exchange(), base_url=here, transport=transport, clock=clock
        ) as client:
            await scenario(venue, client)

    run(main())


def native(venue: EmulatedExchange, client: Client) -> tuple[str, str]:
    """The key of the listing that stands for ``SYMBOL``."""
    return next(
        each.key
        for each in venue.listings.values()
        if each.market is Market.LINEAR and (each.base, each.quote) == ("BTC", "USDT")
        if each.expiry_ns is None
    )


def change(venue: EmulatedExchange, key: tuple[str, str], **fields: object) -> None:
    venue.change(venue.listings[key], **fields)


async def told(heard: list[InstrumentChanged], seconds: float) -> list[InstrumentChanged]:
    """What was heard within some time."""
    await asyncio.sleep(seconds)
    found = list(heard)
    heard.clear()
    return found


async def heard_of(watch: ccrs_core.InstrumentWatch, into: list[InstrumentChanged]) -> None:
    async for each in watch:
        into.append(each)  # noqa: PERF401 - as they come


@pytest.mark.parametrize("exchange", [Okx, Binance, Bybit])
def test_a_status_that_changes_is_told_to_who_watches_and_to_feeds(
    exchange: type[Exchange],
) -> None:
    news = Market.LINEAR in exchange.capabilities.instrument_news
    within = 8.0 if news else 70.0

    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        heard: list[InstrumentChanged] = []
        in_feed: list[object] = []
        async with (
            client.subscribe(top_of_book(SYMBOL), callback=in_feed.append),
            client.watch_instruments("linear") as watch,
        ):
            hearing = asyncio.create_task(heard_of(watch, heard))
            assert await told(heard, 100.0) == []  # nothing has changed
            key = native(venue, client)
            for status in (InstrumentStatus.SETTLING, InstrumentStatus.TRADING):
                change(venue, key, status=status)
                (each,) = await told(heard, within)
                assert (each.symbol, each.changed) == (SYMBOL, ("status",))
                assert each.after is not None
                assert each.after.status is status
            # A listing, and its end.
            listing = venue.listings[key]
            new = attrs.evolve(listing, symbol=listing.symbol.replace("BTC", "NEWCOIN"))
            new = attrs.evolve(new, base="NEWCOIN")
            venue.enlist(new)
            (come,) = await told(heard, within)
            venue.delist(new)
            with pytest.raises(UsageError):
                venue.change(new, tick=1)
            (gone,) = await told(heard, within)
            assert come.before is gone.after is None
            assert come.after == gone.before
            assert come.symbol == gone.symbol == "NEWCOIN/USDT:USDT"
        await hearing
        changes = [each for each in in_feed if isinstance(each, InstrumentChanged)]
        assert [each.symbol for each in changes] == [SYMBOL] * 2

    played(exchange, scenario)


def test_news_come_again_after_the_connection_was_lost_and_nothing_between_is_missed() -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        heard: list[InstrumentChanged] = []
        async with client.watch_instruments("linear", every=3000.0) as watch:
            hearing = asyncio.create_task(heard_of(watch, heard))
            assert await told(heard, 20.0) == []
            key = native(venue, client)
            venue.faults.add("drop")
            change(venue, key, tick=Decimal("0.5"))
            (each,) = await told(heard, 60.0)
            assert each.changed == ("tick_size",)
            change(venue, key, tick=Decimal("0.1"))
            assert len(await told(heard, 8.0)) == 1
        await hearing

    played(Okx, scenario)


def test_many_news_cost_few_lists() -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        heard: list[InstrumentChanged] = []
        async with client.watch_instruments("spot") as watch:
            hearing = asyncio.create_task(heard_of(watch, heard))
            await told(heard, 20.0)
            key = next(key for key, e in venue.listings.items() if e.symbol == "BTC-USDT")
            before = client.status().requests
            for number in range(50):
                change(venue, key, tick=Decimal(number + 1))
                await asyncio.sleep(0.4)
            changes = await told(heard, 8.0)
            assert 2 <= len(changes) <= 7
            assert changes[-1].after is not None
            assert changes[-1].after.tick_size == 50
            assert client.status().requests - before <= 7
        await hearing

    played(Okx, scenario)


def test_a_watch_ends_with_its_block_and_with_its_client() -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        async with client.watch_instruments(Market.LINEAR) as watch:
            pass
        assert [each async for each in watch] == []
        assert client.status().connections == ()
        with pytest.raises(UsageError):
            client.watch_instruments("linear", every=0.0)
        left = await client.watch_instruments("inverse").__aenter__()
        await asyncio.sleep(10.0)
        assert left is not None  # open still, as the client ends

    for exchange in (Okx, Bybit):
        played(exchange, scenario)


def test_a_list_that_cant_be_fetched_is_fetched_later() -> None:
    async def scenario(venue: EmulatedExchange, client: Client) -> None:
        heard: list[InstrumentChanged] = []
        async with client.watch_instruments("linear") as watch:
            hearing = asyncio.create_task(heard_of(watch, heard))
            await told(heard, 20.0)
            fault = venue.faults.add(Fault(kind=FaultKind.HTTP, status=503))
            change(venue, native(venue, client), tick=Decimal("0.5"))
            assert await told(heard, 40.0) == []
            fault.cancel()
            assert len(await told(heard, 40.0)) == 1
        await hearing

    played(Okx, scenario)
