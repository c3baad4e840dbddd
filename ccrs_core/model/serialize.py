"""Events as JSON and back: prices and sizes as strings with exactly the exchange's digits.

An event becomes one flat object: ``type``, then the event's own fields under their own names. What
a notice is about is its ``channel``; ``sequence`` is left out where the exchange gives none, and
``account`` where it is about none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from ccrs_core.errors import UsageError
from ccrs_core.model.events import (
    AnyEvent,
    Balance,
    BookUpdate,
    Candle,
    Event,
    Funding,
    Gap,
    Greeks,
    IndexPrice,
    InstrumentChanged,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Resumed,
    Stale,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.ticks import TickBand

if TYPE_CHECKING:
    import cattrs

    from ccrs_core.model.orderbook import OrderBook

EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        *(TopOfBook, Trade, BookUpdate, Ticker, Candle, Funding),
        *(MarkPrice, Greeks, IndexPrice, OpenInterest, Liquidation),
        Balance,
        *(Gap, Stale, Resumed, InstrumentChanged),
    )
}
"""Event classes by the ``type`` that they carry in JSON."""

_RENAMED = {"about": "channel"}
_OPTIONAL = ("sequence", "account")


def exact(number: Decimal) -> str:
    """The digits of a number as the exchange wrote them, never in scientific notation."""
    return format(number, "f")


def _unknown(value: object) -> str | dict[str, Any]:
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, Instrument | TickBand):
        return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    raise TypeError(f"can't write {type(value).__name__} as JSON")


_FIELDS = {
    kind: tuple((f.name, _RENAMED.get(f.name, f.name)) for f in attrs.fields(kind))
    for kind in EVENTS.values()
}


def to_dict(event: AnyEvent) -> dict[str, Any]:
    """An event as a flat mapping; its values are still the event's own."""
    kind = event.__class__
    found: dict[str, Any] = {"type": kind.type}
    for name, key in _FIELDS[kind]:
        found[key] = getattr(event, name)
    for name in _OPTIONAL:
        if found.get(name, 0) is None:
            del found[name]
    return found


def book_to_dict(book: OrderBook, update: BookUpdate, levels: int) -> dict[str, Any]:
    """A maintained book as it stands after an update, with its best ``levels`` per side.

    :raises BookInvalid: where the book isn't valid.
    """
    bids, asks = book.bids(levels), book.asks(levels)
    none: tuple[None, None] = (None, None)
    bid, ask = bids[0] if bids else none, asks[0] if asks else none
    return {
        "type": update.type,
        "exchange": update.exchange,
        "symbol": update.symbol,
        "exchange_time_ns": update.exchange_time_ns,
        "received_time_ns": update.received_time_ns,
        "sequence": book.sequence,
        "snapshot": update.snapshot,
        "state": book.state.value,
        "bid_price": bid[0],
        "bid_size": bid[1],
        "ask_price": ask[0],
        "ask_size": ask[1],
        "bids": bids,
        "asks": asks,
    }


def to_json(event: AnyEvent | Mapping[str, Any]) -> bytes:
    """An event (or what :func:`to_dict` and :func:`book_to_dict` make of one) as one line."""
    content = to_dict(event) if isinstance(event, Event) else event
    return orjson.dumps(content, default=_unknown)


def from_json(line: bytes | str) -> AnyEvent:
    """The event that :func:`to_json` wrote, equal in every digit.

    :raises UsageError: where the text is no such line.
    """
    try:
        content = orjson.loads(line)
        kind = EVENTS[content["type"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"not an event: {line[:100]!r}") from error
    values = {name: content.get(key) for name, key in _FIELDS[kind]}
    structure: Callable[[Any, Any], AnyEvent] = converter().structure
    try:
        return structure(values, kind)
    except Exception as error:  # cattrs groups what it finds in exceptions of its own
        raise UsageError(f"not a {kind.type} event: {line[:100]!r}") from error


@cache
def converter() -> cattrs.Converter:
    """Turns this library's values into JSON's and back, without loss. Made on first use."""
    import cattrs
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

    from ccrs_core.model.subscriptions import Subscription

    made = cattrs.Converter(forbid_extra_keys=False)
    made.register_unstructure_hook(Decimal, exact)
    made.register_structure_hook(Decimal, lambda value, _: _decimal(value))
    for kind in (int, str, bool):
        made.register_structure_hook(kind, _strict(kind))
    # What isn't there isn't written: most subscriptions are of no account, the others of no
    # instrument.
    spelled = {"_instrument": override(rename="instrument", omit_if_default=True)}
    spelled["account"] = override(omit_if_default=True)
    spelled["_exchange"] = override(rename="exchange", omit_if_default=True)
    made.register_unstructure_hook(
        Subscription,
        make_dict_unstructure_fn(Subscription, made, **spelled),  # type: ignore[arg-type]
    )
    made.register_structure_hook(
        Subscription,
        make_dict_structure_fn(Subscription, made, **spelled),  # type: ignore[arg-type]
    )
    return made


def _decimal(value: object) -> Decimal:
    # A JSON number has been through a float already: its digits can't be trusted.
    if not isinstance(value, str):
        raise TypeError(f"a number's digits must be text, not {value!r}")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None


def _strict(kind: type[Any]) -> Callable[[Any, Any], Any]:
    """No coercion: a text is a text, a number is a number."""

    def structure(value: Any, target: Any) -> Any:
        if target is not kind:
            return target(value)  # an enum that derives from it
        if type(value) is not kind:
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return structure
