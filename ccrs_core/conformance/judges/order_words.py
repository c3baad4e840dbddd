"""Whether what a plugin reads of orders, fills and positions is what the desk has."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator import DeskFill, DeskOrder, DeskPosition, Ending, NewOrder, Stage
from ccrs_core.emulator.matching import Lifetime
from ccrs_core.emulator.trading.positions import entry_price
from ccrs_core.errors import EndReason
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import OrderType, PositionSide, TimeInForce, Trailing, Trigger
from ccrs_core.model.orders import FillKind, Liquidity, OrderState
from ccrs_core.model.reports import FeeIn, FillReport, OrderReport, PositionReport
from ccrs_core.model.units import NS_PER_MS

_FINAL = frozenset({OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED})
_CANCELED = frozenset({OrderState.CANCELED})
_EXPIRED = frozenset({OrderState.EXPIRED})

STATES: Mapping[Stage, frozenset[OrderState]] = {
    Stage.ACCEPTED: frozenset({OrderState.ACCEPTED, OrderState.OPEN}),
    Stage.WAITING: frozenset({OrderState.WAITING}),
    Stage.OPEN: frozenset({OrderState.OPEN}),
    Stage.FILLED: frozenset({OrderState.FILLED}),
    Stage.REJECTED: frozenset({OrderState.REJECTED}),
}
"""What an order may be called where it stands so; of canceled ones ``ENDS`` says it."""

ENDS: Mapping[Ending, tuple[frozenset[OrderState], frozenset[EndReason]]] = {
    Ending.BY_USER: (_CANCELED, frozenset({EndReason.BY_USER})),
    Ending.WOULD_TAKE: (_FINAL, frozenset({EndReason.POST_ONLY})),
    Ending.NO_LIQUIDITY: (_EXPIRED, frozenset({EndReason.NO_LIQUIDITY})),
    Ending.NOT_WHOLE: (_EXPIRED, frozenset({EndReason.NO_LIQUIDITY})),
    Ending.SELF_TRADE: (_EXPIRED | _CANCELED, frozenset({EndReason.SELF_TRADE})),
    Ending.REDUCE_ONLY: (_FINAL, frozenset({EndReason.REDUCE_ONLY})),
    Ending.BALANCE: (_FINAL, frozenset({EndReason.BALANCE})),
    Ending.LIQUIDATION: (_CANCELED, frozenset({EndReason.LIQUIDATION})),
    Ending.DELEVERAGING: (_CANCELED, frozenset({EndReason.DELEVERAGING})),
    Ending.SETTLEMENT: (_CANCELED | _EXPIRED, frozenset({EndReason.SETTLEMENT})),
    Ending.DEAD_MAN: (_CANCELED, frozenset({EndReason.DEAD_MAN})),
    Ending.EXCHANGE: (_CANCELED, frozenset({EndReason.EXCHANGE, EndReason.OTHER})),
    Ending.PARTNER: (_FINAL, frozenset({EndReason.TRIGGER, EndReason.REDUCE_ONLY})),
    Ending.POSITION_CLOSED: (
        _FINAL,
        frozenset({EndReason.REDUCE_ONLY, EndReason.TRIGGER, EndReason.EXCHANGE}),
    ),
    Ending.REPLACED: (_FINAL, frozenset(EndReason)),
}
"""Of each way to end: what the order may be called, and for which reasons."""

_LIFETIMES = {
    Lifetime.GTC: TimeInForce.GTC,
    Lifetime.IOC: TimeInForce.IOC,
    Lifetime.FOK: TimeInForce.FOK,
    Lifetime.POST_ONLY: TimeInForce.GTC,
}
_FEE_IN = {FeeIn.BASE: "base", FeeIn.QUOTE: "quote", FeeIn.SETTLE: "settle"}


def near(told: Decimal, true: Decimal) -> bool:
    """Whether a figure is the true one, but for digits that aren't told."""
    exponent = told.as_tuple().exponent
    unit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return abs(told - true) <= min(unit, max(abs(true) * Decimal("1e-4"), Decimal("1e-8")))


def differing(pairs: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    """The names of which what is told (first) isn't what is; None is told of nothing."""
    for name, (told, true) in pairs.items():
        if told is None or told == true:
            continue
        if isinstance(told, Decimal) and isinstance(true, Decimal) and near(told, true):
            continue
        yield f"{name} is told as {_shown(told)}, it is {_shown(true)}"


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return getattr(value, "value", None) or repr(value)


def _needed(report: Any, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(report, name) is None:
            yield f"{name} isn't told"


def order_differs(
    report: OrderReport,
    order: DeskOrder,
    *,
    whole: bool = True,
    untold: Container[EndReason] = (),
) -> list[str]:
    """What a report says otherwise than the desk's order is, or leaves out that the exchange says
    at least where it is asked (``whole``). Ends for reasons that are ``untold`` have none."""
    asked, listing = order.asked, order.listing
    quoted = asked.quote_size is not None
    size = None if order.size is None else listing.counted(order.size)
    average = order.value and order.filled and _average(order)
    found = list(
        differing(
            {
                "market": (report.market, listing.market),
                "native": (report.native, listing.symbol),
                "client_order_id": (report.client_order_id, order.client_order_id),
                "side": (report.side, order.side),
                "type": (report.type, asked.type),
                "size": (None if quoted else report.size, size),
                "quote_size": (report.quote_size, asked.quote_size),
                "price": (
                    None if asked.type is OrderType.MARKET else report.price,
                    asked.price,
                ),
                "filled_size": (report.filled_size, listing.counted(order.filled)),
                "filled_value": (report.filled_value, order.value),
                "average_price": (report.average_price if average else None, average),
                "time_in_force": (
                    None if asked.type is OrderType.MARKET else report.time_in_force,
                    _LIFETIMES[asked.lifetime],
                ),
                "post_only": (report.post_only, asked.lifetime is Lifetime.POST_ONLY),
                "reduce_only": (
                    report.reduce_only,
                    asked.reduce_only or (asked.closing and bool(report.reduce_only)),
                ),
                "position_side": (report.position_side, asked.position_side),
                "trigger": (report.trigger, _comparable(asked, report.trigger)),
                "by_exchange": (report.by_exchange, order.by is not None),
                "created_ns": (_ms(report.created_ns), _ms(order.created_ns)),
            }
        )
    )
    found += _needed(report, "side", "type", "exchange_time_ns")
    waits = asked.trigger is not None and not order.triggered
    if not waits:  # nothing is filled of what waits
        found += _needed(report, "filled_size")
    if asked.type is OrderType.LIMIT and asked.price is not None:
        found += _needed(report, "price", "size")
    if whole and asked.trigger is not None and not (order.triggered or order.parent):
        found += _needed(report, "trigger")
    if not report.exchange_order_id:
        found.append("exchange_order_id isn't told")
    return found + _state_differs(report, order, untold)


def states_of(order: DeskOrder) -> frozenset[OrderState]:
    """What an order may be called."""
    if order.stage is Stage.REJECTED or order.ending is None:
        return STATES[order.stage]
    states = ENDS[order.ending][0]
    return states | {OrderState.FILLED} if _spent(order) else states


def unnamed_ends(ending: Ending, untold: Container[EndReason]) -> frozenset[OrderState]:
    """What an order that has ended so may be called where nobody says why."""
    if any(each in untold for each in ENDS[ending][1]):
        return _CANCELED | _EXPIRED
    return frozenset()


def _spent(order: DeskOrder) -> bool:
    """Whether what is left of an order for so much money buys nothing more: exchanges call such
    filled, or expired."""
    if (
        order.asked.quote_size is None
        or not order.filled
        or order.ending is not Ending.NO_LIQUIDITY
    ):
        return False
    lot = order.listing.lot * order.listing.worth_of_one
    return order.asked.quote_size - order.value < lot * _average(order) * Decimal("1.01")


def _state_differs(
    report: OrderReport, order: DeskOrder, untold: Container[EndReason]
) -> list[str]:
    reasons: frozenset[EndReason] | None = None
    if order.triggered and order.ending is Ending.REPLACED and report.fired:
        return []  # no end: what it has placed decides
    states = states_of(order)
    if order.ending is not None and (report.reason is None or order.stage is Stage.REJECTED):
        states |= unnamed_ends(order.ending, untold)
    if order.ending is not None:
        reasons = ENDS[order.ending][1]
        if report.state is OrderState.FILLED and report.state in states:
            reasons = None
    found = []
    where = order.stage.value + ("" if order.ending is None else f" ({order.ending.value})")
    if report.state not in states:
        wanted = ", ".join(sorted(state.value for state in states))
        found.append(f"state is told as {report.state.value} of an order that is {where}: {wanted}")
    waited = order.asked.trigger is not None and not order.triggered
    unsaid = report.reason is None and (
        (waited and report.state is OrderState.CANCELED)
        or any(each in untold for each in reasons or ())
    )
    if reasons is not None and report.reason not in reasons and not unsaid:
        wanted = ", ".join(sorted(reason.value for reason in reasons))
        told = None if report.reason is None else report.reason.value
        found.append(f"reason is told as {told} of an order that is {where}: {wanted}")
    if reasons is None and order.stage is not Stage.FILLED and report.reason is not None:
        found.append(f"reason is told as {report.reason.value} of an order that is {where}")
    return found


def _average(order: DeskOrder) -> Decimal:
    worth = order.filled * order.listing.worth_of_one
    if order.listing.market is Market.INVERSE:
        return worth / order.value
    return order.value / worth


def trigger_of(asked: NewOrder) -> Trigger | Trailing | None:
    """What an order of the desk waits for, as users say it."""
    if asked.trigger is None or not asked.trails:
        return asked.trigger
    return Trailing(
        distance=asked.trailing,
        share=asked.trailing_share,
        activation=asked.activates_at,
        by=asked.trigger.by,
    )


def _comparable(asked: NewOrder, told: Trigger | Trailing | None) -> Trigger | Trailing | None:
    """A trigger's price may be spelled with other digits; where one that follows the price begins
    isn't told any more once it follows."""
    true = trigger_of(asked)
    if isinstance(true, Trailing) and isinstance(told, Trailing) and told.activation is None:
        true = attrs.evolve(true, activation=None)
    return told if true is not None and told is not None and true == told else true


def _ms(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // NS_PER_MS


def fill_differs(report: FillReport, fill: DeskFill) -> list[str]:
    """What a report says otherwise than the desk's fill is."""
    order, listing = fill.order, fill.listing
    asset = report.fee_asset or (
        None if report.fee_in is None else getattr(listing, _FEE_IN[report.fee_in])
    )
    liquidity = Liquidity.MAKER if fill.maker else Liquidity.TAKER
    found = list(
        differing(
            {
                "market": (report.market, listing.market),
                "native": (report.native, listing.symbol),
                "client_order_id": (report.client_order_id, order.client_order_id),
                "side": (report.side, fill.side),
                "value": (report.value, fill.value),
                "fee": (report.fee, fill.fee),
                "fee_asset": (asset, fill.fee_asset),
                "liquidity": (report.liquidity, liquidity),
                "kind": (report.kind, fill.kind),
                "by_exchange": (report.by_exchange, order.by is not None),
                "position_side": (report.position_side, order.asked.position_side),
                "exchange_time_ns": (_ms(report.exchange_time_ns), _ms(fill.time_ns)),
            }
        )
    )
    if not report.client_order_id:  # which order it is the exchange's id says
        found = [each for each in found if not each.startswith("client_order_id")]
    # These must be exact: they are what a ledger adds up.
    exact = {"price": (report.price, fill.price), "size": (report.size, listing.counted(fill.size))}
    for name, (told, true) in exact.items():
        if told != true:
            found.append(f"{name} is told as {told:f}, it is {true:f}")
    if fill.kind is FillKind.TRADE:
        found += _needed(report, "liquidity", "fee")
        if fill.fee and asset is None:
            found.append("nothing says what the fee is in")
    if not (report.fill_id and report.exchange_order_id):
        found.append("fill_id or exchange_order_id isn't told")
    return found


def position_differs(report: PositionReport, position: DeskPosition) -> list[str]:
    """What a report says otherwise than the desk's position is."""
    listing = position.listing
    found = list(
        differing(
            {
                "market": (report.market, listing.market),
                "native": (report.native, listing.symbol),
                "side": (report.side, position.side),
                "settle": (report.settle or None, listing.settle),
                "entry_price": (
                    report.entry_price if position.size else None,
                    entry_price(position),
                ),
                "leverage": (report.leverage or None, position.leverage),
                "margin_mode": (report.margin_mode, position.margin_mode),
            }
        )
    )
    size = listing.counted(position.size)
    if report.size != size:
        found.append(f"size is told as {report.size:f}, it is {size:f}")
    if position.size:
        found += _needed(report, "entry_price")
    return found


def balance_differs(told: Balance, total: Decimal) -> list[str]:
    """What a balance says otherwise than the desk's wallet: the wallet's total."""
    wallet = told.total if told.wallet is None else told.wallet
    return [] if near(wallet, total) else [f"{told.asset} is told as {wallet:f}, it is {total:f}"]


def agreed(what: str, found: Sequence[str], frame: Any = None) -> None:
    """Fails where something is told otherwise than it is."""
    if found:
        shown = "" if frame is None else f"\nIt was told by {frame!r:.600}"
        raise AssertionError(f"{what}: " + "; ".join(found) + shown)


def signed_size(side: Side, size: Decimal) -> Decimal:
    """A size as a position counts it."""
    return size if side is Side.BUY else -size


NET = PositionSide.NET
