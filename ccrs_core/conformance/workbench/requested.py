"""What of requests is compared with facts: each question that a plugin may be asked, and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import orjson

from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import (
    GetActivity,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetOpenInterestHistory,
    GetTradeHistory,
    GetTrades,
    Request,
)
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_BY_ROWS = GetTrades | GetTradeHistory | GetCandles | GetFundingHistory | GetOpenInterestHistory
_START_NS = START_NS - 3600 * NS_PER_SECOND
_MANY = 100_000
"""Rows that are asked for: more than any exchange has on a page."""


def asked(subject: Subject) -> Iterator[tuple[Request[Any], Market, Channel | None]]:
    """Every declared question of every market, candles at every interval, for very many rows;
    histories also from a start."""
    endpoints = subject.exchange.endpoints
    for market in subject.markets:
        for request in requests_of(subject, subject.instrument(market), _MANY):
            if isinstance(request, GetCandles):
                for interval in subject.exchange.capabilities.intervals:
                    yield attrs.evolve(request, interval=interval), market, None
            elif isinstance(request, GetOpenInterestHistory):
                for interval in subject.exchange.capabilities.open_interest_intervals:
                    yield attrs.evolve(request, interval=interval), market, None
            else:
                yield request, market, None
            if isinstance(request, GetCandles | GetFundingHistory | GetOpenInterestHistory):
                yield attrs.evolve(request, start_ns=_START_NS), market, None
        declared = subject.channels.get(market, frozenset())
        if GetActivity in endpoints and market in endpoints[GetActivity].markets:
            for channel in (Channel.TRADES, Channel.BOOK):
                if channel in declared:
                    yield GetActivity(market, channel), market, channel


def contents(frame: Outbound) -> str:
    """A frame as text; JSON without white space."""
    text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame
    try:
        return orjson.dumps(orjson.loads(text)).decode()
    except ValueError:
        return text


def fits(
    text: str,
    intervals: Mapping[str, str],
    instrument: Instrument,
    depth: int | None,
    interval: str | None,
) -> str:
    """A text of the facts with a subscription's values in it."""
    values = {
        "symbol": instrument.native,
        "symbol_lower": instrument.native.lower(),
        "base": instrument.base,
        "quote": instrument.quote,
        "depth": str(depth),
        "interval": intervals.get(interval or "", str(interval)),
    }
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)


def same_text(expected: str, said: str) -> bool:
    """Whether a text stands in another one as a whole: not as a part of a longer word."""
    return bool(re.search(rf"(?<![A-Za-z0-9]){re.escape(expected)}(?![A-Za-z0-9])", said))


def of_size(request: Request[Any], rows: int) -> Request[Any]:
    """A question for so many rows, where it says how many."""
    if isinstance(request, GetBook):
        return attrs.evolve(request, depth=min(rows, _MANY))
    if isinstance(request, _BY_ROWS):
        return attrs.evolve(request, limit=min(rows, _MANY))
    return request
