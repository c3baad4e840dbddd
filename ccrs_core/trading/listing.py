"""What is open, read from the exchange now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ccrs_core.contract.trading_requests import GetOpenOrders
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order
from ccrs_core.trading.context import AccountContext


async def open_orders(
    context: AccountContext, markets: Iterable[Market], instrument: Instrument | None = None
) -> list[Order]:
    """The open orders of an instrument, or of markets, those that wait for a trigger included; the
    ledger takes them. Instruments are listed of markets alone in which something is open.

    :raises CcrsError: where no answer comes.
    """
    return (await counted(context, markets, instrument))[0]


async def counted(
    context: AccountContext, markets: Iterable[Market], instrument: Instrument | None = None
) -> tuple[list[Order], int]:
    """:func:`open_orders`, and how many there are besides that can't be told: whose rows can't be
    read, or whose instruments aren't listed.

    :raises CcrsError: where no answer comes.
    """
    requests = [
        GetOpenOrders(market=market, instrument=instrument, settle=settle)
        for market in markets
        for settle in (
            ("",) if instrument is not None else context.trading.settles.get(market, ("",))
        )
    ]
    found: list[Order] = []
    untold = 0
    reading = (context.asks.counted(each) for each in requests)
    answers = await asyncio.gather(*reading, return_exceptions=True)
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        reports, left_out = answer
        untold += left_out
        if reports and instrument is None:
            await context.instruments.market(request.market)
        await context.take(reports, backfilled=True)
        for each in reports:
            listed = context.taking.find(each.market, each.native)
            ids = each.exchange_order_id, each.client_order_id
            order = None if listed is None else context.ledger.told_of(listed.symbol, *ids)
            if order is not None:
                found.append(order)
            else:
                untold += listed is None
    return found, untold
