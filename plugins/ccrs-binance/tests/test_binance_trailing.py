"""Orders that follow the price, and amendments that keep a place: as they are sent, and what comes
of them at the emulated Binance.

https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from binance_orders import SPOT as SPOT_INSTRUMENT
from binance_orders import USDM as USDM_INSTRUMENT
from binance_orders import at_market, order, told
from test_binance_account import SPOT, USDM, Bench, bench, near

from ccrs_core import (
    InvalidOrder,
    Market,
    OrderState,
    Trailing,
    TriggerBy,
    Unsupported,
    limit,
    market,
)
from ccrs_core.transport.memory import run


@pytest.mark.parametrize(
    ("trailing", "kind", "fields"),
    [
        (Trailing(share="0.01"), "STOP_LOSS", {"trailingDelta": "100"}),
        (
            Trailing(share="0.0175", activation="42500"),
            "TAKE_PROFIT",
            {"trailingDelta": "175", "stopPrice": "42500"},
        ),
    ],
)
@pytest.mark.parametrize("limited", [True, False])
def test_spot_follows_the_price_in_hundredths_of_a_percent(
    trailing: Trailing, kind: str, fields: dict[str, str], limited: bool
) -> None:
    asked = order(trigger=trailing) if limited else at_market(size="0.02", trigger=trailing)
    _, path, body = told(asked)
    assert (path, body["type"]) == ("/api/v3/order", kind + ("_LIMIT" if limited else ""))
    assert {name: body[name] for name in ("trailingDelta", "stopPrice") if name in body} == fields


def test_futures_follow_the_price_in_percent() -> None:
    trailing = Trailing(share="0.025", activation="61000", by=TriggerBy.MARK)
    _, path, body = told(at_market(USDM_INSTRUMENT, size="0.02", trigger=trailing))
    assert path == "/fapi/v1/algoOrder"
    assert (body["type"], body["callbackRate"], body["activatePrice"], body["workingType"]) == (
        *("TRAILING_STOP_MARKET", "2.5"),
        *("61000", "MARK_PRICE"),
    )
    assert "triggerPrice" not in body


def test_less_than_a_hundredth_of_a_percent_isnt_rounded() -> None:
    with pytest.raises(Unsupported, match="hundredths"):
        told(at_market(SPOT_INSTRUMENT, size="0.02", trigger=Trailing(share="0.00015")))


async def _moves(there: Bench, of: Market, *prices: Decimal) -> None:
    listing = next(
        each
        for each in there.venue.listings.values()
        if each.market is of and each.symbol == "BTCUSDT"
    )
    for price in prices:
        at = int(price / listing.tick)
        there.venue.steer(listing, bids=(), asks=())
        there.venue.steer(
            listing,
            bids=((at * listing.tick, Decimal(1000)),),
            asks=(((at + 1) * listing.tick, Decimal(1000)),),
            last_price=at * listing.tick,
        )
        # Any request lets the exchange say what has happened by itself.
        await there.account.fetch_balances()
        await asyncio.sleep(2.0)


@pytest.mark.parametrize(
    ("of", "symbol", "size"), [(Market.SPOT, SPOT, "0.01"), (Market.LINEAR, USDM, "0.01")]
)
def test_a_sale_that_trails_fires_where_the_price_falls_from_its_highest(
    of: Market, symbol: str, size: str
) -> None:
    async def story() -> None:
        async with bench(of) as there:
            account = there.account
            price = (await there.bought(symbol, "0.03")).average_price
            now = await account.place(
                market(symbol, "sell", size=size, trigger=Trailing(share="0.02"))
            )
            later = await account.place(
                market(
                    symbol,
                    "sell",
                    size=size,
                    trigger=Trailing(share="0.02", activation=near(price, "1.05")),
                )
            )
            await asyncio.sleep(1.0)
            assert (now.state, later.state) == (OrderState.WAITING, OrderState.WAITING)
            # It rises, and falls by less than two percent of its highest: nothing fires.
            await _moves(there, of, near(price, "1.02"), near(price, "1.003"))
            assert (now.state, later.state) == (OrderState.WAITING, OrderState.WAITING)
            await _moves(there, of, near(price, "0.998"))
            assert (now.state, later.state) == (OrderState.FILLED, OrderState.WAITING)
            await _moves(there, of, near(price, "1.06"), near(price, "1.045"))
            assert later.state is OrderState.WAITING
            await _moves(there, of, near(price, "1.03"))
            assert (later.state, later.filled_size) == (OrderState.FILLED, Decimal(size))
            assert isinstance(later.now.trigger, Trailing)

    run(story())


def test_an_order_of_spot_is_made_smaller_and_nothing_else() -> None:
    async def story() -> None:
        async with bench(Market.SPOT) as there:
            account = there.account
            price = near((await there.bought(SPOT, "0.01")).average_price, "0.98")
            placed = await account.place(limit(SPOT, "buy", price=price, size="0.03"))
            await account.amend(placed, size="0.02")
            await asyncio.sleep(1.0)
            assert (placed.size, placed.state) == (Decimal("0.02"), OrderState.OPEN)
            refused: list[Any] = [
                (InvalidOrder, {"size": "0.02"}),
                (InvalidOrder, {"size": "0.05"}),
                (Unsupported, {"price": price - 1}),
                (Unsupported, {"size": "0.01", "price": price - 1}),
            ]
            for error, changes in refused:
                with pytest.raises(error, match="smaller"):
                    await account.amend(placed, **changes)
            assert not (await account.compare()).differences

    run(story())
