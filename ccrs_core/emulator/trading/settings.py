"""What clients set for their accounts: leverage, margin mode, position mode."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.happenings import DeskPosition
from ccrs_core.emulator.trading.orders import ZERO, Refusal, Refused
from ccrs_core.emulator.trading.positions import quotient
from ccrs_core.emulator.trading.tiers import leverage_for, tier_of
from ccrs_core.model.accounts import MarginMode, PositionMode
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import PositionSide

_LONG_SIDES = (PositionSide.NET, PositionSide.LONG)


class Settings:
    """Changes settings where nothing stands in the way.

    Each raises :class:`~ccrs_core.emulator.Refused`: NOTHING_CHANGES where it is so already, and
    what stands in the way.
    """

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor

    def leverage(
        self, account: TradingAccount, listing: Listing, buy: Decimal, sell: Decimal
    ) -> None:
        """Set the leverage of a listing's long (and only) and short position.

        :raises Refused: LEVERAGE where it is out of range; BALANCE where margin lacks; MODE where
            the listing has none, or both must be equal.
        """
        floor = self._floor
        floor.bulletin.now_ns = floor.venue.now_ns
        if listing.market not in (Market.LINEAR, Market.INVERSE):
            raise Refused(Refusal.MODE)
        most = {side: self.most_leverage(account, listing, side) for side in PositionSide}
        wanted = {side: buy if side in _LONG_SIDES else sell for side in PositionSide}
        if not all(1 <= each <= most[side] for side, each in wanted.items()):
            raise Refused(Refusal.LEVERAGE)
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if buy != sell and (not hedged or account.margin_mode is not MarginMode.ISOLATED):
            raise Refused(Refusal.MODE)
        clearing = floor.clearing
        if all(clearing.leverage(account, listing, s) == wanted[s] for s in PositionSide):
            raise Refused(Refusal.NOTHING_CHANGES)
        changed = []
        for position in account.positions_of(listing):
            leverage, margin = wanted[position.side], ZERO
            if position.margin_mode is MarginMode.ISOLATED:
                margin = quotient(abs(position.cost), leverage)
            changed.append(attrs.evolve(position, leverage=leverage, isolated_margin=margin))
        more = sum((each.isolated_margin for each in changed), ZERO) - sum(
            (each.isolated_margin for each in account.positions_of(listing)), ZERO
        )
        assert listing.settle is not None
        if more > 0 and more > floor.margins.available(account, listing.settle):
            raise Refused(Refusal.BALANCE)
        for side, leverage in wanted.items():
            account.leverages[*listing.key, side] = leverage
        for flat in [p for p in account.positions.values() if p.listing.key == listing.key]:
            if not flat.size:
                account.positions[flat.key] = attrs.evolve(flat, leverage=wanted[flat.side])
        for position in changed:
            clearing.hold(account, position)
        floor.bulletin.flush()

    def most_leverage(
        self, account: TradingAccount, listing: Listing, side: PositionSide
    ) -> Decimal:
        """The most leverage that a position may have at its size now."""
        position = self._floor.clearing.position(account, listing, side)
        value = self._floor.margins.of_position(position).value if position.size else ZERO
        conduct = self._floor.conduct
        least = tier_of(conduct, listing, value).most_leverage
        return leverage_for(conduct, listing, value) or least

    def margin(self, account: TradingAccount, position: DeskPosition, amount: Decimal) -> None:
        """Add margin to an isolated position by hand; below zero: take some away, as much as its
        leverage doesn't need.

        :raises Refused: MODE of a crossed one; BALANCE where that much isn't free; IN_USE where
            it is needed.
        """
        floor = self._floor
        floor.bulletin.now_ns = floor.venue.now_ns
        if position.margin_mode is not MarginMode.ISOLATED or not position.size:
            raise Refused(Refusal.MODE)
        assert position.listing.settle is not None
        if amount > floor.margins.available(account, position.listing.settle):
            raise Refused(Refusal.BALANCE)
        after = position.isolated_margin + amount
        gain = floor.margins.of_position(position).unrealised
        needed = quotient(abs(position.cost), position.leverage)
        if amount < 0 and after + min(gain, ZERO) < needed:
            raise Refused(Refusal.IN_USE)
        floor.clearing.hold(account, attrs.evolve(position, isolated_margin=after))
        floor.bulletin.flush()

    def margin_mode(
        self, account: TradingAccount, mode: MarginMode, listing: Listing | None = None
    ) -> None:
        """Set the margin mode of all positions, or of one listing's alone.

        :raises Refused: IN_USE where there are positions, or orders of contracts; MODE of one that
            isn't cross or isolated.
        """
        if mode is MarginMode.PORTFOLIO:
            raise Refused(Refusal.MODE)
        now = account.margin_mode if listing is None else account.margin_mode_of(listing)
        if mode is now:
            raise Refused(Refusal.NOTHING_CHANGES)
        self._unused(account, lambda each: listing is None or each.key == listing.key)
        if listing is None:
            account.margin_mode = mode
            account.margin_modes.clear()
        else:
            account.margin_modes[listing.key] = mode
        for position in tuple(account.positions.values()):
            if listing is None or position.listing.key == listing.key:
                account.positions[position.key] = attrs.evolve(position, margin_mode=mode)

    def position_mode(
        self, account: TradingAccount, about: Listing | str, mode: PositionMode
    ) -> None:
        """Set how many positions there may be of a listing, or of each in a category.

        :raises Refused: IN_USE where there are positions or orders of it.
        """
        key = about if isinstance(about, str) else about.key
        found = account.hedged.get(key, None)
        if found is None:
            found = PositionMode.ONE_WAY if isinstance(about, str) else account.position_mode(about)
        if found is mode:
            raise Refused(Refusal.NOTHING_CHANGES)

        def concerned(listing: Listing) -> bool:
            return listing.category == about or (
                isinstance(about, Listing) and listing.key == about.key
            )

        self._unused(account, concerned)
        account.hedged[key] = mode

    @staticmethod
    def _unused(account: TradingAccount, concerned: Callable[[Listing], bool]) -> None:
        held = any(p.size and concerned(p.listing) for p in account.positions.values())
        ordered = any(
            order.listing.market is not Market.SPOT and concerned(order.listing)
            for order in account.orders.values()
        )
        if held or ordered:
            raise Refused(Refusal.IN_USE)
