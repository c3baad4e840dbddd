"""The ledger of one account: orders and fills, each once, whatever arrives in whichever order.

Pure: it waits for nothing and asks no clock. It has one writer, the account, which commits what a
call returns, and then delivers it. Its memory is bounded: what is settled and old is the store's
alone, and where a report may be of that, it isn't taken before the store was asked
(``Change.doubtful``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import (
    AuthError,
    CcrsError,
    EndReason,
    InvalidRequest,
    OrderRejected,
    RateLimited,
    UsageError,
)
from ccrs_core.model.accounts import Position, Profit
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.order_requests import OrderRequest, PositionSide
from ccrs_core.model.orders import Order, OrderState, Origin, Times
from ccrs_core.model.reports import (
    EarlyFillReport,
    FillReport,
    IncomeReport,
    MarginCallReport,
    OrderReport,
    PositionReport,
    Report,
    StrangeReport,
)
from ccrs_core.trading import order_state
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import NOTHING, Change, Draft
from ccrs_core.trading.figures import Figures
from ccrs_core.trading.intake import Intake
from ccrs_core.trading.order_state import Conflict, Facts
from ccrs_core.trading.own_units import contract_of
from ccrs_core.trading.positions import ExplainedPosition
from ccrs_core.trading.recall import Record, others_key, own_key
from ccrs_core.trading.store import RECENT, Cursor, Known, OrderRow, Stored

_NO_KNOWN = Known()
_FIGURES = (PositionReport, Balance)
"""Reports of what there is."""
_REASONS: dict[type[CcrsError], EndReason] = {
    AuthError: EndReason.PERMISSION,
    RateLimited: EndReason.RATE_LIMIT,
    InvalidRequest: EndReason.INVALID,
}


class Ledger:
    """Orders, fills, positions and money of one account.

    :param find: the instrument of a market and an exchange's own symbol, None where it isn't
        listed (yet).
    :param recent: how many settled orders, and how many fills, are in memory.
    """

    def __init__(
        self,
        exchange: str,
        environment: str,
        account: str,
        find: Callable[[Market, str], Instrument | None],
        *,
        recent: int = RECENT,
        purses: Mapping[Market, str] | None = None,
    ) -> None:
        self.exchange = exchange
        self.environment = environment
        self.account = account
        self._books = Books(exchange, account, find, recent)
        self._cursors: dict[str, int] = {}
        self.purses: Mapping[Market, str] = purses or {}
        """By market the wallet that its fills and income move, where there are several."""
        self._figures = Figures(self._books, self.purses)
        intake = Intake(self._books, self._figures)
        self._takers: dict[type[Any], Callable[[Any, Draft, Known], None]] = {
            OrderReport: intake.take_order,
            FillReport: intake.take_fill,
            EarlyFillReport: intake.take_early,
            StrangeReport: intake.take_strange,
            PositionReport: self._figures.positions.take,
            Balance: self._figures.money.take,
            IncomeReport: self._figures.take_income,
            MarginCallReport: self._figures.take_margin_call,
        }
        self._take_order = intake.take_order
        self._sides = intake.sides

    @property
    def number(self) -> int:
        """Of the last entry."""
        return self._books.number

    def restore(self, stored: Stored) -> None:
        """Begin with what a store holds. Orders that were PLANNED or SENT may have left: whoever
        restores has to find out (:meth:`unknown`)."""
        self._books.restore(stored)
        self._figures.restore(stored)
        self._cursors = {each.key: each.value for each in stored.cursors}

    # --- own orders: what this side knows ---

    def plan(
        self, asked: OrderRequest, instrument: Instrument, client_order_id: str, now_ns: int
    ) -> Change:
        """The intent to place an order: its row is committed before a byte of it leaves.

        :raises UsageError: where the ledger has an order of that client id.
        """
        known = self._books.index.own(client_order_id)
        if known is not None:
            raise UsageError(
                f"the client order id {client_order_id} was used before: {known.order}; give "
                "another one, or none"
            )
        order = Order(
            exchange=self.exchange,
            account=self.account,
            symbol=instrument.symbol,
            market=instrument.market,
            client_order_id=client_order_id,
            side=asked.side,
            type=asked.type,
            state=OrderState.PLANNED,
            origin=Origin.OWN,
            tag=asked.tag,
            asked=asked,
            size=asked.size,
            quote_size=asked.quote_size,
            price=asked.price,
            time_in_force=asked.time_in_force,
            post_only=asked.post_only,
            reduce_only=asked.reduce_only,
            position_side=asked.position_side,
            trigger=asked.trigger,
            times=Times(planned_ns=now_ns),
        )
        row = OrderRow(
            *(own_key(client_order_id), order.symbol, client_order_id, "", order, Facts()),
            *(now_ns, contract_of(instrument)),
        )
        self._books.index.add(row)
        return Change(rows=(row,))

    def sent(self, client_order_id: str, now_ns: int) -> Change:
        """Its first byte leaves. Nothing to commit: the intent tells that it may have left."""
        record = self._own(client_order_id)
        assert record.order is not None
        merged = order_state.climbed(record.order, record.facts, OrderState.SENT)
        record.order = merged.order
        return NOTHING

    def answered(self, client_order_id: str, placed: Placed, times: Times) -> Change:
        """The exchange has taken it."""
        record = self._own(client_order_id)
        assert record.order is not None
        now_ns = times.received_ns or 0
        draft = Draft(now_ns)
        if placed.exchange_order_id and not record.exchange_order_id:
            self._books.link(record, placed.exchange_order_id, draft)
        known = record.exchange_order_id
        merged = order_state.acknowledged(record.order, record.facts, known, times)
        self._books.after(record, merged, draft, now_ns)
        self._sides.learned(record, draft)
        if placed.exchange_order_id and known != placed.exchange_order_id:
            self._books.conflict(
                Conflict("exchange's id of an order", known, placed.exchange_order_id),
                *(record.symbol, known, client_order_id, draft),
            )
        elif placed.report is not None:
            self._take_order(placed.report, draft, _NO_KNOWN)
        return draft.change()

    def refused(self, client_order_id: str, error: CcrsError, now_ns: int) -> Change:
        """The exchange refused it: it never was. Where the order is known to live nothing changes:
        the refusal was of a repeat. Where the exchange says that its id was used before, there is
        an order of that id, and what became of ours isn't known."""
        reason = _REASONS.get(type(error), EndReason.OTHER)
        if isinstance(error, OrderRejected):
            reason = error.reason
        if reason is EndReason.DUPLICATE:
            return self.unknown(client_order_id, str(error), now_ns)
        return self._ended(client_order_id, OrderState.REJECTED, reason, str(error), now_ns)

    def not_sent(self, client_order_id: str, reason: EndReason, text: str, now_ns: int) -> Change:
        """Nothing of it has left, for certain."""
        return self._ended(client_order_id, OrderState.NOT_SENT, reason, text, now_ns)

    def unknown(self, client_order_id: str, text: str, now_ns: int) -> Change:
        """Its answer was lost, or doesn't tell."""
        return self._own_state(client_order_id, OrderState.UNKNOWN, None, text, now_ns)

    def presumed_absent(self, client_order_id: str, text: str, now_ns: int) -> Change:
        """No trace of it was found for long: it counts as no exposure, until one is."""
        return self._own_state(client_order_id, OrderState.PRESUMED_ABSENT, None, text, now_ns)

    def absent(self, client_order_id: str, text: str, now_ns: int) -> Change:
        """It is proved that it never arrived."""
        return self._ended(client_order_id, OrderState.ABSENT, None, text, now_ns)

    def amended(self, order_id: str, now_ns: int, **asked: Any) -> Change:
        """The exchange has taken an amendment: what was asked follows. (What it has made of it, it
        will say.)"""
        record = self._record(order_id)
        if record is None or record.order is None:
            return NOTHING
        draft = Draft(now_ns)
        merged = order_state.asked_anew(record.order, record.facts, asked)
        self._books.after(record, merged, draft, now_ns)
        return draft.change()

    def settled(
        self,
        order_id: str,
        state: OrderState,
        text: str,
        now_ns: int,
        reason: EndReason = EndReason.OTHER,
    ) -> Change:
        """Somebody has looked an order up, and says how it ended.

        :raises UsageError: where the ledger has no such order, the state is none that ends, or it
            has ended otherwise.
        """
        record = self._record(order_id)
        if record is None or record.order is None:
            raise UsageError(f"the ledger has no order {order_id!r}")
        if not state.final:
            raise UsageError(f"{state.value} is no state in which an order ends")
        if record.order.state.final and record.order.state is not state:
            raise UsageError(f"{record.order} has ended already")
        draft = Draft(now_ns)
        merged = order_state.climbed(record.order, record.facts, state, reason, text)
        self._books.after(record, merged, draft, now_ns)
        return draft.change()

    def contradicted(self, order_id: str) -> bool:
        """Whether the exchange called an order alive that has ended by this side's word alone: it
        has to be taken for open, though its state stays."""
        record = self._record(order_id)
        if record is None or record.order is None:
            return False
        return order_state.contradicted(record.order, record.facts)

    def denied(self, order_id: str, now_ns: int) -> Change:
        """The exchange shows an order nowhere any more that it had called alive."""
        record, draft = self._record(order_id), Draft(now_ns)
        if record is not None and record.order is not None:
            self._books.after(record, order_state.denied(record.order, record.facts), draft, now_ns)
        return draft.change()

    def _ended(
        self,
        client_order_id: str,
        state: OrderState,
        reason: EndReason | None,
        text: str,
        now_ns: int,
    ) -> Change:
        order = self._own(client_order_id).order
        assert order is not None
        if order.state.rank >= OrderState.ACCEPTED.rank:
            return NOTHING  # the exchange has it, whatever this was about
        return self._own_state(client_order_id, state, reason, text, now_ns)

    def _own_state(
        self,
        client_order_id: str,
        state: OrderState,
        reason: EndReason | None,
        text: str,
        now_ns: int,
    ) -> Change:
        record = self._own(client_order_id)
        assert record.order is not None
        draft = Draft(now_ns)
        merged = order_state.climbed(record.order, record.facts, state, reason, text)
        self._books.after(record, merged, draft, now_ns)
        self._books.trim()
        return draft.change()

    def _own(self, client_order_id: str) -> Record:
        record = self._books.index.own(client_order_id)
        if record is None:
            raise UsageError(f"the ledger has no own order {client_order_id!r}")
        return record

    # --- what the exchange says ---

    def take(
        self,
        reports: Iterable[Report],
        now_ns: int,
        *,
        backfilled: bool = False,
        known: Known = _NO_KNOWN,
        whole_before_ns: int | None = None,
        ahead_ns: int = 0,
    ) -> Change:
        """What the exchange says, in any order and however often. What is known already changes
        nothing.

        :param backfilled: whether it was asked for, not pushed.
        :param known: what the store has answered to ``Change.wanted``.
        :param whole_before_ns: with these, all until then is in the ledger: :meth:`judge` at once.
            What was there before the first of the fills is told before them then. (Where some
            can't be taken yet, nothing is judged.)
        :param ahead_ns: by how much the exchange's clock is ahead of the local one.
        """
        draft = Draft(now_ns, backfilled, known.entries, ahead_ns)
        if known is not _NO_KNOWN:
            self._books.recall(known)
        takers = self._takers
        if whole_before_ns is not None:
            reports = sorted(reports, key=lambda each: not isinstance(each, _FIGURES))
            figures = sum(isinstance(each, _FIGURES) for each in reports)
            for report in reports[:figures]:
                takers[type(report)](report, draft, known)
            self._figures.reserve()
            reports = reports[figures:]
        for report in reports:
            takers[type(report)](report, draft, known)
        if whole_before_ns is not None:
            self._figures.judge(whole_before_ns, draft)
            draft.entries.sort(key=lambda entry: entry.number)
        self._books.trim()
        return draft.change()

    # --- positions and money ---

    def flat(
        self,
        market: Market,
        listed: Collection[tuple[str, PositionSide]],
        at_ns: int,
        now_ns: int,
        *,
        settle: str = "",
    ) -> Change:
        """A whole list of a market's positions (of a settlement asset), as of ``at_ns`` by the
        exchange's clock, has only these symbols and sides: all others are flat."""
        draft = Draft(now_ns)
        self._figures.positions.flat(market, listed, at_ns, draft, settle)
        return draft.change()

    def unverified(self, market: Market, now_ns: int, *, settle: str = "") -> Change:
        """The positions of a market couldn't be read, or not all: what is shown is the last word on
        them."""
        draft = Draft(now_ns)
        self._figures.positions.unverified(market, draft, settle)
        return draft.change()

    def nothing_else(self, listed: Collection[str], at_ns: int, now_ns: int) -> Change:
        """A whole list of balances, as of ``at_ns`` by the exchange's clock, has only these, by
        their names: there is nothing of all others."""
        draft = Draft(now_ns)
        self._figures.money.gone(listed, at_ns, draft)
        return draft.change()

    def judge(self, before_ns: int, now_ns: int) -> Change:
        """All fills and income until ``before_ns`` (by the exchange's clock) are in the ledger:
        tell, as adjustments, what they don't explain of positions and balances from before then,
        each difference once. To be called after each whole reconciliation."""
        draft = Draft(now_ns)
        self._figures.judge(before_ns, draft)
        return draft.change()

    def save(self, now_ns: int) -> Change:
        """Positions and balances as they are, for the store; as when the account is left. (The
        ledger stores them now and then by itself, and makes them up from the entries since.)"""
        draft = Draft(now_ns)
        self._figures.save(draft)
        return draft.change()

    def positions(self) -> list[Position]:
        """All that aren't flat, by the exchange's last word."""
        return self._figures.positions.shown()

    def position(self, symbol: str, side: PositionSide = PositionSide.NET) -> Position | None:
        """The exchange's last word on one, also where it is flat; None where there was none."""
        return self._figures.positions.one(symbol, side)

    def explained(self, symbol: str, side: PositionSide = PositionSide.NET) -> Decimal:
        """The size that opening, fills and adjustments of a position add up to. (Of spot: what was
        bought and sold.)"""
        return self._figures.positions.explained(symbol, side)

    def explained_positions(self) -> list[ExplainedPosition]:
        """:meth:`explained` of all."""
        return self._figures.positions.all_explained()

    def assets(self) -> list[str]:
        """All of which something is known, by the names of their balances."""
        return self._figures.money.assets()

    def explained_balance(self, name: str, time_ns: int) -> tuple[Decimal, Decimal] | None:
        """What opening, fills, income and adjustments of a balance add up to at a time (by the
        exchange's clock), and by how much rounding may change that; None where it can't be told."""
        return self._figures.money.explained(name, time_ns)

    def profit(self, symbol: str, side: PositionSide = PositionSide.NET) -> Profit | None:
        """What an instrument has earned; None where the ledger has nothing of it."""
        return self._figures.positions.profit(symbol, side)

    def balances(self) -> list[Balance]:
        """Of all assets of which there is something, by the exchange's last word."""
        return self._figures.money.shown()

    # --- cursors ---

    def cursor(self, key: str) -> int | None:
        """How far something was read; None where nothing is stored."""
        return self._cursors.get(key)

    def cursors(self, start: str) -> list[str]:
        """The names of those that begin so."""
        return [key for key in self._cursors if key.startswith(start)]

    def move_cursor(self, key: str, value: int, change: Change = NOTHING) -> Change:
        """Something was read so far: commit it with what was read there, ``change``."""
        self._cursors[key] = value
        return attrs.evolve(change, rows=(*change.rows, Cursor(key, value)))

    # --- reading ---

    def order(self, order_id: str) -> Order | None:
        """The order of a client id, or of an exchange's id, as far as it is in memory: open ones,
        and the newest of those that have ended."""
        record = self._record(order_id)
        return None if record is None else record.order

    def order_key(self, order_id: str) -> str:
        """The key by which the store has an order's fills; empty where it isn't in memory."""
        record = self._record(order_id)
        return "" if record is None else record.key

    def id_of(self, order: Order) -> str:
        """By which :meth:`order` finds an order that isn't own: the exchange's id, or, where
        another order has the same one (some are unique within a symbol alone), the store's key."""
        found = self._record(order.exchange_order_id)
        at = order.symbol, order.exchange_order_id
        if found is None or (found.symbol, found.exchange_order_id) == at:
            return order.exchange_order_id
        return others_key(*at)

    def told_of(self, symbol: str, exchange_order_id: str, client_order_id: str) -> Order | None:
        """The order in memory that a report was of; None where there is none."""
        record = self._books.index.by_exchange(symbol, exchange_order_id)
        if record is None and client_order_id:
            record = self._books.index.own(client_order_id)
        return None if record is None else record.order

    def hold(self, order_id: str) -> Record | None:
        """What keeps an order in memory as long as somebody has it; None where it isn't there."""
        return self._record(order_id)

    def _record(self, order_id: str) -> Record | None:
        index = self._books.index
        return (
            index.own(order_id)
            or index.by_id(order_id)
            or index.held(own_key(order_id))
            or index.held(order_id)
        )

    def alive(self) -> list[Order]:
        """Those of which :meth:`contradicted` is true."""
        return [
            record.order
            for record in self._books.index
            if record.order is not None and order_state.contradicted(record.order, record.facts)
        ]

    def orders(
        self,
        *,
        symbol: str | None = None,
        states: Collection[OrderState] | None = None,
        origin: Origin | None = None,
    ) -> list[Order]:
        """Orders in memory, as they became known."""
        return [
            record.order
            for record in self._books.index
            if record.order is not None
            and symbol in (None, record.symbol)
            and (states is None or record.order.state in states)
            and origin in (None, record.order.origin)
        ]
