"""Where requests go that place, amend or cancel orders: of each market, of orders of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, stall, trading_of
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    PlaceEither,
    PlaceOrder,
    PlaceOrders,
    ReplaceOrder,
)
from ccrs_core.errors import Unsupported
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import Exit, OrderRequest, OrderType, Trigger, TriggerBy
from ccrs_core.model.orders import Order, OrderState, Origin

_KINDS: dict[str, tuple[type[Request[Any]], ...]] = {
    "place": (PlaceOrder, PlaceOrders, PlaceEither, ReplaceOrder),
    "amend": (AmendOrder, AmendOrders),
    "cancel": (CancelOrder, CancelOrders),
}
_BY = {
    Feature.TRIGGER_LAST: TriggerBy.LAST,
    Feature.TRIGGER_MARK: TriggerBy.MARK,
    Feature.TRIGGER_INDEX: TriggerBy.INDEX,
}


def paths_of(subject: Subject, what: str) -> frozenset[str]:
    """The paths of requests that place (amend, cancel) orders."""
    trading = trading_of(subject)
    found = set()
    for market in trading.features:
        instrument = subject.instrument(market)
        at = stall(instrument, subject.listings[market, instrument.native])
        for request in _requests(trading, at):
            endpoint = subject.exchange.endpoints.get(type(request))
            if type(request) in _KINDS[what] and endpoint and market in endpoint.markets:
                with suppress(Unsupported):  # of each kind there may be none of this
                    found.add(endpoint.encode(request, None).path)
    return frozenset(found)


def _requests(trading: Trading, at: Stall) -> Iterator[Request[Any]]:
    """A request of each kind that changes orders."""
    instrument = at.instrument
    features = trading.features[instrument.market]
    rests = at.limit(Side.SELL, at.ask(4), post_only=Feature.POST_ONLY in features)
    plain = PlaceOrder(instrument, rests, "a")
    if Feature.TRIGGER_LAST in features:
        stop = at.market(Side.SELL, trigger=Trigger(price=at.bid(4), rises=False))
        yield PlaceEither((plain, PlaceOrder(instrument, stop, "b")))
    cancels = CancelOrder(instrument=instrument, client_order_id="b")
    yield ReplaceOrder(instrument, cancels, plain)
    for order in _orders(features, at):
        waits = order.trigger is not None
        place = PlaceOrder(instrument, order, "a")
        cancel = CancelOrder(instrument=instrument, client_order_id="a", conditional=waits)
        yield place
        yield cancel
        if trading.batch.get(instrument.market) and not (waits and PlaceOrders in trading.alone):
            yield PlaceOrders((place,))
            yield CancelOrders((cancel,))
        if (Feature.AMEND_CONDITIONAL if waits else Feature.AMEND) in features:
            amend = AmendOrder(
                instrument=instrument,
                client_order_id="a",
                price=at.bid(),
                conditional=waits,
                known=_known(at, order),
            )
            yield amend
            if trading.batch.get(instrument.market):
                yield AmendOrders((amend,))


def _orders(features: frozenset[Feature], at: Stall) -> Iterator[OrderRequest]:
    yield at.limit(Side.BUY, at.bid())
    for feature, by in _BY.items():
        if feature in features:
            trigger = Trigger(price=at.ask(4), rises=True, by=by)
            yield at.limit(Side.BUY, at.ask(5), trigger=trigger)
    if Feature.TAKE_PROFIT in features:
        take, stop = Exit(price=at.ask(4)), Exit(price=at.bid(5))
        yield at.limit(Side.BUY, at.bid(), take_profit=take)
        yield at.limit(Side.BUY, at.bid(), take_profit=take, stop_loss=stop)


def _known(at: Stall, order: OrderRequest) -> Order:
    return Order(
        exchange=at.instrument.exchange,
        account="",
        symbol=at.instrument.symbol,
        market=at.instrument.market,
        client_order_id="a",
        side=order.side,
        type=OrderType.LIMIT,
        state=OrderState.WAITING if order.trigger is not None else OrderState.OPEN,
        origin=Origin.OWN,
        size=order.size,
        price=order.price,
        trigger=order.trigger,
    )
