"""Events as mappings and JSON, and back: prices and sizes with exactly the exchange's digits.

An event becomes one flat object: ``type``, then the event's own fields under their own names. What
a notice is about is its ``channel``; ``sequence`` is left out where the exchange gives none, and
``account`` where it is about none.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from ccrs_core.errors import UsageError
from ccrs_core.model.accounts import (
    Adjustment,
    Income,
    LedgerConflict,
    MarginCall,
    Position,
    Synced,
)
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
    InstrumentNews,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Resumed,
    Stale,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.orders import EarlyFill, Fill, OrderUpdate

if TYPE_CHECKING:
    import cattrs

    from ccrs_core.model.orderbook import OrderBook

EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        *(TopOfBook, Trade, BookUpdate, Ticker, Candle, Funding),
        *(MarkPrice, Greeks, IndexPrice, OpenInterest, Liquidation),
        InstrumentNews,
        *(OrderUpdate, Fill, EarlyFill, Position, Balance),
        *(Income, Adjustment, MarginCall, LedgerConflict, Synced),
        *(Gap, Stale, Resumed, InstrumentChanged),
    )
}
"""Event classes by the ``type`` that they carry in JSON."""

RENAMED = {"about": "channel"}
"""What fields are called outside, where that isn't their name."""
_OPTIONAL = ("sequence", "account")


def exact(number: Decimal) -> str:
    """The digits of a number as the exchange wrote them, never in scientific notation."""
    return format(number, "f")


def _unknown(value: object) -> str | dict[str, Any]:
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, Event):
        return to_dict(value)  # type: ignore[arg-type]
    if attrs.has(type(value)):
        return _shown(value)
    raise TypeError(f"can't write {type(value).__name__} as JSON")


def _shown(value: Any) -> dict[str, Any]:
    """The fields of an object, without those that its text hides: they may be secrets."""
    fields = attrs.fields(type(value))
    return {each.name: getattr(value, each.name) for each in fields if each.repr is True}


_FIELDS = {
    kind: tuple((f.name, RENAMED.get(f.name, f.name)) for f in attrs.fields(kind))
    for kind in EVENTS.values()
}
_DEFAULTED = {
    kind: frozenset(f.name for f in attrs.fields(kind) if f.default is not attrs.NOTHING)
    for kind in EVENTS.values()
}


def to_dict(event: AnyEvent) -> dict[str, Any]:
    """An event as a flat mapping of ``type`` and its fields; values are still the event's own.

    For what JSON can hold as it is, see :func:`to_plain`.
    """
    kind = event.__class__
    found: dict[str, Any] = {"type": kind.type}
    for name, key in _FIELDS[kind]:
        found[key] = getattr(event, name)
    for name in _OPTIONAL:
        if found.get(name, 0) is None:
            del found[name]
    return found


def to_plain(value: Any) -> Any:
    """An event (an instrument, a status, a bar) in values that JSON has: for :mod:`json`, orjson,
    FastAPI, YAML, queues.

    Numbers of exact digits become text, enumerations their text, levels lists of pairs; instruments
    are nested. What :func:`to_json` writes, read again, is the same. :func:`from_dict` leads back.
    What the ``repr`` of a value hides or shortens (secrets, passwords of proxies) is left out.

    :raises UsageError: for what isn't of such values.
    """
    if value is None or isinstance(value, bool | int | float) or type(value) is str:
        return value
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Event):
        return {key: to_plain(each) for key, each in to_dict(value).items()}  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    if attrs.has(type(value)):
        return {name: to_plain(each) for name, each in _shown(value).items()}
    raise UsageError(f"JSON holds no {type(value).__name__}")


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


def to_json(event: AnyEvent | Mapping[str, Any] | Any) -> bytes:
    """An event (or another value of this library, or a mapping of such) as one line of JSON.

    :raises UsageError: for what isn't of such values.
    """
    content = to_dict(event) if isinstance(event, Event) else event  # type: ignore[arg-type]
    try:
        return orjson.dumps(content, default=_unknown)
    except TypeError as error:
        raise UsageError(f"can't write it as JSON: {error.__cause__ or error}") from error


def from_json(line: bytes | str) -> AnyEvent:
    """The event that :func:`to_json` wrote, equal in every digit.

    :raises UsageError: where the text is no such line.
    """
    try:
        content = orjson.loads(line)
    except ValueError as error:
        raise UsageError(f"not an event: {line[:100]!r}") from error
    return from_dict(content)


def from_dict(content: Mapping[str, Any]) -> AnyEvent:
    """The event that :func:`to_plain` or :func:`to_dict` has taken apart, equal in every digit.

    What it doesn't know is left out. Numbers must be text or ``Decimal``: a float has lost digits.

    :raises UsageError: where it is no event.
    """
    try:
        kind = EVENTS[content["type"]]
    except (KeyError, TypeError) as error:
        raise UsageError(f"not an event: {content!r:.100}") from error
    may_lack = _DEFAULTED[kind]
    values = {
        name: content.get(key)
        for name, key in _FIELDS[kind]
        if key in content or name not in may_lack
    }
    for name, value in values.items():
        if attrs.has(type(value)):
            values[name] = to_plain(value)
    structure: Callable[[Any, Any], AnyEvent] = converter().structure
    try:
        return structure(values, kind)
    except Exception as error:  # cattrs groups what it finds in exceptions of its own
        raise UsageError(f"not a {kind.type} event: {content!r:.100}") from error


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
    spelled["account"] = spelled["rpi"] = override(omit_if_default=True)
    spelled["_exchange"] = override(rename="exchange", omit_if_default=True)
    spelled["_market"] = override(rename="market", omit_if_default=True)
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
    if isinstance(value, Decimal):
        return value
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
