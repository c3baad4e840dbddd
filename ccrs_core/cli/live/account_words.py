"""What happens to an account, in one line for people."""

from __future__ import annotations

from ccrs_core.cli import form
from ccrs_core.cli.live.notices import parts as parts_of_notice
from ccrs_core.model.accounts import (
    Adjustment,
    Income,
    LedgerConflict,
    MarginCall,
    Position,
    Synced,
)
from ccrs_core.model.events import AnyEvent, Balance, Event, Gap, Resumed, Stale
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import EarlyFill, Fill, OrderUpdate

ALARMING = frozenset({"conflict", "margin", "not synced", "stale", "gap", "unexplained"})
"""Words that are to be seen."""


def parts(event: Event) -> tuple[str, str, str]:
    """When, what, and of what."""
    at = form.clock(event.received_time_ns)
    match event:
        case Fill():
            return at, "fill", _fill(event)
        case EarlyFill():
            return (
                at,
                "early",
                f"{event.side.value} {event.size:f} {event.symbol} at {event.price:f}",
            )
        case OrderUpdate(order=order):
            why = "" if order.reason is None else f": {order.reason.value.replace('_', ' ')}"
            return at, "order", f"{order}{why}"
        case Position():
            which = "" if event.side is PositionSide.NET else f" {event.side.value}"
            return at, "position", f"{event.size:f} {event.symbol}{which}"
        case Balance():
            free = "" if event.available is None else f", {event.available:f} available"
            return at, "balance", f"{event.total:f} {event.asset}{free}"
        case Income():
            of = f" of {event.symbol}" if event.symbol else ""
            return at, event.kind.value, f"{event.amount:+f} {event.asset}{of}"
        case Adjustment():
            of = event.symbol or event.asset
            return at, event.kind.value, f"{event.amount:+f} {of} that no entry explains"
        case LedgerConflict():
            return at, "conflict", f"{event.what}: known {event.known}, told {event.told}"
        case MarginCall():
            return at, "margin", event.text
        case Synced():
            return at, "synced" if event.synced else "not synced", event.reason
        case Gap() | Stale() | Resumed():
            return parts_of_notice(event)
        case _:
            return at, event.type.replace("_", " "), event.symbol


def _fill(fill: Fill) -> str:
    fee = "" if fill.fee is None else f", fee {fill.fee:f} {fill.fee_asset}"
    role = "" if fill.liquidity is None else f" as {fill.liquidity.value}"
    again = " (again)" if fill.again else ""
    return f"{_traded(fill)}{role}{fee}{again}"


def _traded(fill: Fill | EarlyFill) -> str:
    return f"{fill.side.value} {fill.size:f} {fill.symbol} at {fill.price:f}"


def line(event: AnyEvent | Event, name: str = "") -> str:
    """The same as a line of text, with the account's name where there are several."""
    at, word, what = parts(event)
    whose = f"{name} " if name else ""
    return form.printable(f"{at} {whose}{word.upper()} {what}")
