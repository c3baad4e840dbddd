"""Disconnect protection: the exchange cancels open orders once it hasn't heard of this program for
some seconds. It is claimed only where the exchange says that it is in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from types import TracebackType
from typing import Self

from ccrs_core.contract.trading import DeadMan, DeadManKind, DeadManScope
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
from ccrs_core.trading.timers import Timers, check_cost

log = logging.getLogger("ccrs.account")

_ACKNOWLEDGED_WITHIN = 10.0
"""Seconds in which the exchange accepts what its protection goes by."""
_LOOK_AGAIN = 0.5
_GIVING_UP = 15.0
"""Seconds for which what isn't claimed is tried to be turned off."""


class DeadManSwitch:
    """Disconnect protection of an account's open orders; made by ``account.dead_man(…)``, used in
    ``async with``. In force from the moment in which that is entered; :attr:`covers` and
    :attr:`spares` tell what it does and what not.

    A block that ends as usual turns it off. One that ends by an exception, being cancelled too,
    leaves it in force: orders are canceled after :attr:`seconds`, unless it is entered again.
    """

    def __init__(
        self,
        parts: Parts,
        seconds: float,
        markets: Collection[Market | str] | None = None,
        symbols: Collection[str] | None = None,
        everything: bool = False,
        share: float = 0.1,
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
        if not 0 < share <= 1:
            raise UsageError(f"share must be above 0 and at most 1, not {share!r:.100}")
        _check_scope(parts.exchange, declared, wanted, symbols)
        self.seconds = seconds
        """After so many seconds without this program orders are canceled."""
        self.markets = wanted
        """Whose orders it is about."""
        self.symbols = frozenset(symbols or ())
        """Whose orders it is about, where it is of single instruments; empty: of whole markets."""
        self.everything = everything or not declared.own
        """Whether orders of other programs are canceled, too."""
        self._share = share
        self._parts = parts
        self._declared: DeadMan = declared
        self._subscriptions: list[Subscription] = []
        self._timers: Timers | None = None

    @property
    def covers(self) -> str:
        """Which orders it cancels, for people."""
        declared = self._declared
        covers = declared.covers
        if declared.own and self.everything:
            covers = declared.covers_everything or covers
        return f"{covers}: of {', '.join(sorted(self.symbols))}" if self.symbols else covers

    @property
    def spares(self) -> str:
        """What it doesn't cancel, and what can keep it from firing, for people."""
        spares = self._declared.spares
        if self.symbols:
            spares += "; orders of other symbols"
        if self._declared.kind is DeadManKind.TIMER:
            spares += ". Another program that renews the same timer keeps it from firing"
        return spares

    @property
    def armed(self) -> bool:
        """Whether the exchange would notice the end of this program now."""
        if self._declared.kind is DeadManKind.TIMER:
            return self._timers is not None and self._timers.armed
        try:
            acknowledged = self._parts.streams.acknowledged
            return bool(self._subscriptions) and all(map(acknowledged, self._subscriptions))
        except CcrsError:
            return False

    async def __aenter__(self) -> Self:
        """Set it, and see that it is in force.

        :raises AccountUnsupported: where it isn't, in one line.
        :raises UsageError: where renewing its timers would take more than ``share`` of a budget;
            nothing was sent.
        :raises CcrsError: where that can't be found out; then nothing is claimed.
        """
        self._parts.check_alive()
        requests = await self._requests()
        try:
            if self._declared.kind is DeadManKind.TIMER:
                await self._start(requests)
            else:
                for each in requests:
                    await self._set(each)
                await self._listen()
            timer = self._declared.kind is DeadManKind.TIMER
            if not timer or GetDeadMan in self._parts.context.exchange.endpoints:
                for market in sorted(self.markets):
                    await self._see(market)
        except BaseException:
            await self._give_up()
            raise
        log.info(
            "account %s: after %g s without this program these are canceled: %s; not: %s",
            *(self._parts.context.name, self.seconds, self.covers, self.spares),
        )
        return self

    async def _requests(self) -> list[SetDeadMan]:
        """What sets it."""
        how = {"seconds": self.seconds, "everything": self.everything}
        match self._declared.scope:
            case DeadManScope.ACCOUNT:
                return [SetDeadMan(market=None, **how)]  # type: ignore[arg-type]
            case DeadManScope.MARKET:
                return [SetDeadMan(market=each, **how) for each in sorted(self.markets)]  # type: ignore[arg-type]
        found = [await self._parts.context.instruments.find(s) for s in sorted(self.symbols)]
        for each in found:
            if each.market not in self.markets:
                name = self._parts.exchange
                raise Unsupported(f"{name} has no disconnect protection of {each.symbol}")
        return [SetDeadMan(market=i.market, instrument=i, **how) for i in found]  # type: ignore[arg-type]

    async def _start(self, requests: list[SetDeadMan]) -> None:
        parts = self._parts
        check_cost(parts.context.exchange, parts.requester, requests, self._share)
        self._timers = Timers(parts.context, requests, self._lapsed)
        try:
            await self._timers.start()
        except ExchangeError as error:
            raise self._refused(error, "") from error

    def _refused(self, error: ExchangeError, of: str) -> CcrsError:
        if error.retryable or isinstance(error, OutcomeUnknown):
            return error
        text = f"no disconnect protection{of}: {self._parts.exchange} says {error}"
        return AccountUnsupported(text)

    def _lapsed(self, why: str) -> None:
        log.warning("account %s: %s", self._parts.context.name, why)
        self._parts.upkeep.missed(why)

    async def _set(self, request: SetDeadMan) -> None:
        try:
            await self._parts.context.asks.once(request)
        except SettingUnchanged:
            pass
        except OutcomeUnknown as error:
            log.info("whether protection was set isn't known, and is looked up: %s", error)
        except ExchangeError as error:
            of = f" of {request.market.value} orders" if request.market is not None else ""
            raise self._refused(error, of) from error

    async def _listen(self) -> None:
        """Have the exchange notice the end of this program's connection."""
        parts = self._parts
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

    # --- the end ---

    async def _give_up(self) -> None:
        """It isn't claimed, so nothing is to fire by it either."""
        self._drop()
        timers, self._timers = self._timers, None
        if timers is not None:
            try:
                async with asyncio.timeout(_GIVING_UP):
                    await timers.stop(off=True)
            except (CcrsError, TimeoutError) as error:
                log.warning("disconnect protection may be in force, and will fire: %r", error)

    def _drop(self) -> None:
        for each in self._subscriptions:
            self._parts.streams.drop(each)
        self._subscriptions.clear()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """:raises CcrsError: where its timer can't be turned off: it will fire."""
        timers, self._timers = self._timers, None
        off = kind is None and self._parts.failure is None
        if off:
            self._drop()
        else:
            log.warning(
                "account %s: disconnect protection is left in force: orders are canceled after "
                "%g s, unless it is renewed",
                *(self._parts.context.name, self.seconds),
            )
        if timers is not None:
            await timers.stop(off=off)


def _check_scope(
    name: str,
    declared: DeadMan,
    markets: Collection[Market],
    symbols: Collection[str] | None,
) -> None:
    if declared.scope is DeadManScope.INSTRUMENT:
        if isinstance(symbols, str) or not symbols:
            raise UsageError(f"{name}'s protection is of single instruments: say symbols=[…]")
    elif symbols is not None:
        raise Unsupported(f"{name}'s protection is of whole markets, not of single symbols")
    if declared.scope is DeadManScope.ACCOUNT and frozenset(markets) != declared.markets:
        shown = ", ".join(sorted(m.value for m in declared.markets))
        raise Unsupported(f"{name}'s protection is of all its markets at once: {shown}")


__all__ = ["DeadManSwitch"]
