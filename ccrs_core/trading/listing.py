"""What is open, read from the exchange now."""

from __future__ import annotations

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
    found: list[Order] = []
    for market in markets:
        settles = ("",) if instrument is not None else context.trading.settles.get(market, ("",))
        for settle in settles:
            request = GetOpenOrders(market=market, instrument=instrument, settle=settle)
            reports = await context.asks.read(request)
            if reports and instrument is None:
                await context.instruments.market(market)
            await context.take(reports, backfilled=True)
            for each in reports:
                listed = context.taking.find(each.market, each.native)
                ids = each.exchange_order_id, each.client_order_id
                order = None if listed is None else context.ledger.told_of(listed.symbol, *ids)
                if order is not None:
                    found.append(order)
    return found
