"""Cases at the emulated OKX; :mod:`tests.account_cases` says what every case ends in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from ccrs_core.conformance.workbench.account_world import NAME
from ccrs_core.conformance.workbench.subject import Subject
from tests import account_cases
from tests.account_cases import AccountCase
from tests.account_scenarios import Calls, Scenario

PLACE, CANCEL = "/api/v5/trade/order", "/api/v5/trade/cancel-order"
CALLS = Calls(
    place=PLACE,
    cancel=CANCEL,
    orders="/api/v5/trade/order*",
    fills="/api/v5/trade/fills*",
    positions="/api/v5/account/positions",
    balances="/api/v5/account/balance",
    any="/api/v5/*",
    limited=50011,
)


@cache
def subject() -> Subject:
    return Subject("okx")


class Case(AccountCase):
    """One case: the exchange, and a client's account there. ``life`` is the process of now."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(subject(), **settings)
        self.most_requests = 500

    @property
    def trading(self) -> Any:
        """What the emulated exchange does for accounts."""
        return self.venue.dialect.trading  # type: ignore[attr-defined]

    def changes_pushes(
        self, change: Callable[[dict[str, Any]], dict[str, Any] | None], channel: str = "orders"
    ) -> None:
        """Let rows of a channel be told as ``change`` makes them; None: not at all."""
        for feed in self.trading.feeds._feeds[NAME].values():
            if feed.channel == channel:
                _change(feed, change)


def _change(feed: Any, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    tell = feed.tell

    def told(row: dict[str, Any], now_ns: int) -> None:
        changed = change(row)
        if changed is not None:
            tell(changed, now_ns)

    feed.tell = told


def play(scenario: Callable[[Case], Awaitable[None]], **settings: Any) -> None:
    """One case from the start of its client to the checks."""
    account_cases.play(Case(**settings), scenario)


def alike(scenario: Scenario, **settings: Any) -> None:
    """A case that is alike on all exchanges."""
    play(lambda case: scenario(case, CALLS), **settings)
