"""What the emulated Bybit pushes of each happening, and on which topics.

https://bybit-exchange.github.io/docs/v5/websocket/private/order and the pages beside it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_account_rows import position_row, wallet_row
from ccrs_bybit.emulator_listings import SPOT
from ccrs_bybit.emulator_order_rows import early_row, fill_row, late_row
from ccrs_bybit.emulator_push_rows import pushed_fill
from ccrs_bybit.emulator_records import funding_row
from ccrs_core import FillKind, PositionSide
from ccrs_core.emulator import (
    BalanceChanged,
    DeskFill,
    DeskOrder,
    DeskPosition,
    Filled,
    Happening,
    MoneyKind,
    MoneyMoved,
    MoneyRow,
    OrderChanged,
    PositionChanged,
    Stage,
    TooLate,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_SETTLED = frozenset({MoneyKind.FUNDING, MoneyKind.DELIVERY})


class Pushes:
    """Listens to the desk, and tells the feeds."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._told: dict[tuple[str, tuple[str, str, PositionSide]], DeskPosition] = {}
        """Positions as they were told last: what is told next to them is no newer."""

    def happened(self, happening: Happening) -> None:
        """Tell the topics of it."""
        match happening:
            case OrderChanged(time_ns=now_ns, order=order):
                self._order(order, now_ns)
            case TooLate(time_ns=now_ns, order=order, amended=False):
                self._late(order, now_ns)
            case Filled(time_ns=now_ns, fill=fill):
                self._filled(fill, now_ns)
            case PositionChanged(time_ns=now_ns, position=position):
                self._told[position.account, position.key] = position
                self._position(position, now_ns)
            case BalanceChanged(time_ns=now_ns, balance=balance):
                self._balance(balance.account, balance.asset, now_ns)
            case MoneyMoved(time_ns=now_ns, row=row) if row.kind in _SETTLED:
                self._settled(row, now_ns)

    def _order(self, order: DeskOrder, now_ns: int) -> None:
        category = order.listing.category
        if order.stage is Stage.ACCEPTED and not order.triggered:
            return  # acknowledged; the matching engine hasn't spoken yet
        trading = self._trading
        trading.feeds.tell(
            order.account,
            "order",
            category,
            lambda: trading.order_row(order, pushed=True),
            now_ns,
        )
        if category != SPOT:
            # Told with every change of an order, whether or not it changed itself.
            self._position(self._last_told(order), now_ns)

    def _last_told(self, order: DeskOrder) -> DeskPosition:
        key = (*order.listing.key, order.asked.position_side)
        found = self._told.get((order.account, key))
        if found is not None:
            return found
        account = self._trading.desk.accounts[order.account]
        held = self._trading.position(account, order.listing, order.asked.position_side)
        return DeskPosition(
            account=held.account,
            listing=held.listing,
            side=held.side,
            leverage=held.leverage,
            margin_mode=held.margin_mode,
        )

    def _late(self, order: DeskOrder, now_ns: int) -> None:
        if order.stage is not Stage.FILLED:
            return
        trading = self._trading
        trading.feeds.tell(
            order.account,
            "order",
            order.listing.category,
            lambda: late_row(trading.order_row(order, pushed=True)),
            now_ns,
        )

    def _filled(self, fill: DeskFill, now_ns: int) -> None:
        trading, category = self._trading, fill.listing.category
        tell, ids = trading.feeds.tell, trading.ids
        tell(
            fill.account,
            "execution",
            category,
            lambda: fill_row(ids, fill, pushed=True),
            now_ns,
        )
        if fill.kind is FillKind.TRADE:
            turned = not fill.maker and trading.turned_taker(fill.order)
            tell(
                fill.account,
                "execution.fast",
                category,
                lambda: early_row(ids, fill, turned),
                now_ns,
            )

    def _settled(self, row: MoneyRow, now_ns: int) -> None:
        if row.listing is None:
            return
        trading, listing = self._trading, row.listing
        account = trading.desk.accounts[row.account]

        def pushed() -> dict[str, Any]:
            found = funding_row(trading, account, row)
            del found["execFeeV2"]
            added = {"isLeverage": "", "marketUnit": "", "execPnl": "0"}
            return pushed_fill({**found, **added, "category": listing.category})

        trading.feeds.tell(row.account, "execution", listing.category, pushed, now_ns)

    def _position(self, position: DeskPosition, now_ns: int) -> None:
        trading = self._trading

        def row() -> dict[str, Any]:
            account = trading.desk.accounts[position.account]
            return position_row(trading.view(account, position), pushed=True)

        category = position.listing.category
        trading.feeds.tell(position.account, "position", category, row, now_ns)

    def _balance(self, name: str, asset: str, now_ns: int) -> None:
        trading = self._trading

        def row() -> dict[str, Any]:
            account = trading.desk.accounts[name]
            return wallet_row(account, trading.desk.margins.standing(account), {asset})

        trading.feeds.tell(name, "wallet", "", row, now_ns)
