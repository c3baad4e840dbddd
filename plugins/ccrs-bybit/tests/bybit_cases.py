"""Cases at the emulated Bybit; :mod:`tests.account_cases` says what every case ends in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from ccrs_core.conformance.workbench.account_world import NAME
from ccrs_core.conformance.workbench.subject import Subject
from tests import account_cases
from tests.account_cases import AccountCase, Said, told
from tests.account_scenarios import Calls, Scenario

__all__ = ["CALLS", "Case", "Said", "alike", "play", "subject", "told"]

CALLS = Calls(
    place="/v5/order/create",
    cancel="/v5/order/cancel",
    orders="/v5/order/*",
    fills="/v5/execution/*",
    positions="/v5/position/list",
    balances="/v5/account/wallet-balance",
    any="/v5/*",
    limited=10006,
)


@cache
def subject() -> Subject:
    return Subject("bybit")


class Case(AccountCase):
    """One case: the exchange, and a client's account there. ``life`` is the process of now."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(subject(), **settings)

    def slow_topic(self, topic: str, seconds: float) -> None:
        """What a private topic tells comes so much later; others aren't held up by it."""
        feed = self.venue.dialect.trading.feed(NAME, topic)  # type: ignore[attr-defined]
        tell = feed.tell

        def later(row: dict[str, Any], now_ns: int) -> None:
            self.venue.at(now_ns + round(seconds * 1e9), lambda now_ns: tell(row, now_ns))

        feed.tell = later


def play(scenario: Callable[[Case], Awaitable[None]], **settings: Any) -> None:
    """One case from the start of its client to the checks."""
    account_cases.play(Case(**settings), scenario)


def alike(scenario: Scenario, **settings: Any) -> None:
    """A case that is alike on all exchanges."""
    play(lambda case: scenario(case, CALLS), **settings)
