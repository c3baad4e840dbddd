"""The suite counts each budget that a question is held by, and takes none for more than it is."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import pytest
from ccrs_okx import Okx
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.conformance import ConformanceSuite, Profile, Subject
from ccrs_core.conformance.workbench.allowance import Allowance, question
from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import (
    Endpoint,
    GetActivity,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    Request,
)

Endpoints = Mapping[type[Request[Any]], Endpoint[Any, Any]]
_PLENTY = Limits(connects=Okx.limits.connects, requests=Budget(amount=1200, seconds=60.0))
# What OKX allows of each kind in two seconds.
_OF_KIND: dict[type[Request[Any]], tuple[str, int]] = {
    GetServerTime: ("time", 10),
    GetInstruments: ("instruments", 5),
    GetTopOfBook: ("books", 40),
    GetBook: ("books", 40),
    GetTrades: ("trades", 100),
    GetActivity: ("activity", 20),
    GetCandles: ("candles", 20),
    GetFundingHistory: ("fundings", 10),
}


def _pools(**larger: int) -> Endpoints:
    return {
        kind: attrs.evolve(
            Okx.endpoints[kind],
            weight=1,
            page_weight=None,
            pool=Pool(name, Budget(amount=larger.get(name, amount), seconds=2.0)),
        )
        for kind, (name, amount) in _OF_KIND.items()
    }


class PoolForEachKind(Okx):
    """What is allowed of each kind is in its pool, not in its weight."""

    limits: ClassVar[Limits] = _PLENTY
    endpoints: ClassVar[Endpoints] = _pools()


class LimitsNested(Okx):
    """Beside the limit of a minute stands that of two seconds."""

    limits: ClassVar[Limits] = attrs.evolve(
        _PLENTY, requests=attrs.evolve(_PLENTY.requests, also=(Okx.limits.requests,))
    )


class PoolTooLarge(Okx):
    """The pool of one kind has more in it than the exchange allows."""

    limits: ClassVar[Limits] = _PLENTY
    endpoints: ClassVar[Endpoints] = _pools(time=11)


class PagesInTooLargeAPool(Okx):
    """The pool of what comes in pages has more in it than the exchange allows."""

    limits: ClassVar[Limits] = _PLENTY
    endpoints: ClassVar[Endpoints] = _pools(fundings=12)


class NestedTooLarge(Okx):
    """No limit of those that stand beside each other is as narrow as the exchange's."""

    limits: ClassVar[Limits] = attrs.evolve(
        _PLENTY,
        requests=attrs.evolve(_PLENTY.requests, also=(Budget(amount=44, seconds=2.0),)),
    )


class HourTakenForEnough(Okx):
    """The second limit is wider than the first."""

    limits: ClassVar[Limits] = attrs.evolve(
        _PLENTY,
        requests=attrs.evolve(_PLENTY.requests, also=(Budget(amount=5000, seconds=3600.0),)),
    )


for _each in (PoolForEachKind, LimitsNested, PoolTooLarge, PagesInTooLargeAPool, NestedTooLarge,
              HourTakenForEnough):  # fmt: skip
    _each.__module__ = "ccrs_okx"  # where its facts are

LIMITS = "test_declared_limits_are_within_the_documented_ones"
COSTS = "test_further_pages_cost_what_is_said"
TAKEN = "test_the_declared_budgets_are_within_the_exchanges"
SPEED = "test_full_speed_over_several_windows_is_never_refused"


def _judge(exchange: type[Exchange], name: str) -> None:
    suite: Any = ConformanceSuite()
    with contextlib.suppress(pytest.skip.Exception):
        getattr(suite, name)(Subject(exchange, profile=Profile.QUICK))


@pytest.mark.parametrize("name", [LIMITS, COSTS, TAKEN, SPEED])
@pytest.mark.parametrize("exchange", [PoolForEachKind, LimitsNested])
def test_budgets_that_hold_together_are_enough(exchange: type[Exchange], name: str) -> None:
    _judge(exchange, name)


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        (PoolTooLarge, LIMITS),
        (PoolTooLarge, TAKEN),
        (PoolTooLarge, SPEED),
        (PagesInTooLargeAPool, COSTS),
        (NestedTooLarge, LIMITS),
        (NestedTooLarge, TAKEN),
        (NestedTooLarge, SPEED),
        (HourTakenForEnough, LIMITS),
        (HourTakenForEnough, TAKEN),
        (HourTakenForEnough, COSTS),
    ],
)
def test_a_budget_that_lets_too_much_leave_fails(exchange: type[Exchange], name: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        _judge(exchange, name)


_BUDGETS = st.builds(
    Budget,
    amount=st.integers(1, 12),
    seconds=st.sampled_from([0.5, 1.0, 7.0]),
    also=st.lists(
        st.builds(Budget, amount=st.integers(1, 12), seconds=st.sampled_from([0.25, 3.0])),
        max_size=2,
    ).map(tuple),
)


@given(_BUDGETS, st.none() | _BUDGETS, st.integers(1, 3))
def test_what_may_leave_at_full_speed_is_the_most_that_every_limit_lets_leave(
    host: Budget, own: Budget | None, weight: int
) -> None:
    class Held(Okx):
        limits: ClassVar[Limits] = Limits(requests=host)
        endpoints: ClassVar[Endpoints] = {
            GetServerTime: attrs.evolve(
                Okx.endpoints[GetServerTime],
                weight=weight,
                pool=None if own is None else Pool("own", own),
            )
        }

    asked, allowance, times = question(Held(), GetServerTime()), Allowance(), list[float]()
    while len(times) < 60:
        if wait := allowance.take(asked):
            allowance.seconds += wait
        else:
            times.append(allowance.seconds)
    for limit in asked.limits:
        # What is heavier than a limit leaves alone.
        amount = max(1, limit.amount)
        for first, last in zip(times, times[amount:], strict=False):
            assert last - first >= limit.seconds - 1e-6
    at_once = times.count(0.0)
    assert at_once == max(1, asked.most)
