"""Cases at the emulated OKX; :mod:`tests.account_cases` says what every case ends in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from ccrs_core import HttpRequest
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
        self, change: Callable[[dict[str, Any]], list[dict[str, Any]]], channel: str = "orders"
    ) -> None:
        """Let rows of a channel be told as ``change`` makes them: none, one or several of each."""
        for feed in self.trading.feeds._feeds[NAME].values():
            if feed.channel == channel:
                _change(feed, change)

    def sent(self, path: str) -> list[HttpRequest]:
        """What was to change something there: orders are asked for where they are placed."""
        return [each for each in super().sent(path) if each.method == "POST"]

    def asked(self, path: str) -> list[HttpRequest]:
        """The questions of a path that have left."""
        return [each for each in super().sent(path) if each.method == "GET"]

    def bodies(self, path: str = PLACE) -> list[Any]:
        """What was sent to a path."""
        return [json.loads(each.body) for each in self.sent(path)]

    def said(self) -> list[str]:
        """What this life has written on its sockets."""
        return [str(text) for _, _, text in self.life.tap.sent]


def _change(feed: Any, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
    tell = feed.tell

    def told(row: dict[str, Any], now_ns: int) -> None:
        for each in change(row):
            tell(each, now_ns)

    feed.tell = told


def play(scenario: Callable[[Case], Awaitable[None]], **settings: Any) -> None:
    """One case from the start of its client to the checks."""
    account_cases.play(Case(**settings), scenario)


def alike(scenario: Scenario, **settings: Any) -> None:
    """A case that is alike on all exchanges."""
    play(lambda case: scenario(case, CALLS), **settings)
