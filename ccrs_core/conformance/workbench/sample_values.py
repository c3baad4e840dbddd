"""Values of answers and reports, as samples write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import attrs

from ccrs_core import errors
from ccrs_core.conformance.workbench.reading import RECEIVED_NS, Reader
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import Placed, Replaced, Wallet
from ccrs_core.errors import EndReason
from ccrs_core.model.events import Event
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.reports import Report

_REPORTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (*get_args(Report), Placed)}
_ERRORS: Mapping[str, type[errors.ExchangeError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ExchangeError)
}


def answer_value(
    read: Reader, kind: type[Request[Any]], exchange: str, instrument: Instrument | None
) -> Any:
    """The value that a request's answer must have, of the type that its class states."""
    target: Any = get_args(kind.__orig_bases__[0])[0]  # type: ignore[attr-defined]
    symbol = None if instrument is None else instrument.symbol
    value = read.get("value")
    kinds = get_args(target) if get_origin(target) in (Union, UnionType) else (target,)
    if value is None and (target is None or NoneType in kinds):
        return None
    if get_origin(target) in (list, Sequence):
        return [_one(each, _item(target), exchange, symbol) for each in read.items("value")]
    if isinstance(value, dict):
        return _one(read.item("value"), kinds[0], exchange, symbol)
    if float in kinds:
        return read.number("value")
    return read.typed("value", int if int in kinds else target)


def _item(target: Any) -> Any:
    """What a list is of."""
    (item,) = get_args(target)
    return item


def _one(read: Reader, target: Any, exchange: str, symbol: str | None) -> Any:
    if "report" in read.fields:
        return report(read, exchange)
    if "error" in read.fields:
        return _error(read)
    if target is Wallet:
        return _wallet(read, exchange)
    if target is Replaced:
        return _replaced(read, exchange)
    if isinstance(target, type) and issubclass(target, Event):
        return read.event(exchange, symbol)
    names = {field.name for field in attrs.fields(target)}
    return read.structure(target, **({"exchange": exchange} if "exchange" in names else {}))


def report(read: Reader, exchange: str) -> Any:
    """What a row says of an account; ``report`` names its class."""
    kind = read.choice("report", _REPORTS, "ccrs_core.model.reports")
    names = {field.name for field in attrs.fields(kind)}
    known = {"exchange": exchange, "received_time_ns": RECEIVED_NS, "symbol": ""}
    given = {name: value for name, value in known.items() if name in names}
    if kind is not Placed or "said" not in read.fields:
        return read.structure(kind, report=None, **given)
    # The field that says what the answer tells of the order has the name that names classes.
    told = report(read.item("said"), exchange)
    return attrs.evolve(read.structure(kind, report=None, said=None, **given), report=told)


def _error(read: Reader) -> errors.ExchangeError:
    """A refusal of one item of several."""
    kind = read.choice("error", _ERRORS, "ccrs_core.errors")
    said = read.typed("code", str), read.typed("text", str)
    if issubclass(kind, errors.OrderRejected):
        return kind(*said, read.typed("reason", EndReason))
    return kind(*said)


def _replaced(read: Reader, exchange: str) -> Replaced:
    """Both outcomes, each as one of a batch; the second is null where nothing was tried."""
    canceled = _one(read.item("canceled"), Placed, exchange, None)
    tried = read.get("placed") is not None
    placed = _one(read.item("placed"), Placed, exchange, None) if tried else None
    return Replaced(canceled=canceled, placed=placed)


def _wallet(read: Reader, exchange: str) -> Wallet:
    balances = tuple(report(each, exchange) for each in read.items("balances"))
    rest = {name: value for name, value in read.fields.items() if name != "balances"}
    return Reader(rest, read.file, read.path).structure(Wallet, balances=balances)
