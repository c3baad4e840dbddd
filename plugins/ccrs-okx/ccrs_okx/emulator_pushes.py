"""What the emulated OKX pushes of each happening, and on which channels.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel and the pages beside it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ccrs_core import FillKind
from ccrs_core.emulator import (
    BalanceChanged,
    DeskFill,
    DeskOrder,
    DeskPosition,
    Ending,
    Filled,
    Happening,
    Lifetime,
    MarginCalled,
    MoneyKind,
    MoneyMoved,
    MoneyRow,
    OrderChanged,
    PositionChanged,
    Stage,
    TooLate,
)
from ccrs_okx.emulator_account_rows import balance_row, position_row
from ccrs_okx.emulator_order_rows import is_algo, pushed, with_fill
from ccrs_okx.emulator_wire import ms

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_EVENTS = {
    MoneyKind.TRADE: "filled",
    MoneyKind.FUNDING: "funding_fee",
    MoneyKind.TRANSFER: "transferred",
    MoneyKind.LIQUIDATION: "liquidation",
    MoneyKind.DELEVERAGING: "adl",
    MoneyKind.DELIVERY: "delivered",
    MoneyKind.INSURANCE: "liquidation",
}
_FAILED = {"amendResult": "-1", "code": "51503", "msg": "The order has been filled or canceled."}


class Pushes:
    """Listens to the desk, and tells the feeds."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._told: dict[int, DeskOrder] = {}
        """Open orders as they were told last."""

    def happened(self, happening: Happening) -> None:
        """Tell the channels of it."""
        match happening:
            case OrderChanged(time_ns=now_ns, order=order):
                if is_algo(order):
                    self._waiting(order, now_ns)
                else:
                    self._order(order, now_ns)
            case TooLate(time_ns=now_ns, order=order, amended=True):
                request_id = self._trading.amendments.done(order.number)
                if request_id is not None:
                    self._say(order, now_ns, reqId=request_id, amendSource="1", **_FAILED)
            case Filled(time_ns=now_ns, fill=fill):
                self._filled(fill, now_ns)
            case PositionChanged(time_ns=now_ns, position=position):
                self._position(position, now_ns)
            case BalanceChanged(time_ns=now_ns, balance=balance):
                self._balance(balance.account, balance.asset, now_ns)
            case MoneyMoved(time_ns=now_ns, row=row):
                self._moved(row, now_ns)
            case MarginCalled(time_ns=now_ns, account=name):
                self._warned(name, now_ns)

    # --- orders ---

    def _order(self, order: DeskOrder, now_ns: int) -> None:
        before = self._told.get(order.number)
        more = self._amended(order, before)
        if order.stage is Stage.ACCEPTED and not more:
            self._told.setdefault(order.number, order)
            return  # acknowledged; the matching engine hasn't spoken yet
        traded = before is not None and order.filled > before.filled
        fresh = before is None and bool(order.filled)
        self._note(order)
        if (traded or fresh) and not more:
            return  # told with its fill
        shrunk = order.reduced_to is not None and before is not None
        if shrunk and before is not None and order.reduced_to != before.reduced_to and not more:
            more = {"amendSource": "4"}
        self._say(order, now_ns, **more)

    def _note(self, order: DeskOrder) -> None:
        if order.stage.ended:
            self._told.pop(order.number, None)
        else:
            self._told[order.number] = order

    def _amended(self, order: DeskOrder, before: DeskOrder | None) -> dict[str, str]:
        if before is None or order.asked == before.asked:
            return {}
        request_id = self._trading.amendments.done(order.number)
        if request_id is None:
            return {}
        return {"amendSource": "1", "amendResult": "0", "reqId": request_id}

    def _say(self, order: DeskOrder, now_ns: int, **more: str) -> None:
        trading = self._trading
        trading.feeds.tell(
            order.account,
            "orders",
            order.listing,
            lambda: pushed(trading.order_row(order), order, **more),
            now_ns,
        )

    def _filled(self, fill: DeskFill, now_ns: int) -> None:
        trading, order = self._trading, fill.order
        taker = not fill.maker and fill.kind is FillKind.TRADE
        if taker and order.filled == fill.size and order.asked.lifetime is not Lifetime.POST_ONLY:
            self._live_first(order, now_ns)

        def row() -> dict[str, Any]:
            return with_fill(pushed(trading.order_row(order), order), trading.ids, fill)

        trading.feeds.tell(fill.account, "orders", order.listing, row, now_ns)

    def _live_first(self, order: DeskOrder, now_ns: int) -> None:
        """What takes at once is told to be live, too, as it was before."""
        trading = self._trading
        nothing = {"accFillSz": "0", "avgPx": "0", "fee": "0", "rebate": "0", "pnl": "0"}

        def row() -> dict[str, Any]:
            found = pushed(trading.order_row(order), order)
            return {**found, **nothing, "state": "live", "uTime": ms(order.created_ns)}

        trading.feeds.tell(order.account, "orders", order.listing, row, now_ns)

    def _waiting(self, order: DeskOrder, now_ns: int) -> None:
        trading = self._trading
        account = trading.desk.accounts.get(order.account)
        if account is None or order.ending is Ending.PARTNER:
            return
        if order.stage is Stage.ACCEPTED:
            return
        members = trading.algos.members(account, order)
        if not _speaks(order, members):
            return
        trading.feeds.tell(
            order.account,
            "orders-algo",
            order.listing,
            lambda: trading.algos.row(account, members),
            now_ns,
        )

    # --- positions and money ---

    def _position(self, position: DeskPosition, now_ns: int) -> None:
        trading = self._trading
        account = trading.desk.accounts.get(position.account)
        if account is None:
            return
        trading.feeds.tell(
            position.account,
            "positions",
            position.listing,
            lambda: position_row(trading, account, position, now_ns),
            now_ns,
        )

    def _balance(self, name: str, asset: str, now_ns: int) -> None:
        trading = self._trading
        account = trading.desk.accounts.get(name)
        if account is None:
            return
        trading.feeds.tell_balance(
            name, asset, lambda: balance_row(trading, account, now_ns, {asset}), now_ns
        )

    def _moved(self, row: MoneyRow, now_ns: int) -> None:
        trading = self._trading
        account = trading.desk.accounts.get(row.account)
        if account is None:
            return

        def told() -> dict[str, Any]:
            found = trading.accounts.together(account, now_ns, of=row)
            return {**found, "eventType": _EVENTS[row.kind]}

        trading.feeds.tell(row.account, "balance_and_position", None, told, now_ns)

    def _warned(self, name: str, now_ns: int) -> None:
        trading = self._trading
        account = trading.desk.accounts[name]
        for position in account.positions.values():
            if position.size:
                trading.feeds.tell(
                    name,
                    "liquidation-warning",
                    position.listing,
                    lambda position=position: position_row(  # type: ignore[misc]
                        trading, account, position, now_ns
                    ),
                    now_ns,
                )


def _speaks(order: DeskOrder, members: Sequence[DeskOrder]) -> bool:
    """Whether an order is the one of those that belong together with which something is told of
    them: the one that is triggered, else the last of them."""
    if order.ending is Ending.REPLACED and order.triggered:
        return True
    if order.stage.ended:
        last = max(members, key=lambda each: (each.updated_ns, each.number))
        return order.number == last.number and all(each.stage.ended for each in members)
    whole = len(members) > 1 or not order.asked.pair
    return whole and order.number == members[-1].number
