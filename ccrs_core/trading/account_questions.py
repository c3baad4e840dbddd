"""What an account can be asked at the exchange, and what can be set there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from ccrs_core.contract.rest import Request, T
from ccrs_core.contract.trading_requests import (
    GetFeeRates,
    GetFills,
    GetIncome,
    GetOrderHistory,
    GetPositions,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
)
from ccrs_core.errors import OrderNotFound, SettingUnchanged, UsageError
from ccrs_core.model.accounts import (
    BudgetLeft,
    FeeRate,
    MarginMode,
    Position,
    PositionMode,
    PriceBand,
)
from ccrs_core.model.checks import member
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.order_requests import Number, PositionSide, exact_number
from ccrs_core.model.orders import Fill, Order
from ccrs_core.model.reports import IncomeReport
from ccrs_core.model.times import ALL, When, nanoseconds
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.compare import StoredLedger, compare
from ccrs_core.trading.comparison import Comparison
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.listing import open_orders
from ccrs_core.trading.lookup import find, look_up
from ccrs_core.trading.parts import Parts
from ccrs_core.trading.past import UNLESS_TOLD_NS, past_orders, told
from ccrs_core.trading.store import Store

_AHEAD_NS = NS_PER_SECOND
"""By how much the exchange's clock may be ahead of what is known of it."""
_LATE_NS = 60 * NS_PER_SECOND
"""By how much what is at the end of what is kept may have gone meanwhile."""


class AccountQuestions(ABC):
    """The questions of an account. What is answered about orders, fills, positions and balances
    goes into the ledger, too."""

    name: str

    @property
    @abstractmethod
    def _parts(self) -> Parts: ...

    @abstractmethod
    def order(self, order_id: str) -> Order | None: ...

    async def _read(self, request: Request[T]) -> T:
        self._parts.check_alive()
        return await self._parts.context.asks.read(request)

    async def _of(
        self, symbol: str | None, market: Market | str | None
    ) -> tuple[Market, Instrument | None]:
        """A market, and its instrument where one is meant."""
        if symbol is not None:
            instrument = await self._parts.context.instruments.find(symbol)
            return instrument.market, instrument
        if market is None:
            raise UsageError("say a symbol, or a market")
        return member(Market, "market", market), None

    def _markets(self, market: Market | str | None) -> list[Market]:
        if market is not None:
            return [member(Market, "market", market)]
        return list(self._parts.context.trading.features)

    def _answering(self, kind: type[Request[Any]]) -> list[Market]:
        """The markets of which the exchange answers this."""
        endpoint = self._parts.context.exchange.endpoints.get(kind)
        return [m for m in self._markets(None) if endpoint is not None and m in endpoint.markets]

    # --- orders and fills ---

    async def fetch_order(self, order_id: str, *, symbol: str | None = None) -> Order:
        """Ask the exchange for an order, and return it as it is known then.

        :param symbol: of one that the ledger doesn't have in memory: one that ended long ago, or
            before the ledger began.
        :raises UsageError: where the ledger has no such order, and no symbol is told.
        :raises OrderNotFound: where the exchange denies it at present, which proves nothing.
        """
        parts = self._parts
        parts.check_alive()
        order = self.order(order_id)
        if order is not None and symbol not in (None, order.symbol):
            order = None  # ids of exchanges may be those of one symbol alone
        if order is not None:
            found, what = await look_up(parts.context, order), str(order)
        elif symbol is not None:
            instrument = await parts.context.instruments.find(symbol)
            found, what = await find(parts.context, order_id, instrument), order_id
        else:
            raise UsageError(
                f"account {self.name} has no order {order_id!r:.100} in its ledger: say its symbol"
            )
        now = self.order(order_id)
        if not found or now is None or symbol not in (None, now.symbol):
            raise OrderNotFound("", f"{parts.exchange} shows no such order at present: {what}")
        return now

    async def fetch_open_orders(
        self, *, symbol: str | None = None, market: Market | str | None = None
    ) -> list[Order]:
        """Ask the exchange for the open orders of a symbol, of a market, or of all."""
        self._parts.check_alive()
        instrument = None
        markets = self._markets(market)
        if symbol is not None:
            wanted, instrument = await self._of(symbol, None)
            markets = [wanted]
        return await open_orders(self._parts.context, markets, instrument)

    async def fetch_order_history(
        self,
        *,
        symbol: str | None = None,
        market: Market | str | None = None,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Order]:
        """Ask the exchange for past orders in ``start <= time < end``, of a symbol, of a market, or
        of all, and return them as the ledger has them then, oldest first; the last ``limit`` where
        one is given. (:meth:`order_history` brings them page by page.)

        :param start: None: seven days before ``end``.
        :raises Unsupported: where the exchange keeps some of that no more; it says since when.
        """
        if symbol is None and market is None:
            past = [
                order
                for each in self._answering(GetOrderHistory)
                for order in await self.fetch_order_history(
                    market=each, start=start, end=end, limit=limit
                )
            ]
            past.sort(key=lambda order: order.created_ns or 0)
            return past if limit is None else past[-limit:]
        if limit is None:
            pages = self.order_history(symbol=symbol, market=market, start=start, end=end)
            return [order async for page in pages for order in page]
        parts = self._parts
        wanted, instrument = await self._of(symbol, market)
        start_ns, end_ns = self._stretch(GetOrderHistory, start, end)
        request = GetOrderHistory(
            market=wanted, instrument=instrument, start_ns=start_ns, end_ns=end_ns, limit=limit
        )
        reports = await self._read(request)
        return await told(parts.context, parts.store, reports)

    async def order_history(
        self,
        *,
        symbol: str | None = None,
        market: Market | str | None = None,
        start: When | None = None,
        end: When | None = None,
    ) -> AsyncIterator[list[Order]]:
        """Past orders as of :meth:`fetch_order_history`, page by page: memory holds a page, however
        many there are. ``async for page in account.order_history(…)``.

        :raises Unsupported: where the exchange keeps some of that no more; it says since when.
        """
        parts = self._parts
        wanted, instrument = await self._of(symbol, market)
        start_ns, end_ns = self._stretch(GetOrderHistory, start, end)
        parts.check_alive()
        async for page in past_orders(
            parts.context, parts.store, wanted, instrument, start_ns, end_ns
        ):
            yield page

    def _stretch(
        self, kind: type[Request[Any]], start: When | None, end: When | None
    ) -> tuple[int, int]:
        """From when to when: up to now, and seven days of it, unless told; of an exchange that
        keeps less what it keeps."""
        now_ns = self._parts.context.asks.exchange_ns()
        end_ns = nanoseconds("end", end)
        if end_ns is None:
            end_ns = now_ns + _AHEAD_NS
        start_ns = nanoseconds("start", start)
        if start_ns is None:
            start_ns = end_ns - UNLESS_TOLD_NS
            endpoint = self._parts.context.exchange.endpoints.get(kind)
            kept = None if endpoint is None else endpoint.retention
            if isinstance(kept, int):
                start_ns = max(start_ns, now_ns - kept + _LATE_NS)
        if start_ns >= end_ns:
            raise UsageError("start must be before end")
        return start_ns, end_ns

    async def fetch_fills(
        self,
        *,
        symbol: str | None = None,
        market: Market | str | None = None,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Fill]:
        """Ask the exchange for fills in ``start <= time < end``, of a symbol, of a market, or of
        all, and return those that the ledger has then, oldest first; the last ``limit`` where one
        is given.

        :param start: None: seven days before ``end``, as exchanges that keep two years may have to
            be asked for each week of them.
        :raises Unsupported: where the exchange keeps some of that no more; it says since when.
        """
        if symbol is None and market is None:
            fills = [
                fill
                for each in self._answering(GetFills)
                for fill in await self.fetch_fills(market=each, start=start, end=end, limit=limit)
            ]
            fills.sort(key=lambda fill: (fill.exchange_time_ns or 0, fill.number))
            return fills if limit is None else fills[-limit:]
        parts = self._parts
        wanted, instrument = await self._of(symbol, market)
        start_ns, end_ns = self._stretch(GetFills, start, end)
        request = GetFills(
            market=wanted,
            instrument=instrument,
            start_ns=start_ns,
            end_ns=None if end is None else end_ns,
            limit=ALL if limit is None else limit,
        )
        reports = await self._read(request)
        await parts.context.take(reports, backfilled=True)
        await parts.journal.flush()
        found = await parts.store.fills(
            symbol=symbol, start_ns=start_ns, end_ns=request.end_ns, limit=limit or ALL
        )
        return [fill for fill in found if fill.market is wanted]

    # --- positions and money ---

    async def fetch_positions(self, *, market: Market | str | None = None) -> list[Position]:
        """Ask the exchange for positions: of a market, or of all."""
        parts = self._parts
        wanted = self._answering(GetPositions) if market is None else self._markets(market)
        parts.check_alive()
        for each in wanted:
            await parts.reconciler.positions(each)
        return [p for p in parts.ledger.positions() if p.market in wanted]

    async def fetch_balances(self) -> dict[str, Balance]:
        """Ask the exchange for all balances; ``account.margin`` is fresh then, too."""
        parts = self._parts
        parts.check_alive()
        await parts.reconciler.balances()
        return {each.name: each for each in parts.ledger.balances()}

    async def income(
        self,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[IncomeReport]:
        """Money that came or went in ``start <= time < end``, oldest first, as the exchange lists
        it: funding, transfers, interest, and fees of fills where it lists them so."""
        request = GetIncome(
            start_ns=nanoseconds("start", start),
            end_ns=nanoseconds("end", end),
            limit=ALL if limit is None else limit,
        )
        return await self._read(request)

    async def fee_rates(
        self, *, symbol: str | None = None, market: Market | str | None = None
    ) -> list[FeeRate]:
        """What trading costs: of a symbol, or of a market."""
        wanted, instrument = await self._of(symbol, market)
        request = GetFeeRates(market=wanted, instrument=instrument, account=self.name)
        return await self._read(request)

    async def price_band(self, symbol: str) -> PriceBand:
        """Between which prices limit orders are taken as they are; some seconds old at most."""
        self._parts.check_alive()
        instrument = await self._parts.context.instruments.find(symbol)
        return await self._parts.band(instrument)

    # --- settings ---

    async def set_leverage(
        self, symbol: str, leverage: Number, *, side: PositionSide = PositionSide.NET
    ) -> None:
        """Set the leverage of an instrument's positions; ``side`` NET: of both.

        :raises OutcomeUnknown: where no answer tells whether it was set.
        """
        instrument = await self._parts.context.instruments.find(symbol)
        exact = exact_number("leverage", leverage)
        await self._set(SetLeverage(instrument, exact, member(PositionSide, "side", side)))

    async def set_margin_mode(self, mode: MarginMode | str, *, symbol: str | None = None) -> None:
        """Set the margin mode: of the account, or of an instrument where the exchange has it so.

        :raises OutcomeUnknown: where no answer tells whether it was set.
        """
        find = self._parts.context.instruments.find
        instrument = None if symbol is None else await find(symbol)
        await self._set(SetMarginMode(mode=member(MarginMode, "mode", mode), instrument=instrument))

    async def set_position_mode(
        self,
        mode: PositionMode | str,
        *,
        symbol: str | None = None,
        market: Market | str | None = None,
        settle: str = "",
    ) -> None:
        """Set one-way or hedge mode: of an instrument, or of a market's settlement asset.

        :raises OutcomeUnknown: where no answer tells whether it was set.
        """
        wanted, instrument = await self._of(symbol, market)
        request = SetPositionMode(
            mode=member(PositionMode, "mode", mode),
            market=wanted,
            instrument=instrument,
            settle=settle,
        )
        await self._set(request)
        await self._parts.read_info()

    async def _set(self, request: Request[None]) -> None:
        self._parts.check_alive()
        try:
            await self._parts.context.asks.once(request)
        except SettingUnchanged:
            return  # it has that value

    # --- whether it is right ---

    async def compare(
        self, *, since: When | None = None, quiet: bool = False, store: Store | None = None
    ) -> Comparison:
        """Hold the ledger against the exchange's lists, both ways: open orders, fills by their
        keys, positions, balances. To be done now and then, at night, say: it asks within a tenth
        of the budgets, takes nothing in, and tells what was looked at and what couldn't be.

        :param since: only fills from then on; None: all of the ledger, as far as the exchange keeps
            them.
        :param quiet: nothing moves at present: fills of the last minute are judged, too.
        :param store: another ledger of this account instead of its own, opened for reading alone:
            ``SqliteStore(path, read_only=True)``.
        :raises StoreFailed: where the ledger can't be read.
        :raises StoreInUse: where ``store`` has another account's.
        """
        parts = self._parts
        parts.check_alive()
        since_ns = nanoseconds("since", since)
        if store is not None:
            there = StoredLedger(store, parts.ledger, parts.natives.find)
            try:
                return await compare(parts.context, there.look, since_ns, quiet=quiet)
            finally:
                await store.close()
        parts.check_follows("keeps no ledger to compare")

        async def look() -> tuple[Ledger, Store]:
            await parts.journal.flush()
            return parts.ledger, parts.store

        return await compare(parts.context, look, since_ns, quiet=quiet)

    # --- budgets ---

    def budget(self) -> list[BudgetLeft]:
        """What is left of each budget that was spent from."""
        return self._parts.requester.turns.left()
