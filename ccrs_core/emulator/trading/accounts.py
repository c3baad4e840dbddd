"""Accounts of the emulated exchange, and the keys by which clients act for them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.happenings import DeskPosition
from ccrs_core.emulator.trading.orders import DeskOrder, Stage
from ccrs_core.emulator.trading.wallets import Wallet
from ccrs_core.model.accounts import MarginMode, PositionMode
from ccrs_core.model.order_requests import PositionSide

PLAY_MONEY: Mapping[str, Decimal] = {
    "USDT": Decimal(1_000_000),
    "USDC": Decimal(1_000_000),
    "BTC": Decimal(20),
    "ETH": Decimal(300),
}
"""What an account begins with unless told otherwise."""


@attrs.frozen(kw_only=True)
class ApiKey:
    """A client's key; what it may do is spelled by the dialect."""

    key: str
    secret: str
    """What both sides sign with; or the public key, where the client signs by its private one."""
    account: str
    passphrase: str = "emulator"  # noqa: S105 - play money's
    """What is sent along, where the exchange has such a thing."""
    may: frozenset[str] = frozenset({"read", "trade"})
    """``read``, ``trade``, ``transfer``, ``withdraw``."""
    addresses: frozenset[str] = frozenset()
    """To which it is bound; empty: to none."""
    created_ns: int = 0
    expires_ns: int | None = None
    revoked: bool = False

    def works(self, now_ns: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return not self.revoked and (self.expires_ns is None or now_ns < self.expires_ns)


@attrs.frozen(kw_only=True)
class FeeRates:
    """What an account pays: shares of value, below zero a rebate."""

    maker: Decimal
    taker: Decimal


_MOST_IDS = 300_000


class TradingAccount:
    """One account: its wallet, positions, orders, and settings. The desk and its parts alone
    change it.

    Positions, orders and settings are looked up by what they are about; those of listings that it
    never touched are as the conduct says.
    """

    def __init__(self, name: str, number: int, opened_ns: int) -> None:
        self.name = name
        self.number = number
        self.opened_ns = opened_ns
        self.wallet = Wallet(name)
        self.margin_mode = MarginMode.CROSS
        self.margin_modes: dict[tuple[str, str], MarginMode] = {}
        """Of single listings, where the exchange lets them differ."""
        self.group: str | None = None
        """Accounts of a group count as one where self-trades are prevented."""
        self.institutional = False
        """Whether it has what exchanges give to few, such as disconnect protection."""
        self.positions: dict[tuple[str, str, PositionSide], DeskPosition] = {}
        self.orders: dict[int, DeskOrder] = {}
        """Those that haven't ended, by number, oldest first."""
        self.client_ids: dict[str, int] = {}
        """The order that a client's id was last given to, of the newest hundred thousands."""
        self.hedged: dict[str | tuple[str, str], PositionMode] = {}
        """Position modes by category, or by listing."""
        self.leverages: dict[tuple[str, str, PositionSide], Decimal] = {}
        self.fee_rates: dict[str | tuple[str, str], FeeRates] = {}
        """By category, or by listing."""
        self.settings: dict[str, Any] = {}
        """The dialect's own."""
        self.reserved: dict[str, Decimal] = {}
        """What amendments that aren't carried out yet lay hold of, by asset."""
        self.warned = False

    def remember(self, client_order_id: str, number: int) -> None:
        """A client's id was given to an order."""
        ids = self.client_ids
        ids.pop(client_order_id, None)
        ids[client_order_id] = number
        if len(ids) > _MOST_IDS:
            del ids[next(iter(ids))]

    def rename(self, before: str, after: str, number: int) -> None:
        """An order has another client's id from now on."""
        if self.client_ids.get(before) == number:
            del self.client_ids[before]
        if after:
            self.remember(after, number)

    def position_mode(self, listing: Listing) -> PositionMode:
        """How many positions of a listing it may have."""
        by_category = self.hedged.get(listing.category, PositionMode.ONE_WAY)
        return self.hedged.get(listing.key, by_category)

    def margin_mode_of(self, listing: Listing) -> MarginMode:
        """What a new position of a listing is backed by."""
        return self.margin_modes.get(listing.key, self.margin_mode)

    def open_orders(self, listing: Listing | None = None) -> list[DeskOrder]:
        """The orders that haven't ended, oldest first."""
        if listing is None:
            return list(self.orders.values())
        key = listing.key
        return [order for order in self.orders.values() if order.listing.key == key]

    def waiting(self, listing: Listing) -> int:
        """How many of a listing's wait for a trigger."""
        return sum(
            order.stage is Stage.WAITING
            or (order.asked.trigger is not None and not order.triggered)
            for order in self.open_orders(listing)
        )

    def positions_of(self, listing: Listing) -> list[DeskPosition]:
        """Those of a listing that aren't flat."""
        return [p for p in self.positions.values() if p.size and p.listing.key == listing.key]

    @property
    def owner(self) -> str:
        """As whose the matching engine knows its orders: trades among one owner's are prevented."""
        return self.group or self.name
