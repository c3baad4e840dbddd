"""What an exchange says of orders and fills, taken into the books: each fill once, each word
merged, nothing invented. What can't be placed, or may be of what was let go of, is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ccrs_core.model.accounts import LedgerConflict
from ccrs_core.model.constructors import fast_constructor, fast_evolve
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import EarlyFill, Fill, Order, OrderState, Origin
from ccrs_core.model.reports import EarlyFillReport, FillReport, OrderReport, StrangeReport
from ccrs_core.model.units import NS_PER_SECOND, PLAIN
from ccrs_core.trading import keys
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import Draft
from ccrs_core.trading.children import added
from ccrs_core.trading.figures import Figures
from ccrs_core.trading.fill_sides import FillSides
from ccrs_core.trading.order_state import (
    OPEN_QUESTIONS,
    Conflict,
    Facts,
    filled,
    reported,
    with_fee,
    with_fill,
)
from ccrs_core.trading.own_units import contract_of, fee_asset_of, in_own_units, value_of
from ccrs_core.trading.recall import Record, others_key
from ccrs_core.trading.store import Entry, Known, OrderRow

_new_fill = fast_constructor(Fill)
_evolve_fill = fast_evolve(Fill)
_NAMELESS_NS = 30 * NS_PER_SECOND
"""For how long a fill that may be an own order's waits for the word on which order that is."""
_MOST_NAMELESS = 1000


def _alive(guard: Record) -> bool:
    """Whether an own order that waited may place something yet, as far as is known."""
    order = guard.order
    return order is not None and (not order.state.final or order.fired)


class Intake:
    """Takes reports into an account's books."""

    def __init__(self, books: Books, figures: Figures) -> None:
        self._books = books
        self._figures = figures
        self.sides = FillSides(books, figures)
        self._nameless: dict[tuple[str, str], int] = {}
        """Orders of which fills are told, and nothing else, and since when."""

    def take_order(self, report: OrderReport, draft: Draft, known: Known) -> None:
        instrument = self._books.find(report.market, report.native)
        if instrument is None:
            draft.unplaced.append(report)
            return
        symbol = instrument.symbol
        exchange_id, client_id = report.exchange_order_id, report.client_order_id
        waits = report.state is OrderState.WAITING or report.trigger is not None
        placed = bool(report.fired_by) or not (waits or report.fired or report.children)
        record = self._books.known_order(symbol, exchange_id, client_id, draft, placed=placed)
        if (record is None or record.order is None) and self._books.may_be_forgotten(
            *((symbol, exchange_id, client_id), report.exchange_time_ns, report.created_ns, known),
        ):
            draft.wanted_orders.add((symbol, exchange_id, client_id))
            if report.fired_by:
                draft.wanted_orders.add((symbol, report.fired_by, report.fired_by))
            draft.doubtful.append(report)
            return
        if self._guard_wanted(record, symbol, exchange_id, report.fired_by, known, draft):
            draft.doubtful.append(report)
            return
        if record is not None and self.sides.must_ask(record, report, draft, known):
            return
        said = in_own_units(report, instrument)
        at = report.exchange_time_ns or draft.now_ns + draft.ahead_ns
        if record is not None and record.order is not None:
            merged = reported(record.order, record.facts, said, record.contract)
            self._books.after(record, merged, draft, at)
            self._guarded(record, said.client_order_id, draft, at)
            self.sides.learned(record, draft)
            return
        order = self._new_order(said, instrument, record)
        if order is None:
            self._books.conflict(
                Conflict("order without id, side or type", "", str(report.native_fields or report)),
                *(symbol, exchange_id, client_id, draft),
            )
            return
        if record is None:
            key, contract = others_key(symbol, exchange_id), contract_of(instrument)
            row = OrderRow(key, symbol, client_id, exchange_id, None, Facts(), at, contract)
            record = self._books.index.add(row)
        record.client_order_id = record.client_order_id or client_id
        merged = reported(order, record.facts, said, record.contract)
        self._books.after(record, merged._replace(changed=True), draft, at)
        self._guarded(record, said.client_order_id, draft, at)
        self.sides.learned(record, draft)

    def _guard_wanted(
        self,
        record: Record | None,
        symbol: str,
        exchange_id: str,
        fired_by: str,
        known: Known,
        draft: Draft,
    ) -> bool:
        """Whether the store has to tell what has waited, before a word on what that has placed."""
        if record is not None:
            if record.guard is not None:
                return False
            fired_by = fired_by or ("" if record.order is None else record.order.fired_by)
        if not self._books.guard_may_be_forgotten(symbol, exchange_id, fired_by, known):
            return False
        draft.wanted_orders.add((symbol, fired_by, fired_by))
        return True

    def _guarded(self, record: Record, client_id: str, draft: Draft, time_ns: int) -> None:
        """Find what has placed an order, where a trigger has: by the word on either of them, or as
        it has the client's id of an own one that waits."""
        if record.guard is not None or not record.exchange_order_id:
            return
        index, order = self._books.index, record.order
        fired_by = "" if order is None else order.fired_by
        guard = index.guard_of(record.symbol, record.exchange_order_id, fired_by)
        if guard is None and client_id and not record.own:
            own = index.own(client_id)
            if own is not None and own.symbol == record.symbol and own.waits and _alive(own):
                guard = own
        if guard is record:
            return
        if guard is not None:
            self._books.guard(record, guard, draft, time_ns)
        elif fired_by:
            index.guarded(record, None, fired_by)

    def _new_order(
        self, said: OrderReport, instrument: Instrument, record: Record | None
    ) -> Order | None:
        """An order of which nothing was known, as far as a word on it tells; without its figures,
        which are merged like any other's."""
        if not said.exchange_order_id or said.side is None or said.type is None:
            return None
        origin = Origin.EXCHANGE if said.by_exchange else Origin.OTHER
        asked = self._books.index.own(said.client_order_id) if said.client_order_id else None
        if asked is not None and asked.symbol == instrument.symbol:
            origin = Origin.OWN  # a further order that came of an own one's
        guard = None if record is None else record.guard
        if guard is None:
            ids = said.exchange_order_id, said.fired_by
            guard = self._books.index.guard_of(instrument.symbol, *ids)
        fired_by = said.fired_by
        if guard is not None and guard.order is not None:
            fired_by = fired_by or guard.exchange_order_id or guard.client_order_id
            origin = guard.order.origin if origin is Origin.OTHER else origin
        return Order(
            exchange=self._books.exchange,
            account=self._books.account,
            symbol=instrument.symbol,
            market=instrument.market,
            client_order_id=said.client_order_id,
            exchange_order_id=said.exchange_order_id,
            side=said.side,
            type=said.type,
            state=OrderState.ACCEPTED if said.state.rank > OrderState.ACCEPTED.rank else said.state,
            origin=origin,
            fired_by=fired_by,
        )

    def take_fill(self, report: FillReport, draft: Draft, known: Known) -> None:
        instrument = self._books.find(report.market, report.native)
        if instrument is None:
            draft.unplaced.append(report)
            return
        symbol, time_ns = instrument.symbol, report.exchange_time_ns
        exchange_id, client_id = report.exchange_order_id, report.client_order_id
        key = keys.of_fill(report.market, symbol, report.fill_id, exchange_id)
        factor = instrument.base_per_native_contract
        size = report.size if factor is None else PLAIN.multiply(report.size, factor)
        before = self._books.entry(key, draft)
        if before is not None:
            self._repeated(before, report, size, instrument, draft)
            return
        if self._books.horizon.hides(time_ns) and key not in known.wanted.keys:
            draft.keys.add(key)
            draft.wanted_orders.add((symbol, exchange_id, client_id))
            draft.doubtful.append(report)
            return
        record = self._books.known_order(symbol, exchange_id, client_id, draft, placed=True)
        ids = (symbol, exchange_id, client_id)
        if record is None and self._books.may_be_forgotten(ids, time_ns, None, known):
            draft.keys.add(key)
            draft.wanted_orders.add(ids)
            draft.doubtful.append(report)
            return
        if record is None and draft.backfilled and self._may_be_unknown_ones(report, symbol, draft):
            draft.nameless.append(report)
            return
        if self._guard_wanted(record, symbol, exchange_id, "", known, draft):
            draft.keys.add(key)
            draft.doubtful.append(report)
            return
        if record is None:
            key_of_order = others_key(symbol, exchange_id)
            contract = contract_of(instrument)
            record = self._books.index.add(
                OrderRow(
                    *(key_of_order, symbol, client_id, exchange_id, None, Facts(), time_ns),
                    contract,
                )
            )
        if record.guard is None:
            self._guarded(record, client_id, draft, time_ns)
        order = record.order
        origin = Origin.EXCHANGE if report.by_exchange else Origin.OTHER
        side: PositionSide | None = report.position_side
        if order is not None:
            client_id = client_id or order.client_order_id
            origin = order.origin
            side = order.position_side if side is None else side
        elif record.guard is not None and record.guard.order is not None:
            client_id = client_id or record.guard.client_order_id  # nothing else tells whose it is
            origin = record.guard.order.origin
            side = record.guard.order.position_side if side is None else side
        value, fee_asset = report.value, fee_asset_of(report, instrument)
        if value is None:
            value = value_of(instrument, report.price, size)
        number = self._books.next_number()
        fill = _new_fill(
            exchange=self._books.exchange,
            symbol=symbol,
            exchange_time_ns=time_ns,
            received_time_ns=report.received_time_ns,
            account=self._books.account,
            number=number,
            market=report.market,
            fill_id=report.fill_id,
            exchange_order_id=exchange_id,
            client_order_id=client_id,
            side=report.side,
            price=report.price,
            size=size,
            value=value,
            fee=report.fee,
            fee_asset=fee_asset,
            liquidity=report.liquidity,
            kind=report.kind,
            origin=origin,
            position_side=PositionSide.NET if side is None else side,
            backfilled=draft.backfilled,
            again=False,
            sequence=report.sequence,
            native=report.native_fields,
        )
        entry = Entry(number, fill, key, record.key)
        self._books.seen.add(entry)
        draft.entries.append(entry)
        self._figures.filled(fill, instrument, draft)
        if side is None and report.market is not Market.SPOT:
            record.facts = record.facts._replace(sideless=(*record.facts.sideless, key))
        if order is None:
            record.facts = with_fill(record.facts, size, value, report.fee, fee_asset)
            self._books.keep(record, draft, time_ns)
            return
        merged = filled(
            order,
            record.facts,
            size=size,
            value=value,
            fee=report.fee,
            fee_asset=fee_asset,
            exchange_time_ns=time_ns,
            received_time_ns=report.received_time_ns,
            contract=record.contract,
        )
        self._books.after(record, merged, draft, time_ns)
        self.sides.learned(record, draft)

    def _may_be_unknown_ones(self, report: FillReport, symbol: str, draft: Draft) -> bool:
        """Whether a fill without the client's id may be of an own order of unknown outcome: lists
        may tell it by the exchange's id alone. For so long somebody asks which order that is."""
        if report.client_order_id or report.by_exchange:
            return False
        at, waiting = (symbol, report.exchange_order_id), self._nameless
        for record in self._books.index.unsettled:
            order = record.order
            if (
                order is not None
                and record.own
                and order.state in OPEN_QUESTIONS
                and not order.exchange_order_id
                and (order.symbol, order.side) == (symbol, report.side)
            ):
                break
        else:
            waiting.pop(at, None)
            return False
        since = waiting.setdefault(at, draft.now_ns)
        if not since <= draft.now_ns < since + _NAMELESS_NS:
            del waiting[at]
            return False
        if len(waiting) > _MOST_NAMELESS:
            del waiting[next(iter(waiting))]
        return True

    def _repeated(
        self,
        before: Entry,
        report: FillReport,
        size: Decimal,
        instrument: Instrument,
        draft: Draft,
    ) -> None:
        """A fill that is known: it may say its fee only now, and must say the same otherwise."""
        fill = before.event
        assert isinstance(fill, Fill)
        if (fill.side, fill.price, fill.size) != (report.side, report.price, size):
            self._books.conflict(
                Conflict(
                    f"fill {fill.fill_id}",
                    f"{fill.side.value} {fill.size:f} at {fill.price:f}",
                    f"{report.side.value} {size:f} at {report.price:f}",
                ),
                *(fill.symbol, fill.exchange_order_id, fill.client_order_id, draft),
            )
            return
        if report.fee is None:
            return
        asset = fee_asset_of(report, instrument)
        if fill.fee is None:
            self._fee_learned(before, fill, report, asset, draft)
        elif (fill.fee, fill.fee_asset) != (report.fee, asset):
            self._books.conflict(
                Conflict(
                    f"fee of fill {fill.fill_id}",
                    f"{fill.fee:f} {fill.fee_asset}",
                    f"{report.fee:f} {asset}",
                ),
                *(fill.symbol, fill.exchange_order_id, fill.client_order_id, draft),
            )

    def _fee_learned(
        self, before: Entry, fill: Fill, report: FillReport, fee_asset: str, draft: Draft
    ) -> None:
        assert report.fee is not None
        fee: dict[str, Any] = {"fee": report.fee, "fee_asset": fee_asset}
        if fill.liquidity is None:
            fee["liquidity"] = report.liquidity
        entry = Entry(before.number, _evolve_fill(fill, fee), before.key, before.order)
        self._books.seen.add(entry)
        draft.rows[before.key] = entry
        self._figures.fee_learned(fill, fee_asset, report.fee, draft)
        record = self._books.known_order(fill.symbol, fill.exchange_order_id, "", draft)
        if record is None:
            return
        if record.order is None:
            fees = added(record.facts.fees, fee_asset, report.fee)
            record.facts = record.facts._replace(fees=fees)
            self._books.keep(record, draft, 0)
        else:
            merged = with_fee(record.order, record.facts, fee_asset, report.fee)
            self._books.after(record, merged, draft, 0)

    def take_early(self, report: EarlyFillReport, draft: Draft, known: Known) -> None:
        instrument = self._books.find(report.market, report.native)
        if instrument is None:
            return  # it is worth nothing later
        factor = instrument.base_per_native_contract
        draft.early.append(
            EarlyFill(
                exchange=self._books.exchange,
                symbol=instrument.symbol,
                exchange_time_ns=report.exchange_time_ns,
                received_time_ns=report.received_time_ns,
                account=self._books.account,
                market=report.market,
                fill_id=report.fill_id,
                exchange_order_id=report.exchange_order_id,
                client_order_id=report.client_order_id,
                side=report.side,
                price=report.price,
                size=report.size if factor is None else PLAIN.multiply(report.size, factor),
            )
        )

    def take_strange(self, report: StrangeReport, draft: Draft, known: Known) -> None:
        symbol = ""
        if report.market is not None and report.native:
            instrument = self._books.find(report.market, report.native)
            symbol = report.native if instrument is None else instrument.symbol
        told = " ".join(f"{name}={value}" for name, value in sorted(report.native_fields.items()))
        key = keys.of_strange(report.what, report.exchange_time_ns, symbol, told)
        if self._books.entry(key, draft) is not None:
            return
        if self._books.horizon.hides(report.exchange_time_ns) and key not in known.wanted.keys:
            draft.keys.add(key)
            draft.doubtful.append(report)
            return
        self._books.tell(
            draft,
            LedgerConflict(
                exchange=self._books.exchange,
                symbol=symbol,
                exchange_time_ns=report.exchange_time_ns,
                received_time_ns=report.received_time_ns,
                account=self._books.account,
                what=f"row of an unknown kind: {report.what}",
                known="",
                told=told,
            ),
            key,
        )
