"""The desk: what a dialect asks for its clients, and what it is told of their accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import count

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.accounts import PLAY_MONEY, ApiKey, TradingAccount
from ccrs_core.emulator.trading.bulletin import Told
from ccrs_core.emulator.trading.checks import Checks
from ccrs_core.emulator.trading.conduct import Conduct
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.funding import Appointments
from ccrs_core.emulator.trading.happenings import DeskPosition, MoneyKind
from ccrs_core.emulator.trading.histories import Histories
from ccrs_core.emulator.trading.margin import Margins
from ccrs_core.emulator.trading.money_tape import MoneyTape, Opened, Transferred
from ccrs_core.emulator.trading.orders import (
    ZERO,
    DeskOrder,
    Ending,
    NewOrder,
    Refusal,
    Refused,
)
from ccrs_core.emulator.trading.risk import Risk, forced_out
from ccrs_core.emulator.trading.settings import Settings
from ccrs_core.emulator.trading.triggers import Exits, Triggers
from ccrs_core.emulator.venue import Venue
from ccrs_core.errors import UsageError
from ccrs_core.model.order_requests import PositionSide


class Desk:
    """Accounts of an emulated exchange, and what they trade.

    Everything happens at the venue's time (``venue.now_ns``), which whoever drives the venue moves
    on. What is asked for is checked and acknowledged at once, or raises
    :class:`~ccrs_core.emulator.Refused`; what comes of it follows in its turn, and ``listeners``
    are told. Requests about one instrument are carried out in the order of their acknowledgements.
    """

    def __init__(self, venue: Venue, conduct: Conduct | None = None) -> None:
        self.conduct = Conduct() if conduct is None else conduct
        self._floor = floor = TradingFloor(venue, self.conduct)
        self._venue = venue
        self._checks = Checks(floor)
        self._risk = Risk(floor)
        floor.aftermath += [Exits(floor), Triggers(floor), self._risk, Appointments(floor)]
        self.settings = Settings(floor)
        """Leverage, margin and position modes."""
        self._keys: dict[str, ApiKey] = {}
        self._numbers = count(1)
        self._amending: Counter[int] = Counter()
        """Amendments that aren't carried out yet, by order."""

    # --- what there is ---

    @property
    def accounts(self) -> Mapping[str, TradingAccount]:
        """By name, in order of opening."""
        return self._floor.accounts

    @property
    def house(self) -> TradingAccount:
        """The exchange's own: takes over what is liquidated."""
        return self._floor.house

    @property
    def tape(self) -> MoneyTape:
        """All that touched money."""
        return self._floor.tape

    @property
    def histories(self) -> Histories:
        """What lists and queries tell."""
        return self._floor.histories

    @property
    def margins(self) -> Margins:
        """What accounts are worth."""
        return self._floor.margins

    @property
    def listeners(self) -> list[Told]:
        """Called with each happening, in order. They may ask the desk, and change nothing."""
        return self._floor.bulletin.listeners

    # --- accounts and keys ---

    def open_account(
        self, name: str, *, money: Mapping[str, Decimal] | None = None, institutional: bool = False
    ) -> TradingAccount:
        """Open an account with play money.

        :raises UsageError: where there is one of that name.
        """
        floor = self._floor
        if not name or name in floor.accounts or name == floor.house.name:
            raise UsageError(f"there is an account {name!r} already, or can't be")
        floor.bulletin.now_ns = now_ns = self._venue.now_ns
        account = floor.accounts[name] = TradingAccount(name, next(self._numbers), now_ns)
        account.institutional = institutional
        floor.tape.add(Opened, now_ns, account=name)
        for asset, amount in (PLAY_MONEY if money is None else money).items():
            self.transfer(account, asset, amount)
        return account

    def add_key(self, key: ApiKey) -> ApiKey:
        """Let a key act for an account; a known one is replaced."""
        if key.account not in self._floor.accounts:
            raise UsageError(f"there is no account {key.account!r}")
        self._keys[key.key] = key
        return key

    def key(self, key: str) -> ApiKey | None:
        """A key, whether or not it works now; None of one that never was."""
        found = self._keys.get(key)
        if found is not None and self._venue.revoked(key):
            return attrs.evolve(found, revoked=True)
        return found

    @property
    def keys(self) -> Iterable[ApiKey]:
        return self._keys.values()

    def revoke(self, key: str) -> None:
        """Let a key work no more."""
        self._keys[key] = attrs.evolve(self._keys[key], revoked=True)

    def transfer(self, account: TradingAccount, asset: str, amount: Decimal) -> None:
        """Bring money into an account from outside; below zero: take it out.

        :raises Refused: BALANCE, where that much isn't free.
        """
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        if amount < 0 and floor.margins.of_asset(account, asset).free < -amount:
            raise Refused(Refusal.BALANCE)
        floor.tape.add(
            Transferred, self._venue.now_ns, account=account.name, asset=asset, amount=amount
        )
        floor.clearing.move(account, asset, MoneyKind.TRANSFER, cash=amount)
        floor.bulletin.flush()

    # --- orders ---

    def check(self, account: TradingAccount, asked: NewOrder) -> None:
        """Refuse an order that :meth:`place` would refuse.

        :raises Refused: naming why.
        """
        self._floor.bulletin.now_ns = self._venue.now_ns
        self._checks.new(account, asked)

    def place(self, account: TradingAccount, asked: NewOrder) -> DeskOrder:
        """Take an order: acknowledged as it is returned, and entered in its turn (which may have
        come already: see what is told).

        :raises Refused: naming why; nothing happened.
        """
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        more = self._checks.new(account, asked)
        order = floor.order(account, asked, **more)
        if asked.client_order_id:
            account.remember(asked.client_order_id, order.number)
        pit = floor.pit(asked.listing)
        if asked.trigger is None:
            pit.queue(lambda: pit.enter(account, order.number))
        else:
            pit.queue(lambda: self._wait(account, order.number))
        floor.bulletin.flush()
        return order

    def _wait(self, account: TradingAccount, number: int) -> None:
        order = account.orders.get(number)
        if order is not None:
            self._floor.wait(account, order)

    def amend(self, account: TradingAccount, number: int, asked: NewOrder) -> DeskOrder:
        """Let an order be as ``asked`` (its ``asked``, otherwise): price, size, trigger, exits, or
        the client's id, of which the one before is free again.

        :raises Refused: naming why; it stays as it is.
        """
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        order = self._living(account, number)
        if number in self._amending and not self.conduct.queues_amendments:
            raise Refused(Refusal.BUSY, order=order)
        self._checks.amendment(account, order, asked)
        pit = floor.pit(order.listing)
        release = floor.clearing.reserve(account, order, asked)
        self._amending[number] += 1

        def change() -> None:
            self._amending -= Counter({number: 1})
            release()
            before = account.orders.get(number)
            if before is not None and before.client_order_id != asked.client_order_id:
                account.rename(before.client_order_id, asked.client_order_id, number)
            pit.amend(account, number, asked)

        pit.queue(change)
        floor.bulletin.flush()
        return order

    def cancel(
        self, account: TradingAccount, number: int, why: Ending = Ending.BY_USER
    ) -> DeskOrder:
        """Cancel an order: acknowledged, and carried out in its turn, if it is open by then.

        :raises Refused: NOT_FOUND, ENDED.
        """
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        order = self._living(account, number)
        pit = floor.pit(order.listing)
        pit.queue(lambda: pit.cancel(account, number, why))
        floor.bulletin.flush()
        return order

    def cancel_all(
        self,
        account: TradingAccount,
        want: Callable[[DeskOrder], bool] = lambda order: True,
        why: Ending = Ending.BY_USER,
    ) -> list[DeskOrder]:
        """Cancel all open orders of which something is true; those that are going to be."""
        found = [order for order in account.open_orders() if want(order)]
        for order in found:
            if order.number in account.orders:
                self.cancel(account, order.number, why)
        return found

    def find(
        self, account: TradingAccount, *, number: int | None = None, client_order_id: str = ""
    ) -> DeskOrder | None:
        """An order as it is now, open or ended lately, by the desk's number or the client's id."""
        if number is None:
            number = account.client_ids.get(client_order_id)
        return None if number is None else self._floor.last_known(account, number)

    def _living(self, account: TradingAccount, number: int) -> DeskOrder:
        order = self._floor.last_known(account, number)
        if order is None:
            raise Refused(Refusal.NOT_FOUND)
        if order.stage.ended:
            raise Refused(Refusal.ENDED, order=order)
        return order

    # --- what the exchange does ---

    def position(
        self, account: TradingAccount, listing: Listing, side: PositionSide = PositionSide.NET
    ) -> DeskPosition:
        """A position as it is, flat where there is none."""
        return self._floor.clearing.position(account, listing, side)

    def deleverage(
        self,
        account: TradingAccount,
        listing: Listing,
        size: Decimal,
        price: Decimal,
        side: PositionSide = PositionSide.NET,
    ) -> DeskOrder:
        """Close a part of a position by force, at a price, as if a bankrupt one couldn't be closed
        otherwise. The account's orders of the listing are canceled first.

        :raises UsageError: where the position isn't that large.
        """
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        position = self.position(account, listing, side)
        if not ZERO < size <= abs(position.size):
            raise UsageError(f"the position is {position.size}, and {size} of it can't be closed")
        floor.cancel_all(account, listing, Ending.DELEVERAGING)
        pit = floor.pit(listing)
        order = forced_out(floor, pit, account, position, size, price, Ending.DELEVERAGING)
        floor.settle(pit, self._venue.now_ns)
        return order

    def liquidate(
        self, account: TradingAccount, listing: Listing, side: PositionSide = PositionSide.NET
    ) -> None:
        """Take over a position whatever its margin, now."""
        floor = self._floor
        floor.bulletin.now_ns = self._venue.now_ns
        position = self.position(account, listing, side)
        if not position.size:
            raise UsageError("there is no position")
        self._risk.liquidate(account, position)
        floor.settle(floor.pit(listing), self._venue.now_ns)
