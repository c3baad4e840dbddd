"""Positions: the exchange's figure is shown, the ledger's fills explain it, the rest is told.

Also what each has earned, by average cost (:mod:`ccrs_core.trading.profit`): of what is held of an
instrument, spot included, since the ledger began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

import attrs

from ccrs_core.model.accounts import Adjustment, AdjustmentKind, IncomeKind, Position, Profit
from ccrs_core.model.constructors import fast_constructor, fast_evolve
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Fill
from ccrs_core.model.reports import PositionReport
from ccrs_core.model.units import NS_PER_SECOND, PLAIN
from ccrs_core.trading import keys
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import Draft
from ccrs_core.trading.children import added
from ccrs_core.trading.moves import Move, Told
from ccrs_core.trading.own_units import contract_of
from ccrs_core.trading.profit import ProfitBook, Step
from ccrs_core.trading.store import Known, PositionRow, Stored
from ccrs_core.trading.tally import Judged, Tally, guessed_ns

ZERO = Decimal(0)
_LAG_NS = 120 * NS_PER_SECOND
"""By how much a list may lag behind what has happened."""
_new_position = fast_constructor(Position)
_HINTS = {
    IncomeKind.DELIVERY: AdjustmentKind.DELIVERY,
    IncomeKind.EXERCISE: AdjustmentKind.EXERCISE,
    IncomeKind.INSURANCE: AdjustmentKind.INSURANCE,
}
"""What money that came explains a position's change by."""
_figures = attrgetter(
    *(
        field.name
        for field in attrs.fields(Position)
        if field.name not in ("exchange_time_ns", "received_time_ns", "number", "native")
    )
)
_evolve_position = fast_evolve(Position)


class _Holding:
    """One position: the exchange's word on it, what explains it, and what it has earned."""

    __slots__ = (
        *("base", "contract", "fees", "hint", "key", "market", "position", "profit"),
        *("settle", "side", "symbol", "tally"),
    )

    def __init__(self, row: PositionRow) -> None:
        self.key = row.key
        self.market = row.market
        self.symbol = row.symbol
        self.side = row.side
        self.base = row.base
        self.settle = row.settle
        self.contract = row.contract
        self.position = row.position
        self.tally = Tally(row.tally)
        self.profit = ProfitBook(row.contract, row.profit)
        self.fees = row.fees
        self.hint = row.hint

    @property
    def length(self) -> int:
        """How many entries it has to be stored with."""
        return len(self.tally.moves) + self.profit.steps

    @property
    def nothing(self) -> bool:
        """Whether it isn't one: what counted as of it turned out to be of another."""
        return self.position is None and not len(self.tally.moves) and not self.profit.held.size

    def there(self, at_ns: int) -> bool:
        """Whether there is something of it that a list of then has to have: by the exchange's word
        or, where it never said one, by fills that aren't so new that the list may lag."""
        if self.position is not None:
            return bool(self.position.size)
        moves = self.tally.moves
        newest_ns = max((each.time_ns for each in moves), default=at_ns)
        return bool(self.profit.held.size) and newest_ns <= at_ns - _LAG_NS

    def row(self) -> PositionRow:
        """What the store keeps of it."""
        return PositionRow(
            key=self.key,
            market=self.market,
            symbol=self.symbol,
            side=self.side,
            base=self.base,
            settle=self.settle,
            contract=self.contract,
            position=self.position,
            tally=self.tally.state,
            profit=self.profit.state,
            fees=self.fees,
            hint=self.hint,
        )


class Moved(NamedTuple):
    """What a fill has done to a position."""

    base: str
    settle: str
    """Of its instrument."""
    gain: Decimal
    """By how much the realised profit has changed."""


class ExplainedPosition(NamedTuple):
    """A position by what the ledger has entries of."""

    market: Market
    symbol: str
    side: PositionSide
    size: Decimal | None
    """None: what was there when the ledger began isn't judged yet."""


class Positions:
    """Of one account. Written by the ledger alone."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._holdings: dict[str, _Holding] = {}
        self._changed: set[str] = set()
        """Keys of those that the store doesn't have as they are."""
        self.fresh = False
        """Whether there is one that the store has never had."""
        self._reserved: dict[str, int] = {}
        """Numbers of openings, which come before what they are followed by."""

    def restore(self, stored: Stored) -> None:
        """Begin with what a store holds."""
        self._holdings = {row.key: _Holding(row) for row in stored.positions}

    def save(self, draft: Draft) -> None:
        """The store has to have all that has changed."""
        for key in self._changed:
            draft.rows[key] = self._holdings[key].row()
        self._changed.clear()
        self.fresh = False

    @property
    def longest(self) -> int:
        """The most entries that one that has changed has to be stored with."""
        return max((self._holdings[key].length for key in self._changed), default=0)

    def _holding(self, instrument: Instrument, side: PositionSide) -> _Holding:
        key = _key(instrument.symbol, side)
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = _Holding(
                PositionRow(
                    key=key,
                    market=instrument.market,
                    symbol=instrument.symbol,
                    side=side,
                    base=instrument.base,
                    settle=instrument.settle or instrument.quote,
                    contract=contract_of(instrument),
                )
            )
            self.fresh = True
        return holding

    def filled(self, fill: Fill, instrument: Instrument | None) -> Moved | None:
        """One more fill. Without its instrument it must be of what is held already: of what isn't,
        None is returned."""
        holding = self._holdings.get(_key(fill.symbol, fill.position_side))
        if holding is None:
            if instrument is None:
                return None
            holding = self._holding(instrument, fill.position_side)
        return self._book(holding, fill)

    def _book(self, holding: _Holding, fill: Fill) -> Moved:
        self._changed.add(holding.key)
        move, step = _move_of(fill), _step_of(fill)
        if fill.fee is not None:
            holding.fees = added(holding.fees, fill.fee_asset, fill.fee)
        begun = True
        if fill.market is not Market.SPOT:
            holding.tally.move(move)
            begun = holding.tally.begun
        return Moved(holding.base, holding.settle, holding.profit.add(step, begun))

    def side_learned(self, before: Fill, fill: Fill) -> Moved | None:
        """A fill is of the other of two positions than it was ``before``; None where it wasn't of
        any."""
        holding = self._holdings.get(_key(before.symbol, before.position_side))
        if holding is None:
            return None
        self._changed.add(holding.key)
        if before.fee is not None:
            holding.fees = added(holding.fees, before.fee_asset, -before.fee)
        holding.tally.take_back(_move_of(before))
        lost = holding.profit.take_back(_step_of(before))
        key = _key(fill.symbol, fill.position_side)
        other = self._holdings.get(key)
        if other is None:
            row = PositionRow(
                key=key,
                market=holding.market,
                symbol=holding.symbol,
                side=fill.position_side,
                base=holding.base,
                settle=holding.settle,
                contract=holding.contract,
            )
            other = self._holdings[key] = _Holding(row)
            self.fresh = True
        moved = self._book(other, fill)
        return moved._replace(gain=PLAIN.add(lost, moved.gain))

    def fee_learned(self, fill: Fill, asset: str, fee: Decimal) -> None:
        """The fee of a fill became known."""
        holding = self._holdings.get(_key(fill.symbol, fill.position_side))
        if holding is not None:
            holding.fees = added(holding.fees, asset, fee)
            self._changed.add(holding.key)

    def hint(self, symbol: str, kind: IncomeKind) -> None:
        """Money came that tells why a position changes otherwise than by fills."""
        told = _HINTS.get(kind)
        for side in PositionSide if told is not None else ():
            holding = self._holdings.get(_key(symbol, side))
            if holding is not None:
                holding.hint = told
                self._changed.add(holding.key)

    def take(self, report: PositionReport, draft: Draft, known: Known) -> None:
        """The exchange's word on a position."""
        instrument = self._books.find(report.market, report.native)
        if instrument is None:
            draft.unplaced.append(report)
            return
        factor = instrument.base_per_native_contract
        size = report.size if factor is None else PLAIN.multiply(report.size, factor)
        position = _new_position(
            exchange=self._books.exchange,
            symbol=instrument.symbol,
            exchange_time_ns=report.exchange_time_ns,
            received_time_ns=report.received_time_ns,
            account=self._books.account,
            market=report.market,
            side=report.side,
            size=size,
            settle=report.settle or instrument.settle or instrument.quote,
            entry_price=report.entry_price,
            mark_price=report.mark_price,
            liquidation_price=report.liquidation_price,
            leverage=report.leverage,
            margin_mode=report.margin_mode,
            initial_margin=report.initial_margin,
            maintenance_margin=report.maintenance_margin,
            unrealised_profit=report.unrealised_profit,
            realised_profit=report.realised_profit,
            native=report.native_fields,
        )
        self._told(self._holding(instrument, report.side), position, report.sequence, draft)

    def _told(
        self,
        holding: _Holding,
        position: Position,
        sequence: int | None,
        draft: Draft,
        as_of_ns: int | None = None,
    ) -> None:
        known, time_ns = holding.position, position.exchange_time_ns
        guessed = known is not None and known.exchange_time_ns is None
        if time_ns is None:
            found = self._guessed(holding, position, draft, as_of_ns)
            if found is None:
                return
            time_ns = found
        told = Told(position.size, time_ns, -1 if sequence is None else sequence)
        # A list that tells a time was asked for after all that is known: when that was so is a
        # guess, which may be wrong by as much as an answer, or this program, was late.
        corrects = guessed and draft.backfilled and position.exchange_time_ns is not None
        if not holding.tally.tell(told, corrects=corrects):
            return
        self._changed.add(holding.key)
        before = holding.position
        if before is None or _figures(before) != _figures(position):
            number = self._books.next_number()
            position = _evolve_position(position, {"number": number})
            self._books.note(draft, number, position)
            holding.position = position
        else:
            holding.position = _evolve_position(position, {"number": before.number})

    def _guessed(
        self, holding: _Holding, position: Position, draft: Draft, as_of_ns: int | None
    ) -> int | None:
        """When something was so that is told without a time; None where that is no news."""
        if as_of_ns is not None:
            return as_of_ns
        known = holding.position
        return guessed_ns(
            zero=not position.size,
            known=known is not None,
            timed=known is not None and known.exchange_time_ns is not None,
            told=holding.tally.told,
            listed=draft.backfilled,
            arrived_ns=position.received_time_ns + draft.ahead_ns,
        )

    def flat(
        self,
        market: Market,
        listed: Collection[tuple[str, PositionSide]],
        at_ns: int,
        draft: Draft,
        settle: str = "",
    ) -> None:
        """A whole list of a market's positions (of a settlement asset) has only these symbols and
        sides: all others are flat."""
        for holding in self._of(market, settle):
            known = holding.position
            if (holding.symbol, holding.side) in listed or not holding.there(at_ns):
                continue
            gone = Position(
                exchange=self._books.exchange,
                symbol=holding.symbol,
                exchange_time_ns=None,
                received_time_ns=draft.now_ns,
                account=self._books.account,
                market=market,
                side=holding.side,
                size=ZERO,
                settle=holding.settle,
                leverage=None if known is None else known.leverage,
                margin_mode=None if known is None else known.margin_mode,
            )
            as_of_ns = at_ns if known is not None else at_ns - _LAG_NS
            self._told(holding, gone, None, draft, as_of_ns)

    def unverified(self, market: Market, draft: Draft, settle: str = "") -> None:
        """The positions of a market couldn't be read: what is shown is the last word on them."""
        for holding in self._of(market, settle):
            known = holding.position
            if known is not None and known.size and known.verified:
                number = self._books.next_number()
                holding.position = attrs.evolve(known, verified=False, number=number)
                self._books.note(draft, number, holding.position)
                self._changed.add(holding.key)

    def _of(self, market: Market, settle: str) -> Iterable[_Holding]:
        return [
            holding
            for holding in self._holdings.values()
            if holding.market is market and settle in ("", holding.settle)
        ]

    def reserve(self) -> None:
        """Openings may be told at the next judgement, and come before what is taken until then."""
        for holding in self._holdings.values():
            if not holding.tally.begun and holding.tally.told is not None:
                self._reserved[holding.key] = self._books.next_number()

    def release(self) -> None:
        """What was reserved isn't used."""
        self._reserved.clear()

    def judge(self, before_ns: int, draft: Draft) -> None:
        """All fills until then are known: tell what they don't explain of figures from before."""
        for holding in list(self._holdings.values()):
            if holding.market is Market.SPOT:
                continue  # borrowed: what is traded of spot moves balances, and explains none
            tally = holding.tally
            begun, anchor_ns = tally.begun, tally.anchor_ns
            found = list(tally.judgements(before_ns))
            if found or (begun, anchor_ns) != (tally.begun, tally.anchor_ns):
                self._changed.add(holding.key)
            for judged in found:
                self._differs(holding, judged, draft)
        self.release()

    def _differs(self, holding: _Holding, judged: Judged, draft: Draft) -> None:
        rest, told = judged.rest, judged.told
        assert holding.position is not None
        kind, price, at = AdjustmentKind.OPENING, holding.position.entry_price, 0
        ended = not told.figure and holding.hint is not None
        if ended or not judged.opening:
            kind, price, at = holding.hint or AdjustmentKind.UNEXPLAINED, None, told.time_ns
            holding.hint = None
        number = self._reserved.pop(holding.key, None) or self._books.next_number()
        holding.profit.add(Step(at, -1, number, rest, price))
        self._books.adjust(
            draft,
            Adjustment(
                exchange=self._books.exchange,
                symbol=holding.symbol,
                exchange_time_ns=told.time_ns,
                received_time_ns=draft.now_ns,
                account=self._books.account,
                kind=kind,
                adjustment_id=keys.digest(kind.value, holding.key, *judged.content),
                amount=rest,
                asset="",
                side=holding.side,
                number=number,
            ),
        )

    # --- reading ---

    def shown(self) -> list[Position]:
        """All that aren't flat."""
        found = (holding.position for holding in self._holdings.values())
        return [position for position in found if position is not None and position.size]

    def one(self, symbol: str, side: PositionSide) -> Position | None:
        """The exchange's last word on one; None where there was none."""
        holding = self._holdings.get(_key(symbol, side))
        return None if holding is None else holding.position

    def explained(self, symbol: str, side: PositionSide) -> Decimal:
        """What opening, fills and adjustments of one add up to."""
        holding = self._holdings.get(_key(symbol, side))
        if holding is None:
            return ZERO
        return holding.profit.held.size

    def all_explained(self) -> list[ExplainedPosition]:
        """What opening, fills and adjustments of each add up to. (Of spot: what was bought and
        sold.)"""
        return [
            ExplainedPosition(
                *(each.market, each.symbol, each.side),
                each.profit.held.size if each.tally.begun else None,
            )
            for each in self._holdings.values()
            if not each.nothing
        ]

    def profit(self, symbol: str, side: PositionSide) -> Profit | None:
        """What one has earned; None where the ledger has nothing of it."""
        holding = self._holdings.get(_key(symbol, side))
        if holding is None:
            return None
        book = holding.profit
        return Profit(
            exchange=self._books.exchange,
            account=self._books.account,
            symbol=symbol,
            side=side,
            asset=holding.settle,
            size=book.held.size,
            entry_price=book.entry_price,
            realised=book.held.realised,
            fees=holding.fees,
            out_of_order=book.out_of_order,
        )


def _signed(fill: Fill) -> Decimal:
    return fill.size if fill.side is Side.BUY else -fill.size


def _move_of(fill: Fill) -> Move:
    sequence = -1 if fill.sequence is None else fill.sequence
    return Move(fill.exchange_time_ns or 0, sequence, fill.number, _signed(fill))


def _step_of(fill: Fill) -> Step:
    sequence = -1 if fill.sequence is None else fill.sequence
    return Step(fill.exchange_time_ns or 0, sequence, fill.number, _signed(fill), fill.price)


def _key(symbol: str, side: PositionSide) -> str:
    return f"position {symbol} {side.value}"
