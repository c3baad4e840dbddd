"""What the emulated Binance tells of each happening to an account of contracts.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_binance.emulator_algo_rows import event_row as algo_event
from ccrs_binance.emulator_contract_rows import (
    FORCED_FILLS,
    POSITION_SIDES,
    SIDES,
    Spelled,
    client_id,
    event_row,
    plain,
)
from ccrs_binance.emulator_listings import COINM, SPOT
from ccrs_core import MarginMode
from ccrs_core.emulator import (
    DeskFill,
    DeskOrder,
    DeskPosition,
    Ending,
    Filled,
    Happening,
    MarginCalled,
    MoneyKind,
    MoneyMoved,
    MoneyRow,
    OrderChanged,
    PositionChanged,
    Stage,
    entry_price,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_MOST_TOLD = 10_000
_REASONS = {
    MoneyKind.TRADE: "ORDER",
    MoneyKind.LIQUIDATION: "ORDER",
    MoneyKind.DELEVERAGING: "ORDER",
    MoneyKind.DELIVERY: "ORDER",
    MoneyKind.FUNDING: "FUNDING_FEE",
    MoneyKind.INSURANCE: "INSURANCE_CLEAR",
}
_MARGINS = {MarginMode.CROSS: "cross", MarginMode.ISOLATED: "isolated"}
_NOTHING = Decimal(0)


class ContractPushes:
    """Listens to the desk, and tells the feeds of accounts of contracts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._told: dict[int, DeskOrder] = {}
        self._moved: dict[str, dict[Any, DeskPosition]] = {}
        """Positions that changed, until the money is told that came of it."""
        self._realised: dict[tuple[str, Any], Decimal] = {}

    def happened(self, happening: Happening) -> None:
        match happening:
            case OrderChanged(time_ns=now_ns, order=order) if order.listing.category != SPOT:
                self._order(order, now_ns)
            case Filled(time_ns=now_ns, fill=fill) if fill.listing.category != SPOT:
                self._filled(fill, now_ns)
            case PositionChanged(position=position):
                self._moved.setdefault(position.account, {})[position.key] = position
            case MoneyMoved(time_ns=now_ns, row=row):
                category = self._trading.wallet_of(row.account, row.listing)
                if category is not None:
                    self._money(row, category, now_ns)
            case MarginCalled(time_ns=now_ns, account=account):
                self._called(account, now_ns)

    def tell(
        self, account: str, category: str, kind: str, about: dict[str, Any], now_ns: int
    ) -> None:
        """Send an event; those of one kind stay in order. Of the exchange's own account nobody
        hears."""
        if account not in self._trading.desk.accounts:
            return
        event: dict[str, Any] = {"e": kind, "E": 0, "T": milliseconds(now_ns), **about}
        if category == COINM:
            event["i"] = self._trading.alias(account)
        self._trading.feed(account, category).tell(event, now_ns, kind)

    # --- orders ---

    def _order(self, order: DeskOrder, now_ns: int) -> None:
        before = self._told.get(order.number)
        self._told[order.number] = order
        if len(self._told) > _MOST_TOLD:
            del self._told[next(iter(self._told))]
        algo = self._trading.algo
        if order.asked.trigger is not None:
            if order.replaced_by is not None:
                return  # told with what was brought to life
            now = algo.status(order), order.asked.activates_at is None
            if before is None or (algo.status(before), before.asked.activates_at is None) != now:
                self._algo(order, now_ns, now[0])
            return
        parent = algo.parent_of(order)
        if before is None and parent is not None:
            self._algo(parent, now_ns, "TRIGGERING")
            self._algo(parent, now_ns, "TRIGGERED", order)
        kind = self._kind(before, order)
        if kind is not None:
            row = event_row(self._trading.ids, order, kind, now_ns)
            self._tell_order(order, "ORDER_TRADE_UPDATE", row, now_ns)
        if parent is not None and order.stage.ended:
            self._algo(parent, now_ns, "FINISHED", order)

    def _algo(
        self, order: DeskOrder, now_ns: int, status: str, child: DeskOrder | None = None
    ) -> None:
        row = algo_event(self._trading, order, status, child)
        self._tell_order(order, "ALGO_UPDATE", row, now_ns)

    def _tell_order(self, order: DeskOrder, kind: str, row: dict[str, Any], now_ns: int) -> None:
        self.tell(order.account, order.listing.category, kind, {"o": row}, now_ns)

    @staticmethod
    def _kind(before: DeskOrder | None, order: DeskOrder) -> str | None:
        """``x`` of a change; None where a fill tells of it, or it is none to the client."""
        if before is None:
            return "NEW" if order.by is None else None
        if order.stage.ended:
            if order.stage is Stage.FILLED:
                return None
            by_somebody = order.ending in (Ending.BY_USER, Ending.DEAD_MAN, Ending.EXCHANGE)
            return "CANCELED" if by_somebody else "EXPIRED"
        terms = (order.asked.size, order.asked.price, order.asked.labels)
        was = (before.asked.size, before.asked.price, before.asked.labels)
        return "AMENDMENT" if terms != was else None

    def _filled(self, fill: DeskFill, now_ns: int) -> None:
        ids, order = self._trading.ids, fill.order
        forced = fill.kind in FORCED_FILLS
        key = fill.account, (*fill.listing.key, order.asked.position_side)
        self._realised[key] = self._realised.get(key, _NOTHING) + fill.profit
        if fill.listing.category != COINM and not forced:
            spelled = Spelled(fill.listing)
            about = {
                "s": fill.listing.symbol,
                "q": spelled.size(order.size),
                "p": spelled.price(order.price),
                "m": fill.maker,
                "c": client_id(order),
                "S": SIDES[fill.side],
                "L": spelled.price(fill.price),
                "l": spelled.size(fill.size),
                "t": ids.trade(fill),
                "i": ids.order(order),
            }
            self.tell(fill.account, fill.listing.category, "TRADE_LITE", about, now_ns)
        kind = "CALCULATED" if forced else "TRADE"
        row = event_row(ids, order, kind, now_ns, fill)
        self._tell_order(order, "ORDER_TRADE_UPDATE", row, now_ns)

    # --- money ---

    def _money(self, row: MoneyRow, category: str, now_ns: int) -> None:
        trading = self._trading
        positions = self._moved.pop(row.account, {})
        reason = _REASONS.get(row.kind)
        if reason is None:
            reason = "DEPOSIT" if row.cash >= 0 else "WITHDRAW"
        account = trading.desk.accounts.get(row.account)
        if account is None:
            return
        isolated = sum(
            (
                each.isolated_margin
                for each in account.positions.values()
                if each.size and each.listing.settle == row.asset
            ),
            _NOTHING,
        )
        traded = row.kind not in (MoneyKind.FUNDING, MoneyKind.TRANSFER, MoneyKind.INSURANCE)
        balance = {
            "a": row.asset,
            "wb": plain(row.balance),
            "cw": plain(row.balance - isolated),
            "bc": plain(_NOTHING if traded else row.change),
        }
        about: dict[str, Any] = {"m": reason, "B": [balance]}
        about["P"] = [self.position_row(each) for each in positions.values()]
        if row.kind is MoneyKind.FUNDING and row.listing is not None:
            about["S"] = row.listing.symbol
        self.tell(row.account, category, "ACCOUNT_UPDATE", {"a": about}, now_ns)

    def position_row(self, position: DeskPosition) -> dict[str, Any]:
        """A position of ``ACCOUNT_UPDATE``."""
        spelled = Spelled(position.listing)
        entry = entry_price(position) if position.size else None
        gain = _NOTHING
        if position.size:
            gain = self._trading.desk.margins.of_position(position).unrealised
        return {
            "s": position.listing.symbol,
            "pa": spelled.size(position.size),
            "ep": plain(entry or _NOTHING),
            "bep": plain(entry or _NOTHING),
            "cr": plain(self._realised.get((position.account, position.key), _NOTHING)),
            "up": plain(gain),
            "mt": _MARGINS.get(position.margin_mode, "cross"),
            "iw": plain(position.isolated_margin if position.size else _NOTHING),
            "ps": POSITION_SIDES[position.side],
        }

    def _called(self, name: str, now_ns: int) -> None:
        """``MARGIN_CALL``, of all positions that are crossed."""
        trading = self._trading
        account = trading.desk.accounts[name]
        rows, category = [], ""
        for position in account.positions.values():
            if position.size:
                category = position.listing.category
                margin = trading.desk.margins.of_position(position)
                row = self.position_row(position)
                rows.append(
                    {
                        **{key: row[key] for key in ("s", "ps", "pa", "iw", "up")},
                        "mt": row["mt"].upper() + ("ED" if row["mt"] == "cross" else ""),
                        "mp": plain(trading.mark_price(position.listing)),
                        "mm": plain(margin.maintenance),
                    }
                )
        about = {"cw": plain(sum((b.total for b in account.wallet.assets.values()), _NOTHING))}
        self.tell(name, category, "MARGIN_CALL", {**about, "p": rows}, now_ns)
