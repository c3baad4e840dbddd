"""What has become of one order: the exchange is asked for it, and the ledger takes the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ccrs_core.contract.trading_requests import GetOrder
from ccrs_core.errors import DecodeError, InvalidRequest, OrderNotFound, Unsupported
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.trading.context import AccountContext
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")


async def look_up(
    context: AccountContext, order: Order, *, priority: Priority | None = None
) -> bool:
    """Ask for an order, among the present ones and then among the past; the ledger takes what is
    said. False where both deny it.

    :raises CcrsError: where no answer comes: that proves nothing.
    """
    instrument = await context.rules.of_order(order.symbol)
    for history in (False, True):
        request = GetOrder(
            instrument=instrument,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            history=history,
            conditional=order.state is OrderState.WAITING or bool(order.trigger),
        )
        try:
            report = await context.asks.read(request, priority=priority)
        except Unsupported:
            if not history:
                raise
            continue
        if report is not None:
            await context.take([report], backfilled=True)
            await find_children(context, order, priority=priority)
            return True
    return False


async def find_children(
    context: AccountContext, order: Order, *, priority: Priority | None = None
) -> None:
    """Ask for what an order that waited has placed, as far as nothing is known of that but its id.

    :raises CcrsError: where no answer comes.
    """
    now = context.ledger.order(context.key(order))
    if now is None or not now.children or now.state.final:
        return
    instrument = await context.rules.of_order(now.symbol)
    unknown = [
        (instrument, each)
        for each in now.children
        if context.ledger.told_of(now.symbol, each, "") is None
    ]
    if unknown:
        await find_orders(context, unknown, priority=priority)


def placed_of(context: AccountContext, order: Order) -> list[Order]:
    """What the trigger of an order has placed and is open, as far as is known."""
    found = [context.ledger.told_of(order.symbol, each, "") for each in order.children]
    return [each for each in found if each is not None and not each.state.final]


async def find_orders(
    context: AccountContext,
    ids: Iterable[tuple[Instrument, str]],
    *,
    priority: Priority | None = None,
) -> None:
    """Ask for orders of which nothing but fills is known, by the exchange's ids.

    :raises CcrsError: where no answer comes.
    """
    for instrument, identity in ids:
        for history in (True, False):
            request = GetOrder(instrument=instrument, exchange_order_id=identity, history=history)
            try:
                report = await context.asks.read(request, priority=priority)
            except Unsupported:
                continue
            except (InvalidRequest, OrderNotFound, DecodeError) as error:
                log.warning("order %s can't be looked up: %s", identity, error)
                continue  # it keeps nobody from the others
            if report is not None:
                await context.take([report], backfilled=True)
                break


async def find(context: AccountContext, order_id: str, instrument: Instrument) -> bool:
    """Ask for an order that the ledger may not know, by whichever id it is; the ledger takes what
    is said. False where the exchange denies both.

    :raises CcrsError: where no answer comes.
    """
    ids = [{"exchange_order_id": order_id}]
    if context.trading.client_ids.allows(order_id):
        ids.insert(0, {"client_order_id": order_id})
    for history in (False, True):
        for each in ids:
            request = GetOrder(instrument=instrument, history=history, **each)  # type: ignore[arg-type]
            try:
                report = await context.asks.read(request)
            except (InvalidRequest, Unsupported):
                continue  # no id of that kind looks so, or there is no such list
            if report is not None:
                await context.take([report], backfilled=True)
                return True
    return False
