"""What the emulated Binance tells of each happening to a spot account.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_listings import SPOT
from ccrs_binance.emulator_spot_rows import balance_row, money, prevented, report, status, waits
from ccrs_core.emulator import (
    BalanceChanged,
    DeskBalance,
    DeskFill,
    DeskOrder,
    Ending,
    Filled,
    Happening,
    MoneyKind,
    MoneyMoved,
    OrderChanged,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_MOST_TOLD = 10_000


class SpotPushes:
    """Listens to the desk, and tells the feeds of spot accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._executions = 0
        self._told: dict[int, DeskOrder] = {}
        """Orders as they were told of last."""
        self._position: dict[str, tuple[int, list[dict[str, str]], dict[str, Any]]] = {}

    def happened(self, happening: Happening) -> None:
        match happening:
            case OrderChanged(time_ns=now_ns, order=order) if order.listing.category == SPOT:
                self._order(order, now_ns)
            case Filled(time_ns=now_ns, fill=fill) if fill.listing.category == SPOT:
                self._filled(fill, now_ns)
            case BalanceChanged(time_ns=now_ns, balance=balance):
                if self._trading.wallet_of(balance.account) is None:
                    self._balance(balance, now_ns)
            case MoneyMoved(time_ns=now_ns, row=row) if row.kind is MoneyKind.TRANSFER:
                if self._trading.wallet_of(row.account) is None:
                    event = {"e": "balanceUpdate", "E": 0, "a": row.asset, "d": money(row.cash)}
                    self._tell(row.account, {**event, "T": milliseconds(now_ns)}, now_ns)

    def _tell(self, account: str, event: dict[str, Any], now_ns: int) -> bool:
        return self._trading.feed(account, SPOT).tell(event, now_ns)

    def _order(self, order: DeskOrder, now_ns: int) -> None:
        before = self._told.get(order.number)
        kind = self._kind(before, order)
        was = "" if before is None else before.client_order_id
        self._told[order.number] = order
        if len(self._told) > _MOST_TOLD:
            del self._told[next(iter(self._told))]
        if kind is None:
            return
        row = self._report(order, kind, now_ns)
        if kind == "REPLACED":
            row["C"] = was
        if order.ending is Ending.SELF_TRADE:
            ids, key = self._trading.ids, order.listing.key
            with_id = -1 if order.prevented_by is None else ids.numbered(key, order.prevented_by)
            row = prevented(row, order, with_id)
            self._tell(order.account, {**row, "x": "TRADE_PREVENTION"}, now_ns)
            row = {**row, "I": self._next()}
        self._tell(order.account, row, now_ns)

    def _kind(self, before: DeskOrder | None, order: DeskOrder) -> str | None:
        """``x`` of a change; None where it is told by a fill, or is none to the client."""
        if before is None:
            return "NEW"
        if order.stage.ended:
            if status(order) == "FILLED":
                return None  # which its last fill tells
            return "CANCELED" if order.ending is Ending.BY_USER else "EXPIRED"
        if waits(before) and not waits(order):
            return "NEW"  # it has been triggered, and is on the book
        changed = (order.asked.size, order.client_order_id) != (
            before.asked.size,
            before.client_order_id,
        )
        return "REPLACED" if changed else None

    def _next(self) -> int:
        self._executions += 1
        return self._executions

    def _report(
        self, order: DeskOrder, kind: str, now_ns: int, fill: DeskFill | None = None
    ) -> dict[str, Any]:
        trading = self._trading
        after = self._after(order)
        if after is not None:
            order = attrs.evolve(order, reduced_to=after.filled)
        request_id = ""
        if kind == "CANCELED":
            request_id = trading.cancel_ids.pop(order.number, "") or trading.ids.made_up()
        return report(
            trading.ids, order, kind, self._next(), now_ns, fill=fill, request_id=request_id
        )

    def _filled(self, fill: DeskFill, now_ns: int) -> None:
        order = fill.order
        after = self._after(order)
        if after is not None and after.filled == order.filled and status(after) == "FILLED":
            order = after  # less than a lot is left of its money
        self._tell(fill.account, self._report(order, "TRADE", now_ns, fill), now_ns)

    def _after(self, order: DeskOrder) -> DeskOrder | None:
        """What has become of an order for so much money."""
        if order.asked.quote_size is None:
            return None
        account = self._trading.desk.accounts[order.account]
        return self._trading.desk.find(account, number=order.number)

    def _balance(self, balance: DeskBalance, now_ns: int) -> None:
        """Assets that change together are told of together, as long as nobody has heard of it."""
        event: dict[str, Any] = {
            "e": "outboundAccountPosition",
            "E": 0,
            "u": milliseconds(now_ns),
            "B": [balance_row(balance)],
        }
        known = self._position.get(balance.account)
        if known is not None and known[0] == now_ns and known[2]["E"] == 0:
            rows = known[1]
            rows[:] = [row for row in rows if row["a"] != balance.asset]
            rows += event["B"]
            return
        if self._tell(balance.account, event, now_ns):
            self._position[balance.account] = now_ns, event["B"], event
