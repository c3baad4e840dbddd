"""An order of the command line: from its options to the request, and in words before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import click

from ccrs_core.cli import form
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Instrument, Market, Side, SizeUnit
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
    exact_number,
    limit,
    market,
)

F = TypeVar("F", bound=Callable[..., Any])


class NumberType(click.ParamType[Decimal]):
    """A number, with exactly its digits."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            return exact_number("it", value)
        except UsageError as error:
            self.fail(str(error).removeprefix("it "), param, ctx)


NUMBER = NumberType()


class StepType(click.ParamType[tuple[str, Decimal]]):
    """By how much a price turns: an amount, or with % a share of it."""

    name = "step"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Decimal]:
        if isinstance(value, tuple):
            return value
        number = NUMBER.convert(value.removesuffix("%"), param, ctx)
        return ("share", number / 100) if value.endswith("%") else ("distance", number)


def _choices(kind: Any) -> click.Choice[str]:
    return click.Choice([each.value.replace("_", "-") for each in kind])


def options(command: F) -> F:
    """What an order is."""
    for option in reversed(
        (
            click.option("--size", type=NUMBER, help="In the instrument's size unit."),
            click.option(
                "--quote-size",
                type=NUMBER,
                help="Of a market order: for so much of the quote currency instead.",
            ),
            click.option("--price", type=NUMBER, help="Of a limit order, in quote units."),
            click.option(
                "--volatility", type=NUMBER, help="Of an option, instead of a price: 0.5 is 50 %."
            ),
            click.option("--at-market", is_flag=True, help="A market order."),
            click.option("--post-only", is_flag=True, help="Rests, or is rejected."),
            click.option("--reduce-only", is_flag=True, help="Only makes a position smaller."),
            click.option(
                "--time-in-force", type=_choices(TimeInForce), default="gtc", show_default=True
            ),
            click.option(
                "--position-side",
                type=_choices(PositionSide),
                default="net",
                show_default=True,
                help="Which position, in hedge mode.",
            ),
            click.option(
                "--self-trade-prevention",
                type=_choices(SelfTradePrevention),
                help="Where both sides would be yours.  [default: the account's setting]",
            ),
            click.option("--rises-to", type=NUMBER, help="Waits until the price rises to this."),
            click.option("--falls-to", type=NUMBER, help="Waits until the price falls to this."),
            click.option(
                "--trails-by",
                type=StepType(),
                help="Waits until the price turns by so much, or by so many %, from its best.",
            ),
            click.option(
                "--trails-from", type=NUMBER, help="Follows once the price has come to this."
            ),
            click.option(
                "--trigger-by",
                type=_choices(TriggerBy),
                default="last",
                show_default=True,
                help="Which price triggers follow.",
            ),
            click.option("--take-profit", type=NUMBER, help="Closes by a market order there."),
            click.option("--stop-loss", type=NUMBER, help="Closes by a market order there."),
            click.option(
                "--tag",
                show_default="cli",
                help="Yours, up to 12 letters and digits; ends the client order id.",
            ),
            click.option("--client-order-id", default="", help="Yours, instead of one made."),
        )
    ):
        command = option(command)
    return command


NAMES = frozenset(
    {
        *("size", "quote_size", "price", "volatility", "at_market", "post_only", "reduce_only"),
        *("time_in_force", "position_side", "self_trade_prevention", "rises_to", "falls_to"),
        *("trails_by", "trails_from", "trigger_by", "take_profit", "stop_loss"),
        *("tag", "client_order_id"),
    }
)
"""What :func:`options` are called."""


def request_of(
    symbol: str,
    side: str,
    *,
    size: Decimal | None,
    quote_size: Decimal | None,
    price: Decimal | None,
    volatility: Decimal | None,
    at_market: bool,
    trails_by: tuple[str, Decimal] | None,
    trails_from: Decimal | None,
    rises_to: Decimal | None,
    falls_to: Decimal | None,
    trigger_by: str,
    take_profit: Decimal | None,
    stop_loss: Decimal | None,
    self_trade_prevention: str | None,
    **more: Any,
) -> OrderRequest:
    """The order that :func:`options` describe.

    :raises UsageError: where they exclude each other, or don't say how it is priced.
    """
    priced = price is not None or volatility is not None
    if at_market == priced:
        raise UsageError("say --price (of an option: or --volatility), or --at-market")
    if size is None and quote_size is None:
        raise UsageError("say --size, or with --at-market --quote-size")
    by = TriggerBy(trigger_by)
    if rises_to is not None and falls_to is not None:
        raise UsageError("--rises-to and --falls-to exclude each other")
    told: dict[str, Any] = dict(more)
    if told["tag"] is None:
        told["tag"] = "" if told["client_order_id"] else "cli"
    told["position_side"] = PositionSide(told.pop("position_side"))
    told["time_in_force"] = TimeInForce(told.pop("time_in_force"))
    if self_trade_prevention is not None:
        told["self_trade_prevention"] = self_trade_prevention.replace("-", "_")
    at = rises_to if rises_to is not None else falls_to
    if at is not None:
        told["trigger"] = Trigger(price=at, rises=rises_to is not None, by=by)
    if trails_by is not None:
        if at is not None:
            raise UsageError("--trails-by and --rises-to or --falls-to exclude each other")
        how, step = trails_by
        told["trigger"] = Trailing(
            distance=step if how == "distance" else None,
            share=step if how == "share" else None,
            activation=trails_from,
            by=by,
        )
    elif trails_from is not None:
        raise UsageError("--trails-from goes with --trails-by")
    for name, where in (("take_profit", take_profit), ("stop_loss", stop_loss)):
        if where is not None:
            told[name] = Exit(price=where, by=by)
    if at_market:
        return market(symbol, side, size=size, quote_size=quote_size, **told)
    if size is None:
        raise UsageError("--quote-size is for market orders: say --size")
    return limit(symbol, side, size=size, price=price, volatility=volatility, **told)


# --- in words -------------------------------------------------------------------------------


def _condition(trigger: Trigger | Trailing, side: Side) -> str:
    if isinstance(trigger, Trigger):
        return f"{'rises' if trigger.rises else 'falls'} to {trigger.price:f}"
    turns = "falls" if side is Side.SELL else "rises"
    best = "highest" if side is Side.SELL else "lowest"
    found = f"{turns} by {trailing_step(trigger)} from its {best}"
    if trigger.activation is not None:
        found += f" since it came to {trigger.activation:f}"
    return found


def waiting_for(trigger: Trigger | Trailing) -> str:
    """What an order waits for, shortly."""
    if isinstance(trigger, Trigger):
        return f"at {trigger.price:f}"
    return f"trails {trailing_step(trigger)}"


def trailing_step(trigger: Trailing) -> str:
    """By how much the price has to turn: ``1.5%`` or an amount."""
    if trigger.distance is not None:
        return f"{trigger.distance:f}"
    assert trigger.share is not None
    return f"{(trigger.share * 100).normalize():f}%"


def described(order: OrderRequest, instrument: Instrument) -> Iterator[str]:
    """What will be sent, line by line: nothing of the order is left out."""
    yield f"{order.side.value} {_amount(order, instrument)}, {_pricing(order, instrument)}"
    yield f"{instrument.symbol} ({instrument.market.value}, {instrument.native})"
    if order.price is not None and order.size is not None:
        worth = instrument.notional(order.price, order.size)
        yield f"worth {worth.normalize():f} {instrument.quote} at that price"
    promises = [order.time_in_force.value.upper()] if order.type is OrderType.LIMIT else []
    promises += [
        word
        for word, said in (("post-only", order.post_only), ("reduce-only", order.reduce_only))
        if said
    ]
    if order.position_side is not PositionSide.NET:
        promises.append(f"of the {order.position_side.value} position")
    if order.self_trade_prevention is not None:
        words = order.self_trade_prevention.value.replace("_", " ")
        promises.append(f"self-trade prevention: {words}")
    if promises:
        yield ", ".join(promises)
    if order.trigger is not None:
        yield f"once the {order.trigger.by.value} price {_condition(order.trigger, order.side)}"
    for name, leaving in (("take-profit", order.take_profit), ("stop-loss", order.stop_loss)):
        if leaving is not None:
            how = "market" if leaving.limit_price is None else f"limit {leaving.limit_price:f}"
            yield f"{name} at {leaving.price:f} ({leaving.by.value}), by a {how} order"
    for name, text in (("tag", order.tag), ("client order id", order.client_order_id)):
        if text:
            yield f"{name} {text}"
    yield from _native(order.native)


def _native(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        yield f"{name} = {value}"


def _amount(order: OrderRequest, instrument: Instrument) -> str:
    if order.quote_size is not None:
        return f"for {order.quote_size:f} {instrument.quote}"
    assert order.size is not None
    if instrument.size_unit is SizeUnit.CONTRACTS:
        each = instrument.quote_per_contract
        worth = "" if each is None else f" of {each:f} {instrument.quote} each"
        return f"{form.plural_of(order.size, 'contract')}{worth}"
    return f"{order.size:f} {instrument.base}"


def _pricing(order: OrderRequest, instrument: Instrument) -> str:
    if order.type is OrderType.MARKET:
        return "at whatever price the market has"
    if order.volatility is not None:
        return f"limit at a volatility of {(order.volatility * 100).normalize():f} %"
    assert order.price is not None
    bound = "at most" if order.side is Side.BUY else "at least"
    per = " for one" if instrument.market is Market.OPTION else ""
    return f"limit, {bound} {order.price:f} {instrument.quote}{per}"
