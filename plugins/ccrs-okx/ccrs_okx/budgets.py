"""What OKX allows each account of each call, in two seconds.

Placements, amendments and cancels are counted by instrument, of options by family, each apart and
apart from batches, by HTTP and by socket together; and all that places or amends contracts by
account. https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ccrs_core import Budget, Instrument, Market, Pool, Request
from ccrs_okx.fields import family_of

Pools = Callable[[Any], Pool | None]

WINDOW = 2.0


@cache
def shared(call: str, amount: int, seconds: float = WINDOW) -> Pool:
    """The budget of a call, whatever it is about."""
    return Pool(call, Budget(amount=amount, seconds=seconds), per_account=True)


def by_instrument(call: str, amount: int) -> Pools:
    """The budgets of a call that has one for each instrument."""

    def of(request: Any) -> Pool:
        first = request.items[0] if hasattr(request, "items") else request
        return shared(f"{call} {_counted(first.instrument)}", amount)

    return of


def _counted(instrument: Instrument) -> str:
    return family_of(instrument) if instrument.market is Market.OPTION else instrument.native


ACCOUNT = shared("all orders of contracts", 1000)
"""What an account may place and amend of contracts and options in all: more of those who trade a
good part of what they place.

https://www.okx.com/docs-v5/en/#overview-rate-limits-sub-account-rate-limit
"""


def of_account(request: Request[Any]) -> Pool | None:
    """The budget of all placements and amendments, which spot isn't counted in."""
    return None if request.market is Market.SPOT else ACCOUNT


def orders_of(request: Any) -> int:
    """How many orders a batch has: each counts."""
    return len(request.items)
