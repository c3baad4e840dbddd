"""Positions and money together: what moves them, and when the store gets to know them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ccrs_core.model.accounts import Income, IncomeKind, MarginCall
from ccrs_core.model.events import named_asset
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Fill
from ccrs_core.model.reports import IncomeReport, MarginCallReport
from ccrs_core.trading import keys
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import Draft
from ccrs_core.trading.money import Money
from ccrs_core.trading.positions import Positions
from ccrs_core.trading.store import FIGURES, Cursor, Known, Stored

_EVERY = 64
"""Fills and income after which the store gets to know positions and balances anew, at least."""


class Figures:
    """What an account holds. Stored now and then; what has moved it since is in the entries."""

    def __init__(self, books: Books, purses: Mapping[Market, str]) -> None:
        self._books = books
        self._purse_of = purses
        self.positions = Positions(books)
        self.money = Money(books, purses)
        self._moves = 0
        """Entries since the store got to know them."""

    def restore(self, stored: Stored) -> None:
        """Begin with what a store holds."""
        self.positions.restore(stored)
        self.money.restore(stored)
        self._moves = 0
        for entry in stored.moves:
            if isinstance(entry.event, Fill):
                self._moved(entry.event, None)
            elif isinstance(entry.event, Income):
                self._came(entry.event)

    def filled(self, fill: Fill, instrument: Instrument, draft: Draft) -> None:
        """One more fill."""
        self._moved(fill, instrument)
        self._save_if_many(draft)

    def _moved(self, fill: Fill, instrument: Instrument | None) -> None:
        moved = self.positions.filled(fill, instrument)
        if moved is not None:
            self.money.filled(fill, *moved)
        self._moves += 1

    def fee_learned(self, fill: Fill, asset: str, fee: Decimal, draft: Draft) -> None:
        """The fee of a fill became known."""
        self.positions.fee_learned(fill, asset, fee)
        self.money.fee_learned(fill, asset, fee)
        self.save(draft)

    def side_learned(self, before: Fill, fill: Fill, draft: Draft) -> None:
        """Which of two positions a fill is of became known: it was ``before`` the other's."""
        moved = self.positions.side_learned(before, fill)
        if moved is not None:
            self.money.gained(fill, moved.settle, moved.gain)
        self.save(draft)

    def _came(self, income: Income) -> None:
        self.money.came(income)
        if income.symbol:
            self.positions.hint(income.symbol, income.kind)
        self._moves += 1

    def _save_if_many(self, draft: Draft) -> None:
        many = self._moves >= _EVERY and self._moves >= max(
            self.positions.longest, self.money.longest
        )
        if many or self.positions.fresh:
            self.save(draft)

    def save(self, draft: Draft) -> None:
        """The store has to have positions and balances as they are."""
        self.positions.save(draft)
        self.money.save(draft)
        self._moves = 0
        draft.rows[FIGURES] = Cursor(FIGURES, self._books.number)

    def reserve(self) -> None:
        """Openings may be told at the next judgement, and come before what is taken until then."""
        self.positions.reserve()
        self.money.reserve()

    def judge(self, before_ns: int, draft: Draft) -> None:
        """All entries until then are known: tell what they don't explain; nothing where some of
        this draft can't be taken yet."""
        if draft.held_back:
            self.positions.release()
            self.money.release()
            return
        self.positions.judge(before_ns, draft)
        self.money.judge(before_ns, draft)
        self.save(draft)

    def take_income(self, report: IncomeReport, draft: Draft, known: Known) -> None:
        """Money came or went, otherwise than by a fill."""
        if report.kind is IncomeKind.TRADE or report.of_fill:
            return  # its fill says it
        symbol, asset = "", report.asset
        purse = "" if report.market is None else self._purse_of.get(report.market, "")
        if report.market is not None and report.native:
            instrument = self._books.find(report.market, report.native)
            if instrument is None:
                draft.unplaced.append(report)
                return
            symbol, asset = instrument.symbol, asset or instrument.settle or ""
        key = keys.of_income(report.kind.value, named_asset(asset, purse), symbol, report.income_id)
        if self._books.entry(key, draft) is not None:
            return
        if self._books.horizon.hides(report.exchange_time_ns) and key not in known.wanted.keys:
            draft.keys.add(key)
            draft.doubtful.append(report)
            return
        income = Income(
            exchange=self._books.exchange,
            symbol=symbol,
            exchange_time_ns=report.exchange_time_ns,
            received_time_ns=report.received_time_ns,
            account=self._books.account,
            kind=report.kind,
            income_id=report.income_id,
            asset=asset,
            amount=report.amount,
            backfilled=draft.backfilled,
            native=report.native_fields,
            purse=purse,
        )
        self._came(self._books.tell(draft, income, key))
        self._save_if_many(draft)

    def take_margin_call(self, report: MarginCallReport, draft: Draft, known: Known) -> None:
        """The exchange's warning."""
        symbol = ""
        if report.market is not None and report.native:
            instrument = self._books.find(report.market, report.native)
            symbol = report.native if instrument is None else instrument.symbol
        self._books.tell(
            draft,
            MarginCall(
                exchange=self._books.exchange,
                symbol=symbol,
                exchange_time_ns=report.exchange_time_ns,
                received_time_ns=report.received_time_ns,
                account=self._books.account,
                text=report.text,
                maintenance_rate=report.maintenance_rate,
            ),
        )
