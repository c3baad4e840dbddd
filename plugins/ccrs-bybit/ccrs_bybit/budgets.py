"""What Bybit allows each account of each call, by the second.

Linear and inverse contracts are counted together, as are all markets where the documents give one
number. https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ccrs_core import NS_PER_MS, Budget, Market, Pool, PoolLeft, Request

Pools = Callable[[Request[Any]], Pool | None]

_FAMILIES = {
    Market.LINEAR: "contracts",
    Market.INVERSE: "contracts",
    Market.SPOT: "spot",
    Market.OPTION: "options",
}


def shared(call: str, amount: int) -> Pool:
    """The budget of a call, whatever the market."""
    return Pool(call, Budget(amount=amount, seconds=1.0), per_account=True)


def by_market(call: str, contracts: int, spot: int, options: int) -> Pools:
    """The budgets of a call that has one for each kind of market."""
    amounts = {"contracts": contracts, "spot": spot, "options": options}
    pools = {family: shared(f"{call} {family}", amount) for family, amount in amounts.items()}

    def of(request: Request[Any]) -> Pool | None:
        market = request.market
        return None if market is None else pools[_FAMILIES[market]]

    return of


def orders_of_batch(request: Any) -> int:
    """What a batch costs: of options it is one request, else each order counts.

    https://bybit-exchange.github.io/docs/v5/rate-limit#instructions-for-batch-endpoints
    """
    return 1 if request.market is Market.OPTION else len(request.items)


def pools_left(headers: Mapping[str, str]) -> Sequence[PoolLeft]:
    """What an answer says of the budget that it was asked from."""
    try:
        left = int(headers["x-bapi-limit-status"])
        of = int(headers["x-bapi-limit"])
    except (KeyError, TypeError, ValueError):
        return ()
    if left < 0 or of < 1:
        return ()
    return (PoolLeft(left=left, of=of, resets_ns=None if left else _reset(headers)),)


def _reset(headers: Mapping[str, str]) -> int | None:
    """When a budget that is used up is whole again; else it is the time of the answer."""
    try:
        return int(headers["x-bapi-limit-reset-timestamp"]) * NS_PER_MS
    except (KeyError, TypeError, ValueError):
        return None
