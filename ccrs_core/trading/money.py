"""Balances and money that came or went: the exchange's figure is shown, entries explain it, the
rest is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

import attrs

from ccrs_core.model.accounts import Adjustment, AdjustmentKind, Income
from ccrs_core.model.constructors import fast_evolve
from ccrs_core.model.events import Balance, named_asset
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.orders import Fill
from ccrs_core.model.units import PLAIN
from ccrs_core.trading import keys
from ccrs_core.trading.books import Books
from ccrs_core.trading.change import Draft
from ccrs_core.trading.moves import Move, Told
from ccrs_core.trading.store import BalanceRow, Known, Stored
from ccrs_core.trading.tally import Judged, Tally, guessed_ns

ZERO = Decimal(0)
_CRUMB = Decimal("0.00000001")
"""What the exchange's rounding of one profit may come to."""
_evolve_balance = fast_evolve(Balance)


class _Purse:
    """One asset: the exchange's word on it, and what explains it."""

    __slots__ = ("asset", "balance", "name", "purse", "roundings", "tally")

    def __init__(self, row: BalanceRow) -> None:
        self.asset = row.asset
        self.purse = row.purse
        self.name = row.name
        self.balance = row.balance
        self.tally = Tally(row.tally)
        self.roundings = row.roundings

    def row(self) -> BalanceRow:
        """What the store keeps of it."""
        return BalanceRow(
            asset=self.asset,
            balance=self.balance,
            tally=self.tally.state,
            roundings=self.roundings,
            purse=self.purse,
        )


class Money:
    """Of one account. Written by the ledger alone.

    :param purses: by market the wallet that its fills move, where there are several.
    """

    def __init__(self, books: Books, purses: Mapping[Market, str]) -> None:
        self._books = books
        self._purse_of = purses
        self._purses: dict[str, _Purse] = {}
        self._changed: set[str] = set()
        """Assets of which the store doesn't have all."""
        self._reserved: dict[str, int] = {}
        """Numbers of openings, which come before what they are followed by."""

    def restore(self, stored: Stored) -> None:
        """Begin with what a store holds."""
        self._purses = {row.name: _Purse(row) for row in stored.balances}

    def save(self, draft: Draft) -> None:
        """The store has to have all that has changed."""
        for name in self._changed:
            draft.rows[f"balance {name}"] = self._purses[name].row()
        self._changed.clear()

    @property
    def longest(self) -> int:
        """The most entries that one that has changed has to be stored with."""
        return max((len(self._purses[each].tally.moves) for each in self._changed), default=0)

    def _purse(self, asset: str, where: str) -> _Purse:
        name = named_asset(asset, where)
        purse = self._purses.get(name)
        if purse is None:
            row = BalanceRow(asset=asset, balance=None, purse=where)
            purse = self._purses[name] = _Purse(row)
        self._changed.add(name)
        return purse

    def filled(self, fill: Fill, base: str, settle: str, gain: Decimal) -> None:
        """A fill moves money: of spot and of options what was traded and its price, else the profit
        that it realises; and its fee."""
        amounts: dict[str, Decimal] = {}
        bought, where = fill.side is Side.BUY, self._purse_of.get(fill.market, "")
        if fill.market is Market.SPOT or fill.market is Market.OPTION:
            if fill.value is not None:
                amounts[settle] = -fill.value if bought else fill.value
            if fill.market is Market.SPOT:
                size = fill.size if bought else -fill.size
                amounts[base] = PLAIN.add(amounts.get(base, ZERO), size)
        elif gain:
            amounts[settle] = gain
            self._purse(settle, where).roundings += 1
        if fill.fee is not None:
            known = amounts.get(fill.fee_asset, ZERO)
            amounts[fill.fee_asset] = PLAIN.subtract(known, fill.fee)
        for asset, amount in amounts.items():
            move = Move(fill.exchange_time_ns or 0, -1, fill.number, amount)
            self._purse(asset, where).tally.move(move)

    def gained(self, fill: Fill, settle: str, gain: Decimal) -> None:
        """The profit that a fill has realised is another one than was known, by so much."""
        if gain and fill.market not in (Market.SPOT, Market.OPTION):
            move = Move(fill.exchange_time_ns or 0, -1, fill.number, gain)
            purse = self._purse(settle, self._purse_of.get(fill.market, ""))
            purse.roundings += 1
            purse.tally.move(move)

    def fee_learned(self, fill: Fill, asset: str, fee: Decimal) -> None:
        """The fee of a fill became known."""
        move = Move(fill.exchange_time_ns or 0, -1, fill.number, -fee)
        self._purse(asset, self._purse_of.get(fill.market, "")).tally.move(move)

    def came(self, income: Income) -> None:
        """Money came or went."""
        move = Move(income.exchange_time_ns or 0, -1, income.number, income.amount)
        self._purse(income.asset, income.purse).tally.move(move)

    def take(self, balance: Balance, draft: Draft, known: Known) -> None:
        """The exchange's word on what there is of an asset."""
        figure = balance.total if balance.wallet is None else balance.wallet
        purse = self._purse(balance.asset, balance.purse)
        before, time_ns = purse.balance, balance.exchange_time_ns
        guessed = before is not None and before.exchange_time_ns is None
        # A list that tells a time was asked for after all that is known: see Positions.
        corrects = guessed and draft.backfilled and time_ns is not None
        if time_ns is None:
            time_ns = guessed_ns(
                zero=not figure,
                known=before is not None,
                timed=before is not None and not guessed,
                told=purse.tally.told,
                listed=draft.backfilled,
                arrived_ns=balance.received_time_ns + draft.ahead_ns,
            )
            if time_ns is None:
                return
        if not purse.tally.tell(Told(figure, time_ns, -1), corrects=corrects):
            return
        if before is None or (before.total, before.available, before.wallet) != (
            *(balance.total, balance.available, balance.wallet),
        ):
            number = self._books.next_number()
            balance = _evolve_balance(balance, {"number": number})
            self._books.note(draft, number, balance)
        else:
            balance = _evolve_balance(balance, {"number": before.number})
        purse.balance = balance

    def gone(self, listed: Collection[str], at_ns: int, draft: Draft) -> None:
        """A whole list of balances has only these, by their names: there is nothing of all
        others."""
        for purse in list(self._purses.values()):
            known = purse.balance
            if purse.name in listed or known is None or not known.total:
                continue
            none = attrs.evolve(
                known,
                exchange_time_ns=at_ns,
                received_time_ns=draft.now_ns,
                total=ZERO,
                available=None if known.available is None else ZERO,
                wallet=None if known.wallet is None else ZERO,
            )
            self.take(none, draft, Known())

    def reserve(self) -> None:
        """Openings may be told at the next judgement, and come before what is taken until then."""
        for purse in self._purses.values():
            if not purse.tally.begun and purse.tally.told is not None:
                self._reserved[purse.name] = self._books.next_number()

    def release(self) -> None:
        """What was reserved isn't used."""
        self._reserved.clear()

    def judge(self, before_ns: int, draft: Draft) -> None:
        """All entries until then are known: tell what they don't explain of figures from before."""
        for purse in list(self._purses.values()):
            tally = purse.tally
            begun, anchor_ns = tally.begun, tally.anchor_ns
            crumb = PLAIN.multiply(_CRUMB, Decimal(purse.roundings))
            found = list(tally.judgements(before_ns, crumb))
            if found or (begun, anchor_ns) != (tally.begun, tally.anchor_ns):
                purse.roundings = 0
                self._changed.add(purse.name)
            for judged in found:
                self._differs(purse, judged, draft)
        self.release()

    def _differs(self, purse: _Purse, judged: Judged, draft: Draft) -> None:
        kind = AdjustmentKind.OPENING if judged.opening else AdjustmentKind.UNEXPLAINED
        reserved = self._reserved.pop(purse.name, None)
        self._books.adjust(
            draft,
            Adjustment(
                exchange=self._books.exchange,
                symbol="",
                exchange_time_ns=judged.told.time_ns,
                received_time_ns=draft.now_ns,
                account=self._books.account,
                kind=kind,
                adjustment_id=keys.digest(kind.value, "balance", purse.name, *judged.content),
                amount=judged.rest,
                asset=purse.asset,
                number=reserved or self._books.next_number(),
                purse=purse.purse,
            ),
        )

    # --- reading ---

    def assets(self) -> list[str]:
        """All of which something is known, by their names."""
        return list(self._purses)

    def explained(self, name: str, time_ns: int) -> tuple[Decimal, Decimal] | None:
        """What the entries of one of them add up to at a time, and what rounding may come to; zero
        of one of which nothing is known. None where it can't be told."""
        purse = self._purses.get(name)
        if purse is None:
            return ZERO, ZERO
        found = purse.tally.at(time_ns)
        if found is None:
            return None
        return found, PLAIN.multiply(_CRUMB, Decimal(purse.roundings))

    def shown(self) -> list[Balance]:
        """Of all assets of which there is something."""
        found = (purse.balance for purse in self._purses.values())
        return [balance for balance in found if balance is not None and balance.total]
