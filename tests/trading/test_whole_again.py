"""After a loss of its private streams an account of each exchange is whole again soon, at the
limits of the exchange, and however often that happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import Credentials, connect, limit
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.trading.account import Account
from ccrs_core.transport.memory import START_NS, VirtualClock, run

SYMBOL = "BTC/USDT"
KEY = Credentials("emulator", "emulator", "emulator")
_ON_THE_WAY = 0.02
"""Seconds that a request takes, and as long an answer."""


def exchange_of(name: str) -> Exchange:
    """An exchange's plugin, with what it has of trading."""
    plugin: Any = plugins.load(name)
    if plugin.trading is None:
        from ccrs_binance.trading import CHANNELS, TRADING

        every = frozenset().union(*CHANNELS.values())
        channels = attrs.evolve(plugin.capabilities, account_channels=every)
        plugin = type("Trader", (plugin,), {"trading": TRADING, "capabilities": channels})
    made: Exchange = plugin()
    return made


class Line(EmulatorTransport):
    """Answers that take their time, and are counted."""

    asked = 0

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        await asyncio.sleep(_ON_THE_WAY)
        response = await super().request(base_url, request)
        assert response.status != 429, f"{request.path}: more than it allows"
        await asyncio.sleep(_ON_THE_WAY)
        return response


@attrs.define
class Seen:
    venue: EmulatedExchange
    line: Line
    account: Account

    async def drop(self) -> tuple[float, int]:
        """Lose all connections: after how many seconds the account is whole again, and with how
        many requests."""
        fault = self.venue.faults.add("drop")
        await self.until(synced=False)
        fault.cancel()
        asked, now = self.line.asked, asyncio.get_running_loop().time
        began = now()
        await self.until(synced=True)
        return now() - began, self.line.asked - asked

    async def until(self, *, synced: bool) -> None:
        async with asyncio.timeout(300.0):
            while self.account.synced is not synced:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def open_orders(name: str) -> AsyncIterator[Seen]:
    """An account with a handful of open orders, at rest."""
    random.seed(1)  # back-off draws
    plugin = exchange_of(name)
    dialect = plugin.dialect()
    assert dialect is not None
    pair = [each for each in dialect.listings(START_NS) if each.key[1] in {"BTCUSDT", "BTC-USDT"}]
    venue = EmulatedExchange(dialect, rate=5.0, start_ns=START_NS, instruments=pair)
    clock = VirtualClock(START_NS)
    line = Line(venue, clock)
    async with (
        connect(
            plugin, base_url="http://emulator", transport=line, clock=clock, credentials=KEY
        ) as client,
        client.account(store="memory") as account,
    ):
        top = await client.get_top_of_book(SYMBOL)
        for part in range(1, 6):
            price = top.bid_price * (100 - part) // 100
            await account.place(limit(SYMBOL, "buy", price=price, size=Decimal("0.01")))
        await asyncio.sleep(70.0)
        assert account.synced
        yield Seen(venue, line, account)


@pytest.mark.parametrize(("name", "requests"), [("okx", 17), ("bybit", 21), ("binance", 24)])
def test_an_account_is_whole_again_within_seconds(name: str, requests: int) -> None:
    async def story() -> None:
        async with open_orders(name) as seen:
            for _ in range(3):
                took, asked = await seen.drop()
                assert took < 5.0
                assert asked <= requests
                await asyncio.sleep(20.0)
            assert len(seen.account.open_orders()) == 5

    run(story())


@pytest.mark.parametrize("name", ["okx", "bybit"])
def test_an_account_is_whole_between_losses_that_follow_each_other_fast(name: str) -> None:
    async def story() -> None:
        async with open_orders(name) as seen:
            for _ in range(15):
                took, _ = await seen.drop()
                # Back-off of a connection that was let in, and the lists.
                assert took < 4.0 + 2.0
                await asyncio.sleep(2.0)
            assert (await seen.account.compare(quiet=True)).agrees

    run(story())
