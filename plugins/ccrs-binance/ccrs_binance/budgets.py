"""What Binance allows each account of orders that are placed, from wherever that is done.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccrs_core import Budget, Market, Pool, PoolLeft, Request

SPOT_ORDERS = Pool(
    "orders spot",
    Budget(amount=50, seconds=10.0, also=(Budget(amount=160_000, seconds=86_400.0),)),
    per_account=True,
)
"""Orders that aren't filled count; each fill gives a little back, which isn't counted on."""

FUTURES_ORDERS = Pool(
    "orders futures",
    Budget(amount=300, seconds=10.0, also=(Budget(amount=1200, seconds=60.0),)),
    per_account=True,
)
"""Of USD-M and COIN-M together, since they are one."""

_COUNTS = "x-mbx-order-count-"
_LIMITS = "x-mbx-order-limit-"
_WINDOWS = {"10s": 10.0, "1m": 60.0, "1d": 86_400.0}


def orders(request: Request[Any]) -> Pool:
    """The budget of what places or amends."""
    return SPOT_ORDERS if request.market is Market.SPOT else FUTURES_ORDERS


def left(request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
    """What an answer says of what is left: how many orders have counted so far in a window, and,
    over a WebSocket, how many may."""
    pool = orders(request)
    found: list[PoolLeft] = []
    for budget in pool.budget.all:
        name = next((each for each, length in _WINDOWS.items() if length == budget.seconds), "")
        count, most = headers.get(_COUNTS + name, ""), headers.get(_LIMITS + name, "")
        if not _number(count):
            continue
        of = int(most) if _number(most) else None
        amount = budget.amount if of is None else of
        found.append(
            PoolLeft(
                left=max(amount - int(count), 0), of=of, pool=pool.name, seconds=budget.seconds
            )
        )
    return found


def counted(limits: Any) -> dict[str, str]:
    """What an answer over a WebSocket says of limits, in the manner of HTTP headers; nothing of
    what isn't said, which is spelled -1."""
    found: dict[str, str] = {}
    for each in limits if type(limits) is list else ():
        if type(each) is not dict or each.get("rateLimitType") != "ORDERS":
            continue
        count, most = each.get("count"), each.get("limit")
        if type(count) is int and type(most) is int and count >= 0 and most > 0:
            name = f"{each.get('intervalNum')}{str(each.get('interval'))[:1]}".lower()
            found[_COUNTS + name], found[_LIMITS + name] = str(count), str(most)
    return found


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
