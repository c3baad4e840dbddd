"""A ledger held against the exchange's lists, both ways. Nothing is taken into any ledger by it, so
that it can be done to one that another program is writing.

What moves meanwhile is no difference: orders, positions and balances are looked at again where they
seem to differ, and fills of the last minute aren't judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import attrs

from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import GetFills, GetPositions, GetWallet
from ccrs_core.errors import CcrsError
from ccrs_core.model.accounts import Adjustment
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Fill
from ccrs_core.model.reports import FillReport
from ccrs_core.model.times import ALL, shown
from ccrs_core.model.units import NS_PER_SECOND, PLAIN
from ccrs_core.trading import keys
from ccrs_core.trading.compare_orders import compare_orders
from ccrs_core.trading.comparison import Comparison, Difference
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.involved import Involved
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.store import LedgerName, Store, Wanted
from ccrs_core.transport.gate import Priority

_RECENT_NS = 60 * NS_PER_SECOND
"""How young what moves is: it may be on one side and not yet on the other."""
_BEHIND_NS = 3 * _RECENT_NS
"""How long ago a ledger was read that nobody keeps up to date."""
_STRETCH_NS = 7 * 86_400 * NS_PER_SECOND
_FIRST_LOOK_NS = 7 * 86_400 * NS_PER_SECOND
"""How far before its opening a ledger's fills begin."""
_LOOKS, _PAUSE, _LONGEST_PAUSE = 3, 2.0, 5.0
"""How often what seems to differ is looked at, and seconds between, by how late lists are."""
_PAGE = 1000
ZERO = Decimal(0)
T = TypeVar("T")

Look = Callable[[], Awaitable[tuple[Ledger, Store]]]
"""Brings the ledger as it is now, and its store."""


class StoredLedger:
    """A ledger as another program keeps it: read anew at each look.

    :param like: a ledger of the same account.
    """

    def __init__(
        self, store: Store, like: Ledger, find: Callable[[Market, str], Instrument | None]
    ) -> None:
        self._store = store
        self._like = like
        self._find = find

    async def look(self) -> tuple[Ledger, Store]:
        """As it is now."""
        like = self._like
        ledger = Ledger(
            *(like.exchange, like.environment, like.account, self._find), purses=like.purses
        )
        await self._store.close()
        name = LedgerName(like.exchange, like.environment, like.account)
        ledger.restore(await self._store.open(name))
        return ledger, self._store


async def compare(
    context: AccountContext, look: Look, since_ns: int | None = None, *, quiet: bool = False
) -> Comparison:
    """Compare open orders, fills, positions and balances.

    :param since_ns: only fills from then on; None: from the beginning of the ledger, as far as the
        exchange keeps them.
    :param quiet: nothing moves at present: fills of the last minute are judged, too.
    :raises StoreFailed: where the ledger can't be read.
    """
    comparing = _Comparing(context, look, 0 if quiet else _RECENT_NS)
    await comparing.instruments()
    await comparing.fills(since_ns)
    await comparing.figures()
    return comparing.result()


@attrs.define
class Round:
    """One look at what moves."""

    differences: dict[tuple[str, str], Difference] = attrs.field(factory=dict)
    looked_at: list[str] = attrs.field(factory=list)
    left_out: list[str] = attrs.field(factory=list)
    unread: list[str] = attrs.field(factory=list)
    newer: list[str] = attrs.field(factory=list)

    def differs(self, about: str, what: str, ledger: str, exchange: str) -> None:
        """The two say different things."""
        found = Difference(about=about, what=what, ledger=ledger, exchange=exchange)
        self.differences[about, what] = found


class _Comparing:
    def __init__(self, context: AccountContext, look: Look, young_ns: int) -> None:
        self._young_ns = young_ns
        self._context = context
        self._look = look
        self._markets = list(context.trading.features)
        self._fills = Round()
        self._figures = Round()
        self._unread: dict[tuple[str, PositionSide], Decimal] = {}
        """What fills that came after the ledger was read add to positions."""

    def result(self) -> Comparison:
        """What was found."""
        both = self._fills, self._figures
        return Comparison(
            differences=tuple(d for each in both for d in each.differences.values()),
            looked_at=tuple(text for each in both for text in each.looked_at),
            left_out=tuple(text for each in both for text in each.left_out),
            unread=tuple(text for each in both for text in each.unread),
            newer=tuple(text for each in both for text in each.newer),
        )

    async def instruments(self) -> None:
        """Have all markets' instruments at hand."""
        for market in list(self._markets):
            try:
                await self._context.instruments.market(market)
            except CcrsError as error:
                self._markets.remove(market)
                self._fills.unread.append(f"all of {market.value}: {error}")

    def _find(self, market: Market, native: str) -> Instrument | None:
        return self._context.taking.find(market, native)

    def _answers(self, kind: type[Request[Any]], market: Market | None = None) -> bool:
        endpoint = self._context.exchange.endpoints.get(kind)
        return endpoint is not None and (market is None or market in endpoint.markets)

    async def _ask(self, request: Request[T], of: str, found: Round) -> tuple[T, bool]:
        """The answer, and whether all of it could be read; what couldn't is left out, and told."""
        answer, unread = await self._context.asks.counted(request, priority=Priority.RECOVERY)
        if unread:
            found.unread.append(f"{of} that can't be read: {unread}")
        return answer, not unread

    # --- fills ---

    async def fills(self, since_ns: int | None) -> None:
        """Compare fills by their keys, both ways, stretch by stretch."""
        ledger, store = await self._look()
        now_ns = self._context.asks.exchange_ns()
        began_ns = await _beginning(store)
        if began_ns is None:
            self._fills.left_out.append("fills: the ledger is empty")
            began_ns = now_ns
        for market in self._markets:
            start_ns = began_ns - _FIRST_LOOK_NS + _RECENT_NS
            if since_ns is not None:
                start_ns = max(start_ns, since_ns)
            request = GetFills(market=market, start_ns=start_ns)
            kept = self._context.exchange.endpoints[GetFills].retention_of(request)
            if kept is not None and start_ns < now_ns - kept + _RECENT_NS:
                told = now_ns - kept + _RECENT_NS
                self._fills.left_out.append(
                    f"fills of {market.value} from {shown(start_ns)} to {shown(told)}: the "
                    "exchange keeps them no more"
                )
                start_ns = told
            try:
                await self._fills_of(market, start_ns, now_ns - self._young_ns, ledger, store)
            except CcrsError as error:
                self._fills.unread.append(f"fills of {market.value}: {error}")

    async def _fills_of(
        self, market: Market, start_ns: int, end_ns: int, ledger: Ledger, store: Store
    ) -> None:
        count, unlisted, at = 0, 0, start_ns
        read_ns = ledger.cursor(f"fills {market.value}") or 0
        newer = 0
        while at < end_ns:
            end = min(at + _STRETCH_NS, end_ns)
            held = [
                each
                for each in await store.fills(start_ns=at, end_ns=end, limit=ALL)
                if each.market is market
            ]
            rows, whole = await self._fills_between(market, at, end, ledger, held)
            theirs: dict[str, tuple[FillReport, Instrument]] = {}
            for row in rows:
                if not isinstance(row, FillReport):
                    continue
                instrument = self._find(market, row.native)
                if instrument is None:
                    unlisted += 1
                    continue
                ids = row.fill_id, row.exchange_order_id
                theirs[keys.of_fill(market, instrument.symbol, *ids)] = row, instrument
            ours = {
                keys.of_fill(market, each.symbol, each.fill_id, each.exchange_order_id): each
                for each in held
            }
            newer += await self._match(theirs, ours, store, read_ns, whole)
            count += len(theirs)
            at = end
        self._fills.looked_at.append(
            f"fills of {market.value} from {shown(start_ns)} to {shown(end_ns)}: {count}"
        )
        if newer:
            text = f"{newer} fills of {market.value} since the ledger was read, {shown(read_ns)}"
            self._fills.newer.append(text)
        if unlisted:
            text = f"{unlisted} fills of {market.value} instruments that are listed no more"
            self._fills.left_out.append(text)

    async def _fills_between(
        self, market: Market, at: int, end: int, ledger: Ledger, held: Sequence[Fill]
    ) -> tuple[list[Any], bool]:
        """What the exchange tells of a stretch, and whether all of it could be read: of a market at
        once, or where it doesn't, of each instrument that the ledger has to do with."""
        what, context = f"fills of {market.value}", self._context
        if GetFills not in context.trading.by_symbol:
            request = GetFills(market=market, start_ns=at, end_ns=end)
            found, whole = await self._ask(request, what, self._fills)
            return list(found), whole
        involved = Involved(ledger, context.instruments, self._find)
        rows: list[Any] = []
        all_read = True
        for one in involved.of(market, {each.symbol for each in held}):
            request = GetFills(market=market, instrument=one, start_ns=at, end_ns=end)
            found, whole = await self._ask(request, what, self._fills)
            rows += found
            all_read = all_read and whole
        return rows, all_read

    async def _match(
        self,
        theirs: dict[str, tuple[FillReport, Instrument]],
        ours: dict[str, Fill],
        store: Store,
        read_ns: int,
        whole: bool,
    ) -> int:
        """Compare the fills of a stretch; how many came since the ledger was read. ``whole``: what
        isn't among theirs, the exchange doesn't have."""
        newer = 0
        missing = [key for key in theirs if key not in ours]
        known = await store.look_up(Wanted(keys=frozenset(missing)))
        ours |= {e.key: e.event for e in known.entries if isinstance(e.event, Fill)}
        for key, (row, instrument) in theirs.items():
            size = _size(row.size, instrument)
            theirs_told = f"{row.side.value} {size:f} at {row.price:f}"
            mine = ours.pop(key, None)
            if mine is None and row.exchange_time_ns > read_ns:
                newer += 1
                held = instrument.symbol, row.position_side or PositionSide.NET
                signed = size if row.side is Side.BUY else -size
                self._unread[held] = PLAIN.add(self._unread.get(held, ZERO), signed)
            elif mine is None:
                self._fills.differs("fill", _named(row, instrument), "", theirs_told)
            elif (mine.side, mine.size, mine.price) != (row.side, size, row.price):
                told = f"{mine.side.value} {mine.size:f} at {mine.price:f}"
                self._fills.differs("fill", _named(row, instrument), told, theirs_told)
            elif row.fee is not None and mine.fee is not None and mine.fee != row.fee:
                told, fee = f"a fee of {mine.fee:f}", f"{row.fee:f}"
                self._fills.differs("fill", _named(row, instrument), told, fee)
        for fill in ours.values() if whole else ():
            name = f"{fill.fill_id} of {fill.symbol}, {shown(fill.exchange_time_ns or 0)}"
            told = f"{fill.side.value} {fill.size:f} at {fill.price:f}"
            self._fills.differs("fill", name, told, "")
        return newer

    # --- what moves ---

    async def figures(self) -> None:
        """Compare orders, positions and balances; what differs is looked at again."""
        for look in range(_LOOKS):
            if look:
                lag = self._context.trading.visible_within
                await asyncio.sleep(min(max(lag, _PAUSE), _LONGEST_PAUSE))
            found = await self._round()
            if look:
                same = self._figures.differences
                found.differences = {k: d for k, d in found.differences.items() if k in same}
            self._figures = found
            if not found.differences:
                return

    async def _round(self) -> Round:
        found = Round()
        positions: dict[tuple[str, PositionSide], Decimal | None] = {}
        of: set[Market] = set()
        for market in self._markets:
            if not self._answers(GetPositions, market):
                continue
            try:
                positions |= await self._positions(market, found)
                of.add(market)
            except CcrsError as error:
                found.unread.append(f"positions of {market.value}: {error}")
        wallet, whole = None, True
        if self._answers(GetWallet):
            asked_ns = self._context.asks.exchange_ns()
            try:
                wallet, whole = await self._ask(GetWallet(self._context.name), "balances", found)
            except CcrsError as error:
                found.unread.append(f"balances: {error}")
        await compare_orders(self._context, self._look, self._markets, found)
        ledger, store = await self._look()
        now_ns = self._context.asks.exchange_ns()
        await self._compare_positions(ledger, store, positions, of, now_ns, found)
        if wallet is not None:
            told_ns = wallet.exchange_time_ns or asked_ns
            figures = {b.name: b.total if b.wallet is None else b.wallet for b in wallet.balances}
            assets = {*figures, *(ledger.assets() if whole else ())}
            self._compare_balances(ledger, figures, assets, told_ns, now_ns, found)
        return found

    async def _positions(
        self, market: Market, found: Round
    ) -> dict[tuple[str, PositionSide], Decimal | None]:
        """Sizes; None of what may be in a row that can't be read."""
        told: dict[tuple[str, PositionSide], Decimal | None] = {}
        unlisted = 0
        for settle in self._context.trading.settles.get(market) or ("",):
            request = GetPositions(market=market, settle=settle)
            reports, whole = await self._ask(request, f"positions of {market.value}", found)
            if not whole:
                held = (await self._look())[0].positions()
                told |= {(e.symbol, e.side): None for e in held if e.market is market} | told
            for report in reports:
                instrument = self._find(market, report.native)
                if instrument is not None:
                    told[instrument.symbol, report.side] = _size(report.size, instrument)
                else:
                    unlisted += bool(report.size)
        if unlisted:
            text = f"{unlisted} positions of {market.value} instruments that are listed no more"
            found.left_out.append(text)
        return told

    async def _compare_positions(
        self,
        ledger: Ledger,
        store: Store,
        theirs: dict[tuple[str, PositionSide], Decimal | None],
        of: set[Market],
        now_ns: int,
        found: Round,
    ) -> None:
        # Of spot the ledger has what was bought and sold, which is a position on margin alone.
        ours = {
            (e.symbol, e.side): e.size
            for e in ledger.explained_positions()
            if e.market in of and (e.market is not Market.SPOT or (e.symbol, e.side) in theirs)
        }
        recent = await store.fills(start_ns=now_ns - _RECENT_NS, limit=_PAGE)
        for key in sorted({*ours, *theirs}):
            known, figure = ours.get(key, ZERO), theirs.get(key, ZERO)
            if figure is None:
                continue  # it may be what can't be read
            name = key[0] if key[1] is PositionSide.NET else f"{key[0]} {key[1].value}"
            if known is None:
                found.left_out.append(f"position {name}: the ledger is too young")
                continue
            mine = PLAIN.add(known, self._unread.get(key, ZERO))
            if figure not in _steps(mine, key, recent):
                found.differs("position", name, f"{mine:f}", f"{figure:f}")
        if of:
            names = ", ".join(market.value for market in Market if market in of)
            found.looked_at.append(f"positions of {names}: {sum(map(bool, theirs.values()))}")

    def _compare_balances(
        self,
        ledger: Ledger,
        theirs: dict[str, Decimal],
        assets: Iterable[str],
        told_ns: int,
        now_ns: int,
        found: Round,
    ) -> None:
        cursors = [ledger.cursor(f"fills {market.value}") or 0 for market in self._markets]
        read_ns = min(cursors, default=0)
        behind = read_ns < now_ns - _BEHIND_NS
        compared = 0
        for asset in sorted(assets):
            figure = theirs.get(asset, ZERO)
            told = ledger.explained_balance(asset, told_ns)
            if told is None:
                if figure:
                    found.left_out.append(
                        f"balance of {asset}: the ledger is too young, or it moves too fast"
                    )
                continue
            mine, crumb = told
            compared += 1
            if abs(PLAIN.subtract(mine, figure)) <= crumb:
                continue
            if behind:
                text = f"balance of {asset}: {mine:f} when the ledger was read, {shown(read_ns)}"
                found.newer.append(f"{text}, {figure:f} now")
            else:
                found.differs("balance", asset, f"{mine:f}", f"{figure:f}")
        found.looked_at.append(f"balances: {compared}")


def _steps(size: Decimal, key: tuple[str, PositionSide], recent: Iterable[Fill]) -> set[Decimal]:
    """A position's size, and what it was before each of the fills of the last minute: one side may
    have been read a moment before the other."""
    steps, at = {size}, size
    for fill in sorted(recent, key=lambda each: -each.number):
        if (fill.symbol, fill.position_side) == key:
            at = PLAIN.subtract(at, fill.size if fill.side is Side.BUY else -fill.size)
            steps.add(at)
    return steps


def _size(size: Decimal, instrument: Instrument) -> Decimal:
    factor = instrument.base_per_native_contract
    return size if factor is None else PLAIN.multiply(size, factor)


def _named(row: FillReport, instrument: Instrument) -> str:
    return f"{row.fill_id} of {instrument.symbol}, {shown(row.exchange_time_ns)}"


async def _beginning(store: Store) -> int | None:
    """When the ledger was begun, by its first entries: what it opened with, or learned first."""
    first = await store.entries_after(0, _PAGE, (Fill.type, Adjustment.type))
    return min((entry.event.received_time_ns for entry in first), default=None)
