"""Disconnect protection: the exchange cancels open orders once it hasn't heard of this program for
some seconds. It is claimed only where the exchange says that it is in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from types import TracebackType
from typing import Self

from ccrs_core.contract.trading import DeadMan, DeadManKind
from ccrs_core.contract.trading_requests import GetDeadMan, SetDeadMan
from ccrs_core.errors import (
    AccountUnsupported,
    CcrsError,
    ExchangeError,
    OutcomeUnknown,
    SettingUnchanged,
    Unsupported,
    UsageError,
)
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.trading.parts import Parts

log = logging.getLogger("ccrs.account")

_ACKNOWLEDGED_WITHIN = 10.0
"""Seconds in which the exchange accepts what its protection goes by."""
_LOOK_AGAIN = 0.5
_RENEWALS = 3
"""A timer is renewed so often within its time."""


class DeadManSwitch:
    """Disconnect protection of an account's open orders; made by ``account.dead_man(…)``, used in
    ``async with``. In force from the moment in which that is entered; :attr:`covers` and
    :attr:`spares` tell what it does and what not."""

    def __init__(
        self, parts: Parts, seconds: float, markets: Collection[Market | str] | None
    ) -> None:
        declared = parts.context.trading.dead_man
        if declared is None:
            raise Unsupported(f"{parts.exchange} has no disconnect protection")
        wanted = declared.markets if markets is None else frozenset(map(Market, markets))
        if not wanted or not wanted <= declared.markets:
            shown = ", ".join(sorted(m.value for m in declared.markets))
            raise Unsupported(f"{parts.exchange} has disconnect protection of {shown} orders alone")
        if not declared.shortest <= seconds <= declared.longest:
            raise UsageError(
                f"{parts.exchange}'s protection waits for {declared.shortest:g} to "
                f"{declared.longest:g} seconds, not for {seconds!r:.100}"
            )
        self.seconds = seconds
        """After so many seconds without this program orders are canceled."""
        self.markets = wanted
        """Whose orders it is about."""
        self._parts = parts
        self._declared: DeadMan = declared
        self._subscriptions: list[Subscription] = []
        self._renewing: asyncio.Task[None] | None = None
        self._renewed_at = float("-inf")

    @property
    def covers(self) -> str:
        """Which orders it cancels, for people."""
        return self._declared.covers

    @property
    def spares(self) -> str:
        """What it doesn't cancel, and what can keep it from firing, for people."""
        return self._declared.spares

    @property
    def armed(self) -> bool:
        """Whether the exchange would notice the end of this program now."""
        if self._declared.kind is DeadManKind.TIMER:
            return self._parts.clock.monotonic() < self._renewed_at + self.seconds
        try:
            acknowledged = self._parts.streams.acknowledged
            return bool(self._subscriptions) and all(map(acknowledged, self._subscriptions))
        except CcrsError:
            return False

    async def __aenter__(self) -> Self:
        """Set it, and see that it is in force.

        :raises AccountUnsupported: where it isn't, in one line.
        :raises CcrsError: where that can't be found out; then nothing is claimed.
        """
        self._parts.check_alive()
        try:
            for market in sorted(self.markets):
                await self._first(market)
            await self._arm()
            for market in sorted(self.markets):
                await self._see(market)
        except BaseException:
            self._disarm()
            raise
        log.info(
            "account %s: after %g s without this program these are canceled: %s; not: %s",
            *(self._parts.context.name, self.seconds, self.covers, self.spares),
        )
        return self

    async def _first(self, market: Market) -> None:
        try:
            await self._set(market, self.seconds)
        except ExchangeError as error:
            if error.retryable:
                raise
            name = self._parts.exchange
            text = f"no disconnect protection of {market.value} orders: {name} says {error}"
            raise AccountUnsupported(text) from error

    async def _set(self, market: Market, seconds: float) -> None:
        try:
            await self._parts.context.asks.once(SetDeadMan(market=market, seconds=seconds))
        except SettingUnchanged:
            pass
        except OutcomeUnknown as error:
            log.info("whether protection was set isn't known, and is looked up: %s", error)
        self._renewed_at = self._parts.clock.monotonic()

    async def _arm(self) -> None:
        """Have the exchange notice the end of this program."""
        parts = self._parts
        if self._declared.kind is DeadManKind.TIMER:
            self._renewing = parts.spawn(self._renew())
            return
        for market in sorted(self.markets):
            self._subscriptions.append(parts.streams.add(Channel.DEAD_MAN, market))
        until = parts.clock.monotonic() + _ACKNOWLEDGED_WITHIN
        while not all(map(parts.streams.acknowledged, self._subscriptions)):
            if parts.clock.monotonic() >= until:
                raise AccountUnsupported(
                    f"no disconnect protection: {parts.exchange} hasn't accepted what it goes by "
                    f"within {_ACKNOWLEDGED_WITHIN:g} s ({parts.streams.trouble})"
                )
            await asyncio.sleep(0.05)

    async def _see(self, market: Market) -> None:
        """:raises AccountUnsupported: where the exchange says that it isn't in force."""
        parts = self._parts
        until = parts.clock.monotonic() + self._declared.takes_effect_after + 2.0
        while True:
            seconds = await parts.context.asks.read(GetDeadMan(market))
            if seconds == self.seconds:
                return
            if parts.clock.monotonic() >= until:
                found = "none is in force" if seconds is None else f"{seconds:g} s are in force"
                raise AccountUnsupported(
                    f"no disconnect protection of {market.value} orders after {self.seconds:g} s: "
                    f"{parts.exchange} says that {found}"
                )
            await asyncio.sleep(_LOOK_AGAIN)

    async def _renew(self) -> None:
        """Renew the timer, well before its time is over."""
        while True:
            await asyncio.sleep(self.seconds / _RENEWALS)
            for market in sorted(self.markets):
                before = self._renewed_at
                try:
                    await self._set(market, self.seconds)
                except CcrsError as error:
                    self._renewed_at = before
                    log.warning("disconnect protection isn't renewed: %s", error)

    def _disarm(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        for each in self._subscriptions:
            self._parts.streams.drop(each)
        self._subscriptions.clear()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()
        if self._declared.kind is DeadManKind.TIMER and self._parts.failure is None:
            for market in sorted(self.markets):
                await self._set(market, 0.0)


__all__ = ["DeadManSwitch"]
