"""When a request may leave: its turn in the budgets of its address and of its account."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import attrs

from ccrs_core.contract.accounts import Account
from ccrs_core.contract.budgets import Pool
from ccrs_core.contract.rest import Endpoint, HttpResponse, Request
from ccrs_core.errors import CcrsError, RateLimited
from ccrs_core.model.accounts import BudgetLeft
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.account_limits import AccountLimits, AccountWindow
from ccrs_core.transport.context import Context
from ccrs_core.transport.gate import Budgeted, Grants, Priority, gate
from ccrs_core.transport.limits import HostLimits

log = logging.getLogger("ccrs.requests")

RESERVED = 0.1
"""The part of an address's budget that is kept for what is urgent, where that may come."""

_BARRED = frozenset({403, 418, 429})
"""HTTP statuses of a rate limit that concern the host, not one kind of request alone."""
_UNKNOWN_PAUSE = 60.0
"""Pause (s) of a host after one of them that doesn't say how long it lasts."""


@attrs.frozen(kw_only=True)
class Turn:
    """A request that may leave now. It is either answered or given back, once."""

    limits: HostLimits | None
    """Of its address; None where it goes over a socket that has a budget of its own."""
    pool: AccountWindow | None
    """Of its account, where it spends of one."""
    grants: Grants

    def answered(self) -> None:
        """It has been answered, or won't be."""
        self.grants.answered()

    def give_back(self) -> None:
        """It hasn't left, and won't."""
        self.grants.give_back()


class Turns:
    """The turns of an account's requests (None: of those that are asked for none).

    :param share: of the budgets, where other processes spend the rest.
    """

    def __init__(self, context: Context, account: Account | None, share: float = 1.0) -> None:
        self._context = context
        self._account = account
        self.share = share
        self._trades = account is not None and any(
            each.urgent for each in context.exchange.endpoints.values()
        )
        self._used: dict[str, HostLimits] = {}
        """Budgets of the addresses that were asked, by name."""

    @property
    def paused(self) -> float:
        """Seconds for which an address that was asked has asked for a pause."""
        return max((limits.paused for limits in self._used.values()), default=0.0)

    @cached_property
    def _own(self) -> AccountLimits | None:
        account = self._account
        return None if account is None else self._context.account_limits(account.credentials.key)

    def _pool(self, pool: Pool) -> AccountWindow | None:
        own = self._own
        return own.pool(pool) if pool.per_account and own is not None else None

    async def at(
        self,
        name: str,
        endpoint: Endpoint[Any, Any],
        request: Request[Any],
        cursor: str | None = None,
        *,
        share: float = 1.0,
        priority: Priority | None = None,
        patience: float | None = None,
    ) -> Turn:
        """Wait until a page of a request may leave for the address of a name.

        :raises RateLimited: where budgets or exchange let none leave within ``patience`` seconds.
        """
        limits = self._used[name] = self._context.rest(name)[1]
        if self._trades:
            limits.requests.reserved = RESERVED
        wants: list[tuple[Budgeted, int]] = []
        pool, window = endpoint.pool_of(request), None
        if pool is not None:
            window = self._pool(pool)
            own = limits.pool(pool) if window is None else window
            wants.append((own, endpoint.pool_weight_of(request)))
        wants += self._further(endpoint, request)
        wants.append((limits.requests, endpoint.weight_of(request, cursor)))
        grants = await gate().enter(
            wants,
            priority=_priority(endpoint, priority),
            share=share * self.share,
            hold=lambda: self._hold(limits),
            patience=patience,
        )
        return Turn(limits=limits, pool=window, grants=grants)

    async def on_socket(
        self,
        endpoint: Endpoint[Any, Any],
        request: Request[Any],
        *,
        priority: Priority | None = None,
        patience: float | None = None,
    ) -> Turn:
        """Wait until a request may leave over a socket, by the account's budgets alone.

        :raises RateLimited: as for :meth:`at`.
        """
        pool = endpoint.pool_of(request)
        window = None if pool is None else self._pool(pool)
        wants: list[tuple[Budgeted, int]] = []
        if window is not None:
            wants.append((window, endpoint.pool_weight_of(request)))
        wants += self._further(endpoint, request)
        grants = await gate().enter(
            wants,
            priority=_priority(endpoint, priority),
            share=self.share,
            patience=patience,
        )
        return Turn(limits=None, pool=window, grants=grants)

    def most_at_once(self, endpoint: Endpoint[Any, Any], request: Request[Any]) -> int | None:
        """How heavy a request may be, so that its pools take it at once; None: it spends of none.
        What is heavier they let pass once they are empty, and the exchange refuses a part of it."""
        found: list[int] = []
        for pool in (endpoint.pool_of(request), endpoint.further_pool_of(request)):
            if pool is not None:
                window = self._pool(pool)
                budgets = pool.budget.all
                amounts = [b.amount for b in budgets] if window is None else window.amounts
                kept = 0 if endpoint.urgent else pool.reserved
                found += (max(min(a - kept, int(a * self.share)), 1) for a in amounts)
        return min(found, default=None)

    def _further(
        self, endpoint: Endpoint[Any, Any], request: Request[Any]
    ) -> list[tuple[Budgeted, int]]:
        """What it spends of the account's besides."""
        pool = endpoint.further_pool_of(request)
        window = None if pool is None else self._pool(pool)
        return [] if window is None else [(window, endpoint.pool_weight_of(request))]

    def _hold(self, limits: HostLimits) -> float:
        """Seconds that requests must wait because the host has asked for a pause.

        :raises RateLimited: where they are more than the caller has patience for.
        """
        left = limits.paused
        if left > self._context.options.request_patience:
            text = f"no requests go there for another {left:.0f} s, until {self._at(left)}, since "
            text += "it refused one for asking too much"
            raise RateLimited("", text, left)
        return left

    def told(self, turn: Turn, request: Request[Any], headers: Mapping[str, str]) -> None:
        """Note what an answer says of what is left."""
        own = self._own
        if own is None:
            return
        for left in self._context.exchange.pools_left(request, headers):
            window = turn.pool
            if left.pool and (window is None or left.pool != window.pool.name):
                window = next((each for each in own.pools if each.pool.name == left.pool), None)
            if window is not None:
                grant = turn.grants.of(0) if window is turn.pool else None
                window.told(grant, left, self._seconds_to(left.resets_ns))

    def _seconds_to(self, exchange_ns: int | None) -> float | None:
        if exchange_ns is None:
            return None
        return (exchange_ns - self._context.now_ns()) / NS_PER_SECOND

    def refused(self, turn: Turn, refusal: CcrsError, response: HttpResponse | None) -> None:
        """Pause what a refusal is about, for everybody in the process: the pool of a request, or
        its whole address."""
        if not isinstance(refusal, RateLimited):
            return
        pause, barred = refusal.retry_after, response is not None and response.status in _BARRED
        if turn.pool is not None and not barred:
            turn.pool.pause(pause)
        elif turn.limits is not None:
            if pause is None and barred:
                pause = _UNKNOWN_PAUSE
            if pause is not None:
                self._warn(turn.limits.paused, pause, refusal)
                turn.limits.pause(pause)

    def _warn(self, paused: float, pause: float, refusal: CcrsError) -> None:
        """Tell of a long pause, once, though many may be refused at its beginning."""
        if pause > paused + 1.0 and pause > self._context.options.request_patience:
            text = "%s: no requests leave for %.0f s, until %s, since one was refused: %s"
            log.warning(text, self._context.exchange.name, pause, self._at(pause), refusal)

    def _at(self, seconds: float) -> str:
        """The time in so many seconds, for people."""
        at = self._context.clock.time_ns() // NS_PER_SECOND + round(seconds)
        return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"

    def left(self) -> list[BudgetLeft]:
        """What is left of each budget: the account's pools, as far as they are declared or were
        spent from, then addresses that were asked."""
        own = self._own
        for endpoint in self._context.exchange.endpoints.values():
            if isinstance(endpoint.pool, Pool):
                self._pool(endpoint.pool)
        found = [] if own is None else [each.left(self.share) for each in own.pools]
        for name, limits in self._used.items():
            window, budget = limits.requests, limits.requests.budget
            wait = max(limits.paused, window.room(1, self.share, Priority.NORMAL))
            kept = int(budget.amount * window.reserved)
            found.append(BudgetLeft(name, window.left, budget.amount, budget.seconds, kept, wait))
        return found


def _priority(endpoint: Endpoint[Any, Any], asked: Priority | None) -> Priority:
    if asked is not None:
        return asked
    return Priority.URGENT if endpoint.urgent else Priority.NORMAL


__all__ = ["Turn", "Turns"]
