"""Timers of disconnect protection, renewed before they run out: by requests that overtake others
and don't wait for the answers to those before them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

import attrs

from ccrs_core.contract.budgets import Pool
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.trading_requests import SetDeadMan
from ccrs_core.errors import (
    CcrsError,
    RateLimited,
    SettingUnchanged,
    UsageError,
    tells_refusal,
)
from ccrs_core.requests.requester import Requester
from ccrs_core.trading.context import AccountContext
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")

RENEWALS = 4
"""A timer is renewed so often within its time: two may be lost in a row."""
_TRIES, _PAUSE = 3, 0.5
"""How often it is set, or turned off, before that has failed; seconds in between."""
_LAST_WORDS = 5.0
"""Seconds that answers to renewals may take when it is to be turned off."""


@attrs.define(eq=False)
class _Timer:
    request: SetDeadMan
    renewed_at: float = float("-inf")
    """When the newest request left that the exchange has answered."""
    lapsed: bool = False
    under_way: list[asyncio.Task[None]] = attrs.field(factory=list)


class Timers:
    """Keeps timers of an exchange from running out, as long as this program runs.

    :param requests: what sets each.
    :param lapsed: told that one may have run out, so that orders may have been canceled.
    """

    def __init__(
        self,
        context: AccountContext,
        requests: Sequence[SetDeadMan],
        lapsed: Callable[[str], None],
    ) -> None:
        self._context = context
        self._timers = [_Timer(each) for each in requests]
        self._lapsed = lapsed
        self._loops: list[asyncio.Task[None]] = []
        self._unanswered_at = float("-inf")
        """When the newest request left of which nothing tells whether it was taken."""

    @property
    def armed(self) -> bool:
        """Whether all are running, as far as answers tell."""
        now = self._context.clock.monotonic()
        return all(now < each.renewed_at + each.request.seconds for each in self._timers)

    async def start(self) -> None:
        """Set all for the first time, and renew them from then on.

        :raises CcrsError: where one can't be set.
        """
        results = await asyncio.gather(
            *(self._surely(each, each.request) for each in self._timers), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self._loops = [self._context.spawn(self._renew(each)) for each in self._timers]

    async def stop(self, *, off: bool) -> None:
        """Renew no more; ``off``: and have the exchange forget them.

        :raises CcrsError: where one can't be turned off: it will fire.
        """
        for loop in self._loops:
            loop.cancel()
        self._loops.clear()
        under_way = [task for each in self._timers for task in each.under_way]
        if under_way:
            await asyncio.wait(under_way, timeout=_LAST_WORDS if off else 0.0)
        for task in under_way:
            task.cancel()
        if not off:
            return
        await self._turn_off()
        # A renewal that was lost may arrive after that, as long as its timestamp is good.
        context = self._context
        until = self._unanswered_at + context.trading.receive_window
        if (left := until - context.clock.monotonic()) > 0:
            await asyncio.sleep(left)
            await self._turn_off()

    async def _turn_off(self) -> None:
        off = [attrs.evolve(each.request, seconds=0.0) for each in self._timers]
        results = await asyncio.gather(
            *(self._surely(*of) for of in zip(self._timers, off, strict=True)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _surely(self, timer: _Timer, request: SetDeadMan) -> None:
        """Set it until the exchange says so: what is lost is sent again, which changes nothing."""
        pause = _PAUSE
        for left in reversed(range(_TRIES)):
            try:
                return await self._set(timer, request)
            except CcrsError as error:
                refused = tells_refusal(error) and not isinstance(error, RateLimited)
                if refused or not left or isinstance(error, UsageError):
                    raise
                log.info("disconnect protection is set again: %s", error)
            await asyncio.sleep(pause)
            pause *= 2
        return None

    async def _set(self, timer: _Timer, request: SetDeadMan) -> None:
        context = self._context
        left_at = float("-inf")

        def left(ns: int) -> None:
            nonlocal left_at
            left_at = context.clock.monotonic()

        answered = False
        try:
            await context.asks.once(
                request,
                via="rest",
                patience=timer.request.seconds,
                on_sent=left,
                priority=Priority.URGENT,
            )
            answered = True
        except SettingUnchanged:
            answered = True
        except CcrsError as error:
            answered = tells_refusal(error)
            raise
        finally:
            if not answered:
                self._unanswered_at = max(self._unanswered_at, left_at)
        if request.seconds:
            timer.renewed_at = max(timer.renewed_at, left_at)
            timer.lapsed = False

    async def _renew(self, timer: _Timer) -> None:
        every = timer.request.seconds / RENEWALS
        while True:
            await asyncio.sleep(every)
            late = self._context.clock.monotonic() - timer.renewed_at
            if late >= timer.request.seconds and not timer.lapsed:
                timer.lapsed = True
                self._lapsed(
                    f"protection was not renewed for {late:.0f} s, so that orders may have been "
                    "canceled by it"
                )
            timer.under_way = [each for each in timer.under_way if not each.done()]
            for old in timer.under_way[: 1 - RENEWALS]:
                old.cancel()  # its answer would be of no use any more
            timer.under_way.append(self._context.spawn(self._renewed(timer)))

    async def _renewed(self, timer: _Timer) -> None:
        try:
            await self._set(timer, timer.request)
        except CcrsError as error:
            log.warning("disconnect protection isn't renewed: %s", error)


def check_cost(
    exchange: Exchange, requester: Requester, requests: Sequence[SetDeadMan], most: float
) -> None:
    """Refuse timers whose renewals would take more than a share ``most`` of a budget that others
    spend, too, or more than there is of one of their own.

    :raises UsageError: which says how much they would take.
    """
    endpoint = requester.endpoint(requests[0])
    spent: dict[str, float] = defaultdict(float)
    """Of each budget, the share that renewals take."""
    alone: set[str] = set()
    for each in requests:
        times = RENEWALS / each.seconds / requester.turns.share
        limits, weight = requester.price(each)
        spent["requests"] += times * weight / limits.requests.budget.rate
        for pool in (endpoint.pool_of(each), endpoint.further_pool_of(each)):
            if pool is not None:
                spent[pool.name] += times * endpoint.pool_weight_of(each) / pool.budget.rate
                if _of_its_own(exchange, pool):
                    alone.add(pool.name)
    for name, share in spent.items():
        limit = 1.0 if name in alone else most
        if share > limit:
            raise UsageError(
                f"to renew {len(requests)} timers in time takes {share:.0%} of what "
                f"{exchange.name} allows of {name}, more than {limit:.0%}: let them wait for more "
                "seconds, protect less, or allow a larger share="
            )


def _of_its_own(exchange: Exchange, pool: Pool) -> bool:
    """Whether nothing but timers spends of a pool, as far as can be told."""
    if pool.alone:
        return True
    others = [each for kind, each in exchange.endpoints.items() if kind is not SetDeadMan]
    return all(
        not callable(own) and (own is None or own.name != pool.name)
        for each in others
        for own in (each.pool, each.also)
    )
