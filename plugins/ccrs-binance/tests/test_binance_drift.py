"""Books of markets with far more levels than a snapshot has, while the market walks away: what a
valid book shows is the market's, from the best level on."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from ccrs_binance import Binance

from ccrs_core import BookUpdate, Gap, OrderBook, Side, Stale, book, connect
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport, Lifetime
from ccrs_core.model.orderbook import Applied
from ccrs_core.transport.memory import START_NS, VirtualClock, VirtualTimeLoop

_MARKETS = {
    "spot": ("BTCUSDT", "BTC/USDT"),
    "usdm": ("BTCUSDT", "BTC/USDT:USDT"),
    "coinm": ("BTCUSD_PERP", "BTC/USD:BTC"),
}
_DEPTH = 1000


async def _walk(category: str, side: Side, levels: int, steps: int, each: int) -> list[str]:
    exchange = Binance()
    dialect = exchange.dialect()
    native, symbol = _MARKETS[category]
    (listing,) = (
        attrs.evolve(each, levels=levels, max_size=each.max_size * 10_000)
        for each in dialect.listings(START_NS)
        if each.symbol == native and each.category == category
    )
    venue = EmulatedExchange(dialect, seed=3, rate=20, start_ns=START_NS, instruments=[listing])
    truth, clock = Truth(venue, depth=_DEPTH), VirtualClock(START_NS)
    line = EmulatorTransport(venue, clock)
    notices: list[str] = []
    rebuilt = OrderBook(symbol)
    async with (
        connect(exchange, base_url="http://e.invalid", transport=line, clock=clock) as client,
        client.subscribe(book(symbol, depth=_DEPTH)) as feed,
    ):

        async def read() -> None:
            async for event in feed:
                if isinstance(event, BookUpdate):
                    assert rebuilt.apply(event) is Applied.APPLIED
                elif isinstance(event, Gap | Stale):
                    notices.append(f"{event.type} {event.reason}")

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(5.0)
        kept = feed.book(symbol)
        market = venue.market(listing)
        history = truth.of(await client.instrument(symbol))
        start = market.engine.bids.best
        since, seen = 0, 0
        for _ in range(steps):
            resting = market.engine.bids if side is Side.SELL else market.engine.asks
            taken = list(resting.top(each))
            venue.submit(
                listing,
                side,
                market.rules.size.value(sum(size for _, size in taken)),
                market.rules.price.value(taken[-1][0]),
                owner="whale",
                lifetime=Lifetime.IOC,
            )
            line._deliver()
            for _ in range(4):
                await asyncio.sleep(0.1)
                assert not reader.done()
                if kept.valid:
                    bids, asks = kept.bids(), kept.asks()
                    count = min(len(bids), len(asks), _DEPTH)
                    since = history.book_is_true(bids[:count], asks[:count], count, since=since)
                    assert max(len(bids), len(asks)) <= _DEPTH
                    assert count >= _DEPTH // 2
                    # (What is known since the last update is told with the next one.)
                    for told, held in ((rebuilt.bids(), bids), (rebuilt.asks(), asks)):
                        assert len(told) >= _DEPTH // 2
                        assert told[:_DEPTH] == held[: len(told)]
                    seen += 1
        assert seen
        assert kept.valid
        assert market.engine.bids.best != start
        reader.cancel()
    return notices


def _run(category: str, side: Side, levels: int, steps: int, each: int) -> list[str]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_walk(category, side, levels, steps, each))


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
@pytest.mark.parametrize("category", _MARKETS)
def test_a_book_is_fetched_anew_before_the_market_leaves_it(category: str, side: Side) -> None:
    assert _run(category, side, 3000, 14, 100) == []


@pytest.mark.parametrize("category", _MARKETS)
def test_a_book_that_the_market_has_left_at_once_is_invalid_until_it_is_fetched(
    category: str,
) -> None:
    told = _run(category, Side.SELL, 3000, 2, 1200)
    assert told[:1] == ["stale range"]
    assert "gap range" in told
