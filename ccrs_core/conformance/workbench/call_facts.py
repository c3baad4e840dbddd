"""What documents say of calls about accounts: where they go, and how often they may be made."""

from __future__ import annotations

import attrs

from ccrs_core.conformance.workbench.facts_entry import Entry, Fact
from ccrs_core.contract import trading_requests
from ccrs_core.contract.rest import Request
from ccrs_core.model.instruments import Market

COUNTS = ("requests", "orders")
"""What a call's budget may count."""

_CALLS = {
    name: kind
    for name, kind in vars(trading_requests).items()
    if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request
}


@attrs.frozen(kw_only=True)
class CallFact(Fact):
    """A signed call."""

    asks: type
    method: str
    path: str
    markets: frozenset[Market]
    per_second: int
    """How much of what it ``counts`` an account may ask in ``seconds``: in one, unless said. 0: it
    isn't counted for each account."""
    weight: int
    """What it costs of the address's budget; below zero where that isn't said."""
    seconds: float
    counts: str
    most: int
    """The most orders of a batch; 0 where it is none."""


def call(entry: Entry) -> CallFact:
    """Read a table ``[[call]]``."""
    name, counts = entry.take("type", str), entry.take("counts", str, COUNTS[0])
    if name not in _CALLS:
        raise entry.wrong(f"type: there is no {name!r}; write one of {', '.join(_CALLS)}")
    if counts not in COUNTS:
        raise entry.wrong(f"counts must be one of {', '.join(COUNTS)}")
    return entry.fact(
        CallFact,
        asks=_CALLS[name],
        method=entry.take("method", str),
        path=entry.take("path", str),
        markets=entry.members("markets", Market),
        per_second=entry.take("per_second", int, 0),
        weight=entry.take("weight", int, -1),
        seconds=float(entry.take("seconds", (int, float), 1.0)),
        counts=counts,
        most=entry.take("most", int, 0),
    )
