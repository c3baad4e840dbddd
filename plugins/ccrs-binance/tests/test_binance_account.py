"""An account over Binance's plugin at the emulated Binance, which was written from the documents by
themselves: what is asked is taken, and what comes of it is known, in all three wallets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest
from binance_trader import Trader as Somebody
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect
from ccrs_binance.trading import CHANNELS, TRADING

import ccrs_core
from ccrs_core import (
    Credentials,
    EndReason,
    Exit,
    InsufficientBalance,
    Market,
    OrderRejected,
    OrderState,
    Trading,
    Trigger,
    TriggerBy,
    UsageError,
    limit,
    market,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.transport.memory import VirtualClock, run

SPOT, USDM, COINM = "BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"


@attrs.frozen
class Bench:
    venue: EmulatedExchange
    account: Any

    async def bought(self, symbol: str, size: str) -> Any:
        """A market order that is filled."""
        order = await self.account.place(market(symbol, "buy", size=size))
        await asyncio.sleep(1.0)
        assert order.state is OrderState.FILLED
        return order

    async def total(self, name: str) -> Decimal:
        found: Decimal = self.account.balances()[name].total
        return found


@asynccontextmanager
async def bench(*markets: Market, **how: Any) -> AsyncIterator[Bench]:
    """An account of some markets, that is synced."""

    class Some(Binance):
        trading: ClassVar[Trading | None] = attrs.evolve(
            TRADING,
            features={each: TRADING.features[each] for each in markets},
            streams={each: CHANNELS[each] for each in markets},
        )

    clock = VirtualClock()
    venue = EmulatedExchange(BinanceDialect(), seed=3, start_ns=clock.time_ns())
    keys = Credentials("emulator", "emulator")
    client = ccrs_core.connect(
        Some(),
        transport=EmulatorTransport(venue, clock),
        clock=clock,
        credentials=keys,
        base_url="http://emulated.example",
    )
    async with client, client.account(store="memory", **how) as account:
        assert account.synced, account.reason
        yield Bench(venue, account)
        await asyncio.sleep(130.0)
        assert account.synced, account.reason


def near(price: Decimal, factor: str) -> Decimal:
    return (price * Decimal(factor)).quantize(Decimal("0.1"))


def test_spot_orders_are_placed_followed_and_canceled() -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            first = await there.bought(SPOT, "0.01")
            price = first.average_price
            for asked, reason in (
                (
                    limit(SPOT, "buy", price=near(price, "1.01"), size="0.01", post_only=True),
                    "post_only",
                ),
                (market(SPOT, "buy", size="90"), "balance"),
            ):
                with pytest.raises(OrderRejected) as refused:
                    await account.place(asked)
                assert refused.value.reason is EndReason(reason)
            assert isinstance(refused.value, InsufficientBalance)
            gone = await account.place(
                limit(SPOT, "buy", price=near(price, "0.99"), size="0.01", time_in_force="ioc")
            )
            await account.place(market(SPOT, "buy", quote_size="500"))
            waits = await account.place(
                market(
                    SPOT,
                    "sell",
                    size="0.005",
                    trigger=Trigger(price=near(price, "0.9"), rises=False),
                )
            )
            exits = await account.place(
                limit(
                    SPOT,
                    "buy",
                    price=near(price, "0.98"),
                    size="0.01",
                    take_profit=Exit(price=near(price, "1.1")),
                    stop_loss=Exit(price=near(price, "0.9")),
                )
            )
            await asyncio.sleep(1.0)
            assert (gone.state, gone.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
            assert (waits.state, exits.state) == (OrderState.WAITING, OrderState.OPEN)
            assert len(account.open_orders()) == 4
            await account.cancel(waits)
            swept = await account.sweep()
            assert not swept.failures
            assert not account.open_orders()
            assert not (await account.compare()).differences

    run(story())


def test_spot_orders_go_over_the_socket_too() -> None:
    async def story() -> None:
        async with bench(Market.SPOT, via="websocket") as there:
            account = there.account
            await asyncio.sleep(1.0)
            price = (await there.bought(SPOT, "0.01")).average_price
            order = await account.place(limit(SPOT, "buy", price=near(price, "0.98"), size="0.01"))
            await account.cancel(order)
            with pytest.raises(OrderRejected):
                await account.place(market(SPOT, "buy", size="90"))
            await asyncio.sleep(1.0)
            assert order.state is OrderState.CANCELED

    run(story())


@pytest.mark.parametrize(
    ("of", "symbol", "size"),
    [(Market.SPOT, SPOT, "0.01"), (Market.LINEAR, USDM, "0.01"), (Market.INVERSE, COINM, "2")],
)
def test_a_socket_for_orders_takes_as_many_at_once_as_the_account_may_place(
    of: Market, symbol: str, size: str
) -> None:
    """How many messages a second streams take isn't its limit."""

    async def story() -> None:
        async with bench(of, via="websocket") as there:
            account, loop = there.account, asyncio.get_running_loop()
            await asyncio.sleep(1.0)
            price = (await there.bought(symbol, size)).average_price
            request = limit(symbol, "buy", price=near(price, "0.98"), size=size)
            began = loop.time()
            orders = await asyncio.gather(*(account.place(request) for _ in range(20)))
            await asyncio.gather(*map(account.cancel, orders))
            assert loop.time() - began < 2.0
            await asyncio.sleep(1.0)

    run(story())


@pytest.mark.parametrize(
    ("of", "symbol", "size"), [(Market.LINEAR, USDM, "0.01"), (Market.INVERSE, COINM, "2")]
)
def test_orders_of_futures_are_placed_amended_and_canceled(
    of: Market, symbol: str, size: str
) -> None:
    async def story() -> None:
        async with bench(of) as there:
            account = there.account
            price = (await there.bought(symbol, size)).average_price
            assert [each.size for each in account.positions()] == [Decimal(size)]
            below = near(price, "0.98")
            order = await account.place(limit(symbol, "buy", price=below, size=size))
            await account.amend(order, price=below - 10)
            await asyncio.sleep(1.0)
            assert (order.price, order.state) == (below - 10, OrderState.OPEN)
            trigger = Trigger(price=near(price, "0.9"), rises=False, by=TriggerBy.MARK)
            waits = await account.place(
                market(symbol, "sell", size=size, trigger=trigger, reduce_only=True)
            )
            await asyncio.sleep(1.0)
            assert (waits.state, len(account.open_orders())) == (OrderState.WAITING, 2)
            some = [limit(symbol, "buy", price=near(price, f"0.9{n}"), size=size) for n in (5, 6)]
            takes = limit(symbol, "buy", price=near(price, "1.01"), size=size, post_only=True)
            *good, bad = await account.place_many([*some, takes])
            assert isinstance(bad, OrderRejected)
            assert bad.reason is EndReason.POST_ONLY
            await account.cancel(waits)
            assert not (await account.sweep()).failures
            await asyncio.sleep(2.0)
            assert {each.state for each in (order, waits, *good)} == {OrderState.CANCELED}
            assert not (await account.compare()).differences

    run(story())


def test_three_wallets_are_three_and_each_is_moved_by_its_own() -> None:
    async def story() -> None:
        async with bench(Market.SPOT, Market.LINEAR, Market.INVERSE) as there:
            before = {name: each.total for name, each in there.account.balances().items()}
            assert {"USDT spot", "USDT usdm", "BTC coinm"} <= set(before)
            await there.bought(SPOT, "0.01")
            await there.bought(USDM, "0.01")
            await there.bought(COINM, "2")
            await asyncio.sleep(70.0)
            after = {name: each.total for name, each in there.account.balances().items()}
            moved = {name for name in before if before[name] != after.get(name)}
            assert moved == {"BTC spot", "USDT spot", "USDT usdm", "BTC coinm"}
            assert after["BTC spot"] == before["BTC spot"] + Decimal("0.00999")

    run(story())


def test_a_listen_key_that_somebody_closes_is_missed_within_minutes() -> None:
    async def story() -> None:
        async with bench(Market.LINEAR) as there:
            somebody = Somebody(there.venue)
            somebody.keyed("DELETE", "/fapi/v1/listenKey")
            # Lists are read within a tenth of the budget.
            await asyncio.sleep(240.0)
            assert there.account.synced
            price = (await there.bought(USDM, "0.01")).average_price
            order = await there.account.place(
                limit(USDM, "buy", price=near(price, "0.98"), size="0.01")
            )
            somebody.ask(
                "DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order.exchange_order_id
            )
            await asyncio.sleep(2.0)
            assert order.state is OrderState.CANCELED

    run(story())


def test_a_timer_protects_a_symbol_and_costs_what_it_may() -> None:
    async def story() -> None:
        async with bench(Market.LINEAR) as there:
            account = there.account
            with pytest.raises(UsageError, match="symbols"):
                account.dead_man(30.0)
            with pytest.raises(UsageError, match="share"):
                async with account.dead_man(2.0, symbols=[USDM]):
                    pass
            async with account.dead_man(30.0, symbols=[USDM]) as switch:
                await asyncio.sleep(70.0)
                assert switch.armed

    run(story())
