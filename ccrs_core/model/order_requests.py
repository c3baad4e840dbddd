"""What is asked of an exchange: an order as the user describes it. Made by :func:`limit` and
:func:`market`; nothing here knows any exchange."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.checks import member
from ccrs_core.model.instruments import Side

Number = Decimal | str | int
"""How numbers are given: never as a float, which has lost digits."""


class OrderType(enum.StrEnum):
    """How an order is priced."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(enum.StrEnum):
    """How long an order waits."""

    GTC = "gtc"
    """Until it is filled or canceled."""
    IOC = "ioc"
    """Fills what it can at once; the rest expires."""
    FOK = "fok"
    """Fills whole and at once, or not at all."""


class SelfTradePrevention(enum.StrEnum):
    """What is to happen where both sides of a trade would be of the same account (or group)."""

    NONE = "none"
    CANCEL_MAKER = "cancel_maker"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_BOTH = "cancel_both"


class TriggerBy(enum.StrEnum):
    """Which price a trigger follows."""

    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class PositionSide(enum.StrEnum):
    """Which position an order, fill or position is about."""

    NET = "net"
    """The only one there is of an instrument: the account is in one-way mode, or it is spot."""
    LONG = "long"
    SHORT = "short"


def exact_number(name: str, value: Any) -> Decimal:
    """A number's exact value, from ``Decimal``, text or a whole number.

    :raises UsageError: for a float, or what is no finite number.
    """
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, int) and not isinstance(value, bool):
        found = Decimal(value)
    elif isinstance(value, str):
        try:
            found = Decimal(value)
        except InvalidOperation:
            raise UsageError(f"{name} must be a number, not {value!r:.100}") from None
    else:
        why = ": a float has lost digits" if isinstance(value, float) else ""
        raise UsageError(f"{name} must be text or Decimal, not {value!r:.100}{why}")
    if not found.is_finite():
        raise UsageError(f"{name} must be a finite number, not {value!r:.100}")
    return found


def _price(value: Number) -> Decimal:
    return exact_number("price", value)


def price_if_any(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("price", value)


def _limit_price(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("limit_price", value)


def size_if_any(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("size", value)


def _quote_size(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("quote_size", value)


def volatility_if_any(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("volatility", value)


def _distance(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("distance", value)


def _share(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("share", value)


def _activation(value: Number | None) -> Decimal | None:
    return None if value is None else exact_number("activation", value)


def _by(value: TriggerBy | str) -> TriggerBy:
    return member(TriggerBy, "by", value)


def _side(value: Side | str) -> Side:
    return member(Side, "side", value)


def _type(value: OrderType | str) -> OrderType:
    return member(OrderType, "type", value)


def _time_in_force(value: TimeInForce | str) -> TimeInForce:
    return member(TimeInForce, "time_in_force", value)


def _position_side(value: PositionSide | str) -> PositionSide:
    return member(PositionSide, "position_side", value)


def _self_trade_prevention(value: SelfTradePrevention | str | None) -> SelfTradePrevention | None:
    return None if value is None else member(SelfTradePrevention, "self_trade_prevention", value)


@attrs.frozen(kw_only=True)
class Trigger:
    """The condition under which an order comes to life: the price followed (``by``) rises to
    ``price``, or falls to it (``rises`` False)."""

    price: Decimal = attrs.field(converter=_price)
    rises: bool
    by: TriggerBy = attrs.field(default=TriggerBy.LAST, converter=_by)


@attrs.frozen(kw_only=True)
class Trailing:
    """A trigger that follows the price: the order comes to life once the price followed (``by``)
    has turned by ``distance`` (quote units) or by ``share`` (0.01 is 1 %) from the best that it
    came to: the highest of a sell, the lowest of a buy. It follows from the beginning, or once the
    price has come to ``activation``, above the market of a sell and below it of a buy.

    :raises UsageError: unless one of distance and share is said, above zero.
    """

    distance: Decimal | None = attrs.field(default=None, converter=_distance)
    share: Decimal | None = attrs.field(default=None, converter=_share)
    activation: Decimal | None = attrs.field(default=None, converter=_activation)
    by: TriggerBy = attrs.field(default=TriggerBy.LAST, converter=_by)

    def __attrs_post_init__(self) -> None:
        if (self.distance is None) == (self.share is None):
            raise UsageError("a trailing trigger follows by a distance or by a share: say one")
        for name in ("distance", "share", "activation"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above zero, not {value:f}")
        if self.share is not None and self.share >= 1:
            raise UsageError(f"a share of {self.share:f} is all of the price: 0.01 is 1 %")


@attrs.frozen(kw_only=True)
class Exit:
    """A take-profit or stop-loss attached to an order: fires at ``price``, and closes by a market
    order, or by a limit order at ``limit_price``."""

    price: Decimal = attrs.field(converter=_price)
    limit_price: Decimal | None = attrs.field(default=None, converter=_limit_price)
    by: TriggerBy = attrs.field(default=TriggerBy.LAST, converter=_by)


def trigger_if_any(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For what is a :class:`Trigger`, or None.

    :raises UsageError: where it isn't.
    """
    if value is not None and not isinstance(value, Trigger):
        how = f"Trigger(price=…, rises=…), not {value!r:.100}"
        raise UsageError(f"{field.name} must say to what the price goes, and which way: {how}")


def any_trigger_if_any(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For what is a :class:`Trigger`, a :class:`Trailing`, or None.

    :raises UsageError: where it isn't.
    """
    if not isinstance(value, Trailing):
        trigger_if_any(instance, field, value)


def exit_if_any(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """For what is an :class:`Exit`, or None.

    :raises UsageError: where it isn't.
    """
    if value is not None and not isinstance(value, Exit):
        raise UsageError(f"{field.name} must be an Exit(price=…), not {value!r:.100}")


_TAG = re.compile(r"[A-Za-z0-9]{0,12}")


def _checked_tag(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        raise UsageError(f"a tag is up to 12 letters and digits, not {value!r:.100}")


@attrs.frozen(kw_only=True)
class OrderRequest:
    """An order as the user wants it. Sizes count the instrument's ``size_unit``; prices are in
    quote units. Made by :func:`limit` or :func:`market`.

    :raises UsageError: where parts of it exclude each other.
    """

    symbol: str
    side: Side = attrs.field(converter=_side)
    type: OrderType = attrs.field(converter=_type)
    size: Decimal | None = attrs.field(default=None, converter=size_if_any)
    quote_size: Decimal | None = attrs.field(default=None, converter=_quote_size)
    """Of a market order: for how much of the quote currency, instead of ``size``."""
    price: Decimal | None = attrs.field(default=None, converter=price_if_any)
    volatility: Decimal | None = attrs.field(default=None, converter=volatility_if_any)
    """Of an option: the implied volatility (0.5 is 50 % a year) instead of a price."""
    time_in_force: TimeInForce = attrs.field(default=TimeInForce.GTC, converter=_time_in_force)
    post_only: bool = False
    """Rests, or is rejected where it would take."""
    reduce_only: bool = False
    position_side: PositionSide = attrs.field(default=PositionSide.NET, converter=_position_side)
    self_trade_prevention: SelfTradePrevention | None = attrs.field(
        default=None, converter=_self_trade_prevention
    )
    """None leaves it to the account's setting."""
    trigger: Trigger | Trailing | None = attrs.field(default=None, validator=any_trigger_if_any)
    """What it waits for, outside the book: a price, or that one turns."""
    take_profit: Exit | None = attrs.field(default=None, validator=exit_if_any)
    stop_loss: Exit | None = attrs.field(default=None, validator=exit_if_any)
    tag: str = attrs.field(default="", validator=_checked_tag)
    """The user's own, up to 12 letters and digits; part of the client order id, so that it comes
    back with the order wherever it is read."""
    client_order_id: str = ""
    """The user's own id in the exchange's grammar; empty: one is made."""
    native: Mapping[str, Any] = attrs.field(factory=dict)
    """Fields of the exchange's own that unified ones can't express, added to its request."""

    def __attrs_post_init__(self) -> None:
        for name in ("size", "quote_size", "price", "volatility"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above zero, not {value:f}")
        if (self.size is None) == (self.quote_size is None):
            raise UsageError("say size or quote_size, one of them")
        if self.type is OrderType.LIMIT:
            if (self.price is None) == (self.volatility is None):
                raise UsageError("a limit order needs a price (of an option: or a volatility)")
            if self.quote_size is not None:
                raise UsageError("quote_size is for market orders")
        else:
            if self.price is not None or self.volatility is not None:
                raise UsageError("a market order has no price")
            if self.post_only:
                raise UsageError("a market order can't be post-only")
        if self.post_only and self.time_in_force is not TimeInForce.GTC:
            raise UsageError(f"post-only and {self.time_in_force.value} exclude each other")


def limit(symbol: str, side: Side | str, *, size: Number, **more: Any) -> OrderRequest:
    """A limit order: ``limit("BTC/USDT", Side.BUY, price="64000.1", size="0.01")``.

    Further arguments are the fields of :class:`OrderRequest`; of options ``volatility`` may stand
    for ``price``, where the exchange takes it.

    :raises UsageError: where they exclude each other, or a number is a float.
    """
    return OrderRequest(symbol=symbol, side=_side(side), type=OrderType.LIMIT, size=size, **more)


def market(
    symbol: str,
    side: Side | str,
    *,
    size: Number | None = None,
    quote_size: Number | None = None,
    **more: Any,
) -> OrderRequest:
    """A market order, of a ``size`` or (of spot) for a ``quote_size`` in the quote currency.

    Further arguments are the fields of :class:`OrderRequest`.

    :raises UsageError: where they exclude each other, or a number is a float.
    """
    sizes = {"size": size, "quote_size": quote_size}
    return OrderRequest(symbol=symbol, side=_side(side), type=OrderType.MARKET, **sizes, **more)  # type: ignore[arg-type]
