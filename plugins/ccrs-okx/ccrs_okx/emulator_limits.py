"""What a user may ask of the emulated OKX in two seconds: by call, of orders by instrument.

https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import Listing
from ccrs_okx.emulator_listings import OPTION, SPOT, family

RATES: Mapping[str, int] = {
    "trade/order": 60,
    "trade/batch-orders": 300,
    "trade/cancel-order": 60,
    "trade/cancel-batch-orders": 300,
    "trade/amend-order": 60,
    "trade/amend-batch-orders": 300,
    "trade/order-algo": 20,
    "trade/cancel-algos": 20,
    "trade/cancel-all-after": 2,
    "trade/close-position": 20,
    "trade/query": 60,
    "trade/orders-pending": 60,
    "trade/orders-history": 40,
    "trade/orders-history-archive": 20,
    "trade/fills": 60,
    "trade/fills-history": 10,
    "trade/order-algo-query": 20,
    "trade/orders-algo-pending": 20,
    "trade/orders-algo-history": 20,
    "trade/account-rate-limit": 2,
    "account/config": 5,
    "account/balance": 10,
    "account/positions": 10,
    "account/bills": 5,
    "account/bills-archive": 5,
    "account/trade-fee": 5,
    "account/leverage-info": 20,
    "account/set-leverage": 20,
    "account/set-position-mode": 5,
    "account/set-account-level": 5,
    "account/set-account-stp-mode": 5,
    "account/instruments": 20,
    "account/account-position-risk": 10,
}
"""Requests in 2 seconds of one user; of batches, orders."""
_BY_ORDER = frozenset({"trade/batch-orders", "trade/cancel-batch-orders"}) | {
    "trade/amend-batch-orders"
}
_SPAN_NS = 2 * NS_PER_SECOND
SUB_ACCOUNT = 1000
"""New and amended orders of contracts and options in 2 seconds, over all calls."""


class UserLimits:
    """Counts what each user asks, in any two seconds.

    :param factor: how many times the documented limits a user has; None: no limits.
    """

    def __init__(self, factor: float | None = 1.0) -> None:
        self.factor = factor
        self._times: dict[tuple[str, str, str], deque[int]] = {}

    def admit(
        self, user: str, call: str, now_ns: int, count: int = 1, listing: Listing | None = None
    ) -> bool:
        """Count a request (of so many orders, of an instrument); False where it is too many."""
        about = "" if listing is None else self._about(listing)
        cost = count if call in _BY_ORDER else 1
        return self._enter(user, call, about, RATES[call], cost, now_ns)

    def admit_orders(self, user: str, listing: Listing, now_ns: int, count: int = 1) -> bool:
        """Count new or amended orders against what a sub-account may have: of spot none count."""
        if listing.category == SPOT:
            return True
        return self._enter(user, "orders", "", SUB_ACCOUNT, count, now_ns)

    def _enter(self, user: str, call: str, about: str, limit: int, cost: int, now_ns: int) -> bool:
        if self.factor is None:
            return True
        times = self._times.setdefault((user, call, about), deque())
        while times and times[0] <= now_ns - _SPAN_NS:
            times.popleft()
        if len(times) + cost > max(1, round(limit * self.factor)):
            return False
        times.extend([now_ns] * cost)
        return True

    @staticmethod
    def _about(listing: Listing) -> str:
        return family(listing) if listing.category == OPTION else listing.symbol
