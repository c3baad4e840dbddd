"""What a user may ask of the emulated Bybit in a second: by endpoint and product.

https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs

from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import milliseconds

TOO_MANY = 10006
TOO_MANY_TEXT = "Too many visits!"


def _by_product(spot: int, contracts: int, option: int) -> Mapping[str, int]:
    return {SPOT: spot, LINEAR: contracts, INVERSE: contracts, OPTION: option}


_ORDERS = _by_product(20, 10, 10)
RATES: Mapping[str, Mapping[str, int] | int] = {
    "/v5/order/create": _ORDERS,
    "/v5/order/amend": _by_product(10, 10, 10),
    "/v5/order/cancel": _ORDERS,
    "/v5/order/cancel-all": _by_product(20, 10, 1),
    "/v5/order/create-batch": _ORDERS,
    "/v5/order/amend-batch": _ORDERS,
    "/v5/order/cancel-batch": _ORDERS,
    "/v5/order/pre-check": _ORDERS,
    "/v5/order/disconnected-cancel-all": 5,
    "/v5/order/realtime": 50,
    "/v5/order/history": 50,
    "/v5/execution/list": 50,
    "/v5/position/list": 50,
    "/v5/position/closed-pnl": 50,
    "/v5/position/set-leverage": 10,
    "/v5/position/switch-mode": 10,
    "/v5/position/trading-stop": 10,
    "/v5/position/add-margin": 10,
    "/v5/account/wallet-balance": 50,
    "/v5/account/transaction-log": 25,
    "/v5/account/fee-rate": 5,
    "/v5/account/info": 50,
    "/v5/account/query-dcp-info": 5,
    "/v5/account/smp-group": 5,
    "/v5/account/user-setting-config": 50,
    "/v5/account/set-limit-px-action": 10,
    "/v5/account/set-margin-mode": 5,
    "/v5/account/demo-apply-money": 1,
    "/v5/user/query-api": 10,
}
"""Requests a second of one user; where orders are counted, by product."""
_COUNTED_BY_ORDER = frozenset(f"/v5/order/{what}-batch" for what in ("create", "amend", "cancel"))


@attrs.frozen
class Admission:
    """How many of those that were asked for may pass, and what the answer's headers say."""

    passed: int
    limit: int
    left: int
    reset_ms: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class UserLimits:
    """Counts what each user asks, in any second.

    :param factor: how many times the documented limits a user has; None: no limits.
    """

    def __init__(self, factor: float | None = 1.0) -> None:
        self.factor = factor
        self._times: dict[tuple[str, str, str], deque[int]] = {}

    def admit(self, user: str, path: str, category: str, count: int, now_ns: int) -> Admission:
        """Count a request, of which ``count`` orders; of a batch the first ones may pass alone."""
        limit = self._limit(path, category)
        if self.factor is None:
            return Admission(count, limit, limit, milliseconds(now_ns))
        cost = count if path in _COUNTED_BY_ORDER and category != OPTION else 1
        product = category if isinstance(RATES[path], Mapping) else ""
        times = self._times.setdefault((user, path, product), deque())
        while times and times[0] <= now_ns - NS_PER_SECOND:
            times.popleft()
        passed = min(cost, limit - len(times))
        times.extend([now_ns] * passed)
        short = passed < cost
        reset_ns = times[0] + NS_PER_SECOND if short and times else now_ns
        left = limit - len(times)
        orders = passed if cost == count else count * passed
        return Admission(orders, limit, left, milliseconds(reset_ns))

    def _limit(self, path: str, category: str) -> int:
        rate = RATES[path]
        if isinstance(rate, Mapping):
            rate = rate[category if category in CATEGORIES else LINEAR]
        return max(1, round(rate * (1.0 if self.factor is None else self.factor)))
