"""What is refused before a byte of it leaves: by the instrument's rules, what the exchange offers,
the account's mode, and what is known of the order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import attrs

from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.errors import (
    AccountUnsupported,
    InvalidOrder,
    OrderEnded,
    Unsupported,
    UsageError,
)
from ccrs_core.model.accounts import AccountInfo, Position, PositionMode, PriceBand
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import (
    Exit,
    OrderRequest,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
    exit_if_any,
    price_if_any,
    size_if_any,
    trigger_if_any,
    volatility_if_any,
)
from ccrs_core.model.orders import Order, OrderState

_TRIGGERS = {
    TriggerBy.LAST: Feature.TRIGGER_LAST,
    TriggerBy.MARK: Feature.TRIGGER_MARK,
    TriggerBy.INDEX: Feature.TRIGGER_INDEX,
}
_BY_QUOTE = frozenset({Feature.QUOTE_SIZE_BUY, Feature.QUOTE_SIZE_SELL})
_SELF_TRADES = {
    SelfTradePrevention.NONE: Feature.SELF_TRADE_NONE,
    SelfTradePrevention.CANCEL_MAKER: Feature.SELF_TRADE_MAKER,
    SelfTradePrevention.CANCEL_TAKER: Feature.SELF_TRADE_TAKER,
    SelfTradePrevention.CANCEL_BOTH: Feature.SELF_TRADE_BOTH,
}


@attrs.frozen(kw_only=True)
class Amendment:
    """What an amendment changes of an order; None leaves as it is."""

    price: Decimal | None = attrs.field(default=None, converter=price_if_any)
    size: Decimal | None = attrs.field(default=None, converter=size_if_any)
    volatility: Decimal | None = attrs.field(default=None, converter=volatility_if_any)
    trigger: Trigger | None = attrs.field(default=None, validator=trigger_if_any)
    take_profit: Exit | None = attrs.field(default=None, validator=exit_if_any)
    stop_loss: Exit | None = attrs.field(default=None, validator=exit_if_any)

    def __attrs_post_init__(self) -> None:
        if all(value is None for value in attrs.astuple(self, recurse=False)):
            raise UsageError("an amendment must change something: price, size, trigger, exits")
        for name in ("price", "size", "volatility"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above zero, not {value:f}")


def check_account(info: AccountInfo | None, market: Market) -> None:
    """Refuse orders where the account's mode, or its key, doesn't have them.

    :raises AccountUnsupported: which says why.
    """
    if info is None:
        return
    if info.refused:
        raise AccountUnsupported(f"account {info.account} of {info.exchange}: {info.refused}")
    key = info.permissions
    if key is not None and market not in key.trade:
        may = ", ".join(sorted(m.value for m in key.trade)) or "nothing"
        raise AccountUnsupported(
            f"the key of account {info.account} may not trade {market.value} at {info.exchange}; "
            f"it may trade {may}: give it the permission, or take another key"
        )


def check_order(
    request: OrderRequest,
    instrument: Instrument,
    trading: Trading,
    info: AccountInfo | None,
    held: Iterable[Position] = (),
) -> None:
    """Refuse an order that the exchange would refuse, or make something else of. ``held``: what is
    known for certain to be held of the instrument.

    :raises Unsupported: where the exchange hasn't what is asked for.
    :raises AccountUnsupported: where the account's mode, or its key, doesn't have it.
    :raises InvalidOrder: where it breaks a rule of the instrument.
    """
    market, offered = instrument.market, trading.features.get(instrument.market)
    if offered is None:
        raise Unsupported(f"{instrument.exchange}: no orders of {market.value} instruments")
    for feature in _needed(request):
        if feature not in offered:
            what = feature.value.replace("_", " ")
            if feature in _BY_QUOTE:
                what = f"{request.side.value} for a quote_size (say size)"
            raise Unsupported(f"{instrument.exchange} has no {what} of {market.value} orders")
    check_account(info, market)
    _check_position_side(request, info, market, held)
    if request.size is not None:
        instrument.check_order(request.side, request.price, request.size)
    elif request.quote_size is not None:
        _check_quote_size(request.quote_size, instrument)
    for what, price in _further_prices(request.trigger, request.take_profit, request.stop_loss):
        _check_tick(what, price, instrument)


def _needed(request: OrderRequest) -> Iterator[Feature]:
    """What an order asks of the exchange."""
    if request.type is OrderType.MARKET:
        yield Feature.MARKET_ORDERS
    if request.quote_size is not None:
        buys = request.side is Side.BUY
        yield Feature.QUOTE_SIZE_BUY if buys else Feature.QUOTE_SIZE_SELL
    if request.volatility is not None:
        yield Feature.VOLATILITY
    if request.post_only:
        yield Feature.POST_ONLY
    if request.time_in_force is TimeInForce.IOC and request.type is OrderType.LIMIT:
        yield Feature.IOC
    if request.time_in_force is TimeInForce.FOK:
        yield Feature.FOK
    if request.reduce_only:
        yield Feature.REDUCE_ONLY
    if request.position_side is not PositionSide.NET:
        yield Feature.HEDGE
    if request.self_trade_prevention is not None:
        yield _SELF_TRADES[request.self_trade_prevention]
    if request.trigger is not None:
        yield _TRIGGERS[request.trigger.by]
    if isinstance(request.trigger, Trailing):
        by_share = request.trigger.share is not None
        yield Feature.TRAILING_SHARE if by_share else Feature.TRAILING_DISTANCE
        if request.type is OrderType.LIMIT:
            yield Feature.TRAILING_LIMIT
    if request.take_profit is not None or request.stop_loss is not None:
        yield Feature.TAKE_PROFIT


def _check_position_side(
    request: OrderRequest, info: AccountInfo | None, market: Market, held: Iterable[Position]
) -> None:
    shown = mode_of(held)
    mode = shown or (None if info is None else info.position_modes.get(market))
    of = f"{market.value} positions" if shown is None else f"positions of {request.symbol}"
    net = request.position_side is PositionSide.NET
    if mode is PositionMode.HEDGE and net:
        raise InvalidOrder(
            "position_side", f"{of} are in hedge mode: say position_side, long or short"
        )
    if mode is PositionMode.ONE_WAY and not net:
        raise InvalidOrder(
            "position_side", f"{of} are in one-way mode, which has no {request.position_side}"
        )


def mode_of(held: Iterable[Position]) -> PositionMode | None:
    """The mode that positions of one instrument prove, none of which can change it while it is
    open; None where there is none, or they contradict each other."""
    nets = {each.side is PositionSide.NET for each in held if each.size}
    if len(nets) != 1:
        return None
    return PositionMode.ONE_WAY if nets.pop() else PositionMode.HEDGE


def _check_quote_size(quote_size: Decimal, instrument: Instrument) -> None:
    if instrument.status.value != "trading":
        name = instrument.symbol
        raise InvalidOrder("status", f"{name} can't be traded: it is {instrument.status.value}")
    least = instrument.min_notional
    if least is not None and quote_size < least:
        raise InvalidOrder(
            "min_notional",
            f"{quote_size:f} {instrument.quote} of {instrument.symbol} is less than the smallest "
            f"order's {least:f}",
            least,
        )


def _further_prices(
    trigger: Trigger | Trailing | None, take_profit: Exit | None, stop_loss: Exit | None
) -> Iterator[tuple[str, Decimal]]:
    if isinstance(trigger, Trigger):
        yield "trigger price", trigger.price
    elif trigger is not None:
        if trigger.activation is not None:
            yield "activation price", trigger.activation
        if trigger.distance is not None:
            yield "trailing distance", trigger.distance
    for what, each in (("take-profit", take_profit), ("stop-loss", stop_loss)):
        if each is not None:
            yield f"{what} price", each.price
            if each.limit_price is not None:
                yield f"{what} limit price", each.limit_price


def _check_tick(what: str, price: Decimal, instrument: Instrument) -> None:
    nearest = instrument.quantise_price(price, rounding="ROUND_HALF_EVEN")
    if price <= 0 or nearest != price:
        raise InvalidOrder(
            "tick_size",
            f"the {what} {price:f} is no price of {instrument.symbol}; nearest: {nearest:f}",
            nearest if nearest > 0 else None,
        )


def check_band(side: Side, price: Decimal | None, instrument: Instrument, band: PriceBand) -> None:
    """Refuse a limit price that the exchange would move into its band in silence.

    :raises InvalidOrder: whose ``nearest`` is the last price of the band, on the tick.
    """
    if price is None:
        return
    beyond = band.highest if side is Side.BUY else band.lowest
    if beyond is None or (price <= beyond if side is Side.BUY else price >= beyond):
        return
    where = "above" if side is Side.BUY else "below"
    nearest = instrument.quantise_price(beyond, side)
    raise InvalidOrder(
        "price_band",
        f"a {side.value} of {instrument.symbol} at {price:f} is {where} {beyond:f}, and the "
        f"exchange would move its price there: ask for that, or open the account with "
        f'outside_band="send"',
        nearest,
    )


def _check_smaller(order: Order, changes: Amendment, instrument: Instrument) -> None:
    """For exchanges that make orders smaller, and amend nothing else."""
    others = [each.name for each in attrs.fields(Amendment) if each.name != "size"]
    if any(getattr(changes, name) is not None for name in others):
        raise Unsupported(
            f"{instrument.exchange} makes orders of {instrument.market.value} smaller, and changes "
            "nothing else of them; account.replace() cancels and places anew"
        )
    if changes.size is not None and order.size is not None and changes.size >= order.size:
        raise InvalidOrder(
            "size",
            f"{instrument.exchange} only makes orders of {instrument.market.value} smaller, and "
            f"{order} has a size of {order.size:f}; account.replace() cancels and places anew",
        )


def check_amendment(
    order: Order, changes: Amendment, instrument: Instrument, trading: Trading
) -> None:
    """Refuse an amendment that can't be, or that would end the order.

    :raises OrderEnded: where the order is known to have ended.
    :raises Unsupported: where the exchange amends no such orders.
    :raises InvalidOrder: where it breaks a rule, or the size isn't above what is filled.
    """
    if order.state.final:
        raise OrderEnded(f"nothing is left to amend: {order}", order)
    offered = trading.features.get(instrument.market, frozenset())
    waits = order.state is OrderState.WAITING
    if not waits and Feature.AMEND_SMALLER in offered and Feature.AMEND not in offered:
        _check_smaller(order, changes, instrument)
    elif (Feature.AMEND_CONDITIONAL if waits else Feature.AMEND) not in offered:
        what = "conditional " if waits else ""
        raise Unsupported(
            f"{instrument.exchange} amends no {what}orders of {instrument.market.value}; "
            "account.replace() cancels and places anew"
        )
    if changes.volatility is not None and Feature.VOLATILITY not in offered:
        raise Unsupported(f"{instrument.exchange} prices no orders by volatility")
    if changes.size is not None and changes.size <= order.filled_size:
        raise InvalidOrder(
            "filled_size",
            f"of {order} {order.filled_size:f} is filled: a whole size of {changes.size:f} would "
            "end it; cancel it if that is meant",
        )
    size = changes.size if changes.size is not None else order.size
    price = changes.price if changes.price is not None else order.price
    if size is not None and (changes.price is not None or changes.size is not None):
        instrument.check_order(order.side, price, size)
    elif changes.price is not None:
        _check_tick("price", changes.price, instrument)
    for what, each in _further_prices(changes.trigger, changes.take_profit, changes.stop_loss):
        _check_tick(what, each, instrument)
