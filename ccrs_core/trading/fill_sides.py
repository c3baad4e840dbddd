"""Which of two positions fills are of, where only their order tells: such a fill counts as of the
one position there is (NET) until its order is known, and of the right one from then on."""

from __future__ import annotations

from ccrs_core.model.constructors import fast_evolve
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Fill
from ccrs_core.model.reports import OrderReport
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import Draft
from ccrs_core.trading.figures import Figures
from ccrs_core.trading.recall import Record
from ccrs_core.trading.store import Entry, Known

_evolve_fill = fast_evolve(Fill)


class FillSides:
    """Books fills anew once the side of their order is known."""

    def __init__(self, books: Books, figures: Figures) -> None:
        self._books = books
        self._figures = figures

    def must_ask(self, record: Record, report: OrderReport, draft: Draft, known: Known) -> bool:
        """Whether fills that a word on their order gives a side to are the store's alone: it is
        asked for them first."""
        if not record.facts.sideless or report.position_side is None:
            return False
        missing = {k for k in record.facts.sideless if self._books.entry(k, draft) is None}
        if not missing or missing <= known.wanted.keys:
            return False
        draft.keys |= missing
        draft.wanted_orders.add(
            (record.symbol, report.exchange_order_id, report.client_order_id),
        )
        draft.doubtful.append(report)
        return True

    def learned(self, record: Record, draft: Draft) -> None:
        """Something became known of an order: where that is its side, its fills are of it, too."""
        order, waiting = record.order, record.facts.sideless
        if not waiting or order is None:
            return
        if not record.own and "position_side" not in record.facts.versions:
            return
        left = []
        for key in waiting:
            entry = self._books.entry(key, draft)
            if entry is None:
                left.append(key)  # the store has it, and is asked with the next word on the order
            elif isinstance(entry.event, Fill):
                self._book(entry, entry.event, order.position_side, draft)
        if len(left) < len(waiting):
            record.facts = record.facts._replace(sideless=tuple(left))
            self._books.keep(record, draft, 0)

    def _book(self, entry: Entry, fill: Fill, side: PositionSide, draft: Draft) -> None:
        if fill.position_side is side:
            return
        booked = _evolve_fill(fill, {"position_side": side})
        new = Entry(entry.number, booked, entry.key, entry.order)
        self._books.seen.add(new)
        for at, each in enumerate(draft.entries):
            if each.number == entry.number:
                draft.entries[at] = new  # nobody was told of it yet
                break
        else:
            draft.rows[entry.key] = new
        self._figures.side_learned(fill, booked, draft)
