"""What the declared budgets let leave: those of hosts and of pools, each with all its limits."""

from __future__ import annotations

import math
from typing import Any

import attrs

from ccrs_core.contract.budgets import Budget, Pool
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, Request
from ccrs_core.transport.limits import Window


@attrs.frozen(kw_only=True)
class Question:
    """A page of a request, and what it costs."""

    request: Request[Any]
    http: HttpRequest
    address: str
    host: str
    """The name of the budget of its address (``Exchange.rest_pool``)."""
    weight: int
    budget: Budget
    pool: Pool | None
    pool_weight: int = 1

    @property
    def limits(self) -> tuple[Budget, ...]:
        """Each limit that it is held by, in times that it may be asked."""
        weighed = [attrs.evolve(each, amount=max(1, each.amount // self.weight), also=())
                   for each in self.budget.all]  # fmt: skip
        return *weighed, *(attrs.evolve(each, also=()) for each in self._own)

    @property
    def most(self) -> int:
        """How often it may be asked in one moment."""
        return min(each.amount for each in self.limits)

    @property
    def told(self) -> str:
        """Its limits in words."""
        return ", ".join(f"{each.amount} in {each.seconds:g} s" for each in self.limits)

    @property
    def _own(self) -> tuple[Budget, ...]:
        return () if self.pool is None else self.pool.budget.all


def question(exchange: Exchange, request: Request[Any], cursor: str | None = None) -> Question:
    """A page of a request, as an exchange declares it."""
    endpoint = exchange.endpoints[type(request)]
    http = endpoint.encode(request, cursor)
    address = exchange.rest_address(http)
    host = exchange.rest_pool(address)
    return Question(
        request=request,
        http=http,
        address=address,
        host=host,
        weight=endpoint.weight_of(request, cursor),
        budget=exchange.rest_budget(host),
        pool=endpoint.pool_of(request),
        pool_weight=endpoint.pool_weight_of(request),
    )


def most_within(limit: Budget, seconds: float) -> int:
    """The most that one limit lets leave in any so many seconds."""
    return max(1, math.ceil(seconds / limit.seconds - 1e-9)) * limit.amount


class Allowance:
    """What one address may ask; time passes as ``seconds`` is set."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._hosts: dict[str, Window] = {}
        self._pools: dict[tuple[str, str], Window] = {}

    def monotonic(self) -> float:
        return self.seconds

    def time_ns(self) -> int:
        return round(self.seconds * 1e9)

    def take(self, asked: Question) -> float:
        """Spend what a question costs: 0.0; or the seconds until it may leave."""
        held = [(self._hosts.setdefault(asked.host, Window(asked.budget, self)), asked.weight)]
        if asked.pool is not None:
            key = asked.host, asked.pool.name
            held.append(
                (self._pools.setdefault(key, Window(asked.pool.budget, self)), asked.pool_weight)
            )
        wait = max(window.wait(weight) for window, weight in held)
        if not wait:
            for window, weight in held:
                window.take(weight)
        return wait


__all__ = ["Allowance", "Question", "most_within", "question"]
