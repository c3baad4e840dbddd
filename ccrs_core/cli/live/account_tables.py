"""What orders, fills, positions, balances and fees look like in tables."""

from __future__ import annotations

from decimal import Context, Decimal

from rich.text import Text

from ccrs_core.cli import form
from ccrs_core.cli.live.listing import Listing
from ccrs_core.cli.live.panels import DIM, DOWN, UP, Cell
from ccrs_core.cli.order_words import waiting_for
from ccrs_core.model.accounts import FeeRate, Income, Position
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType, PositionSide, TimeInForce
from ccrs_core.model.orders import Fill, Order, OrderState
from ccrs_core.model.times import shown
from ccrs_core.trading.sweeping import SweptOrder

DOUBTFUL = frozenset({OrderState.UNKNOWN, OrderState.PRESUMED_ABSENT, OrderState.SENT})


def side(value: Side) -> Text:
    return Text(value.value, style=UP if value is Side.BUY else DOWN)


def signed(value: Decimal | None, sign: str = "") -> Text:
    """A gain or a loss; ``sign`` is ``+`` where gains are to say so."""
    if value is None:
        return Text(form.NONE)
    style = UP if value > 0 else DOWN if value < 0 else ""
    return Text(f"{value:{sign}f}", style=style)


def _number(value: Decimal | None) -> str:
    return form.NONE if value is None else f"{value:f}"


_COMPUTED = Context(prec=12)


def _computed(value: Decimal | None) -> str:
    """A figure that was computed: to twelve digits, without zeros at its end."""
    return form.NONE if value is None else f"{value.normalize(_COMPUTED):f}"


def _time(ns: int | None) -> Text:
    return Text(form.NONE if ns is None else shown(ns)[:19], style=DIM)


# --- orders ---


def state(order: Order) -> Text:
    """An order's state; what isn't certain stands out."""
    text = order.state.value.replace("_", " ")
    if not order.fills_complete:
        text += " …"
    if order.state in DOUBTFUL:
        return Text(text, style="bold yellow")
    return Text(text, style=DIM if order.state.final else "")


def promise(order: Order) -> str:
    """How it is priced, and what it promises."""
    words = [order.type.value]
    if order.time_in_force not in (None, TimeInForce.GTC) and order.type is OrderType.LIMIT:
        words.append(order.time_in_force.value)
    words += [w for w, said in (("post", order.post_only), ("reduce", order.reduce_only)) if said]
    if order.position_side is not PositionSide.NET:
        words.append(order.position_side.value)
    if order.trigger is not None:
        words.append(waiting_for(order.trigger))
    return " ".join(words)


def _order(order: Order) -> list[Cell]:
    size = order.size
    asked = _number(size) if size is not None else f"{_number(order.quote_size)} (quote)"
    return [
        _time(order.created_ns or order.updated_ns),
        Text(order.symbol, style="bold"),
        side(order.side),
        promise(order),
        asked,
        form.price(order.price),
        form.price(order.filled_size),
        _computed(order.average_price),
        state(order),
        "" if order.reason is None else order.reason.value.replace("_", " "),
        order.client_order_id or order.exchange_order_id,
    ]


ORDERS = Listing[Order](
    columns=(
        *("time", "symbol", "side", "type", "size", "price", "filled", "average"),
        *("status", "reason", "id"),
    ),
    cells=_order,
    left_out=("time", "average", "reason", "type", "filled", "side"),
    giving_way="id",
    whole=True,  # it is what others of the commands are told
)


def _swept(order: SweptOrder) -> list[Cell]:
    return [order.market.value, order.exchange_order_id, order.client_order_id]


SWEPT = Listing[SweptOrder](
    columns=("market", "canceled", "client id"), cells=_swept, left_out=("market", "client id")
)


def _fill(fill: Fill) -> list[Cell]:
    fee = form.NONE if fill.fee is None else f"{fill.fee:f} {fill.fee_asset}"
    return [
        _time(fill.exchange_time_ns),
        Text(fill.symbol, style="bold"),
        side(fill.side),
        form.price(fill.size),
        form.price(fill.price),
        _number(fill.value),
        fee,
        "" if fill.liquidity is None else fill.liquidity.value,
        fill.kind.value,
        fill.client_order_id or fill.exchange_order_id,
    ]


FILLS = Listing[Fill](
    columns=(
        *("time", "symbol", "side", "size", "price", "value", "fee"),
        *("as", "kind", "id"),
    ),
    cells=_fill,
    left_out=("kind", "value", "as", "time", "fee", "side"),
    giving_way="id",
)


# --- what an account has ---


def _position(position: Position) -> list[Cell]:
    which = "" if position.side is PositionSide.NET else position.side.value
    mode = "" if position.margin_mode is None else position.margin_mode.value
    profit = signed(position.unrealised_profit, "+")
    if position.unrealised_profit is not None:
        profit.append(f" {position.settle}", style=DIM)
    size = signed(position.size)
    if not position.verified:
        size.append(" ?", style="bold yellow")
    return [
        Text(position.symbol, style="bold"),
        which,
        size,
        _computed(position.entry_price),
        _computed(position.mark_price),
        profit,
        _computed(position.liquidation_price),
        "" if position.leverage is None else f"{position.leverage:f}x",
        mode,
    ]


POSITIONS = Listing[Position](
    columns=("symbol", "side", "size", "entry", "mark", "profit", "liq. at", "lev.", "margin"),
    cells=_position,
    left_out=("margin", "lev.", "mark", "liq. at", "entry", "side"),
    whole=True,
)


def _balance(balance: Balance) -> list[Cell]:
    total, free = balance.total, balance.available
    tied = None if free is None else total - free
    return [Text(balance.name, style="bold"), signed_if_owed(total), _number(free), _number(tied)]


def signed_if_owed(value: Decimal) -> Text:
    return Text(f"{value:f}", style=DOWN if value < 0 else "")


BALANCES = Listing[Balance](
    columns=("asset", "total", "available", "tied up"),
    cells=_balance,
    left_out=("tied up", "available"),
)


def _fee_rate(rate: FeeRate) -> list[Cell]:
    return [
        Text(rate.symbol or f"all of {rate.market.value}", style="bold"),
        rate.market.value,
        _share(rate.maker),
        _share(rate.taker),
    ]


def _share(value: Decimal) -> str:
    return f"{(value * 100).normalize():f}%"


FEES = Listing[FeeRate](
    columns=("symbol", "market", "maker", "taker"), cells=_fee_rate, left_out=("market",)
)


def _income(income: Income) -> list[Cell]:
    amount = signed(income.amount, "+")
    return [
        _time(income.exchange_time_ns),
        income.kind.value,
        income.symbol,
        amount,
        income.asset,
    ]


INCOME = Listing[Income](
    columns=("time", "kind", "symbol", "amount", "asset"),
    cells=_income,
    left_out=("time", "symbol"),
    giving_way="kind",
)
