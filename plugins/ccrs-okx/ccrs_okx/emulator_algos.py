"""Orders of the emulated OKX that wait for a trigger: placed, canceled, and listed apart.

https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_core import Exit, OrderType, Side, Trigger, TriggerBy
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    NewOrder,
    Query,
    Refused,
    SimulatedMarket,
    TradingAccount,
    index_price,
    mark_price,
)
from ccrs_okx.emulator_algo_rows import algo_row, order_type
from ccrs_okx.emulator_codes import ABSENT, GONE, complain, parameter
from ccrs_okx.emulator_listings import SPOT, TYPES
from ccrs_okx.emulator_order_rows import is_algo
from ccrs_okx.emulator_orders import tradable
from ccrs_okx.emulator_tickets import (
    CONDITIONAL_TYPES,
    PREVENTIONS,
    Conditional,
    conditional,
    which_order,
)

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

MOST_AT_ONCE = 10
_NAMES = {"tp": "take_profit", "sl": "stop_loss"}


class Algos:
    """What clients do with orders that wait; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- done ---

    def place(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``order-algo``: the ack.

        :raises BadRequest: naming the first thing that is wrong.
        """
        trading = self._trading
        listing = tradable(trading.orders.listing(values), now_ns)
        said = conditional(listing.category, values)
        trading.orders.check_mode(account, listing, said.mode)
        market = trading.venue.market(listing)
        wanted = self._wanted(account, said, market)
        placed: list[DeskOrder] = []
        for order in wanted:
            try:
                placed.append(trading.desk.place(account, order))
            except Refused as refused:
                for each in placed:
                    trading.desk.cancel(account, each.number)
                raise complain(refused, order) from None
        return {
            "algoId": trading.ids.algo(placed[0].number),
            "algoClOrdId": said.client_id,
            "clOrdId": "",
            "tag": said.tag,
        }

    def _wanted(
        self, account: TradingAccount, said: Conditional, market: SimulatedMarket
    ) -> list[NewOrder]:
        """The desk's orders: two, where a take profit and a stop loss belong together."""
        if said.kind == "trigger":
            assert said.trigger is not None
            price = _followed(market, said.follows)
            trigger = Trigger(price=said.trigger, rises=said.trigger > price, by=said.follows)
            return [self._order(account, said, market, trigger, said.price, "")]
        if said.kind == "move_order_stop":
            return [self._trailing(account, said, market)]
        both = said.take_profit is not None and said.stop_loss is not None
        pair = f"{self._trading.venue.now_ns}/{said.client_id}" if both else ""
        return [
            self._order(account, said, market, self._exit(said, name, wanted), limit, name, pair)
            for name, wanted in (("tp", said.take_profit), ("sl", said.stop_loss))
            if wanted is not None
            for limit in [wanted.limit_price]
        ]

    @staticmethod
    def _exit(said: Conditional, name: str, wanted: Exit) -> Trigger:
        """A take profit sells once the price has risen, a stop loss once it has fallen."""
        sells = said.side is Side.SELL
        return Trigger(price=wanted.price, rises=(name == "tp") is sells, by=wanted.by)

    def _order(
        self,
        account: TradingAccount,
        said: Conditional,
        market: SimulatedMarket,
        trigger: Trigger,
        price: Decimal | None,
        name: str,
        pair: str = "",
        **more: Any,
    ) -> NewOrder:
        listing = market.listing
        spot = listing.category == SPOT
        in_quote = spot and price is None and said.side is Side.BUY and said.unit != "base_ccy"
        each = listing.contract
        later = bool(pair) and name == "sl"  # of the two one has the client's id
        size = None if said.size is None else said.size * each
        return NewOrder(
            listing=listing,
            side=said.side,
            size=None if in_quote else size,
            quote_size=said.size if in_quote else None,
            price=price,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            reduce_only=(said.reduce_only or said.closes) and not spot,
            closing=said.closes,
            position_side=said.position_side,
            self_trade=PREVENTIONS[str(account.settings.get("acctStpMode", "cancel_maker"))],
            client_order_id="" if later else said.client_id,
            trigger=trigger,
            locks_at_once=spot,
            pair=pair,
            labels={
                "algo": said.kind,
                "mode": said.mode,
                "tag": said.tag,
                "unit": said.unit if spot else "",
                "exit": _NAMES.get(name, ""),
                "exits": said.client_id if later else "",
                "lever": self._trading.leverage(account, listing, said.position_side),
                **more.pop("labels", {}),
            },
            **more,
        )

    def _trailing(
        self, account: TradingAccount, said: Conditional, market: SimulatedMarket
    ) -> NewOrder:
        """A stop that follows the last price by an amount, or by a share of it."""
        rules, tick = market.rules, market.listing.tick
        last = rules.price.value(market.tape.last)
        begins = said.begins
        distance = said.spread
        if said.ratio is not None:
            distance = rules.price.value(rules.price.nearest((begins or last) * said.ratio))
        assert distance is not None
        if not distance or distance % tick or distance >= (begins or last):
            raise BadRequest(51311, "Failed to place trailing stop order. Callback rate is wrong.")
        sells = said.side is Side.SELL
        at = (begins or last) - distance if sells else (begins or last) + distance
        told = {
            "ratio": "" if said.ratio is None else f"{said.ratio:f}",
            "spread": "" if said.spread is None else f"{said.spread:f}",
            "begins": "" if begins is None else f"{begins:f}",
        }
        return self._order(
            account,
            said,
            market,
            Trigger(price=at, rises=not sells),
            None,
            "",
            trailing=distance if said.ratio is None else None,
            trailing_share=said.ratio,
            activates_at=begins,
            labels=told,
        )

    def cancel(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``cancel-algos``: one of them, with what belongs to it."""
        trading = self._trading
        listing = trading.orders.listing(values)
        mine, its = which_order(values, algo=True)
        members = self.find(account, mine, its)
        alive = [each for each in members if not each.stage.ended]
        if not alive or members[0].listing.key != listing.key:
            raise GONE
        for each in alive:
            try:
                trading.desk.cancel(account, each.number)
            except Refused:
                continue  # it ends by itself
        head = members[0]
        return {
            "algoId": trading.ids.algo(head.number),
            "algoClOrdId": its or head.client_order_id,
            "clOrdId": "",
            "tag": head.asked.labels.get("tag", ""),
        }

    # --- known ---

    def find(self, account: TradingAccount, algo_id: str, client_id: str) -> list[DeskOrder]:
        """The desk's orders that are one to OKX, the first of them naming it; none if none is."""
        trading = self._trading
        number = trading.ids.algo_number(algo_id) if algo_id else account.client_ids.get(client_id)
        order = None if number is None else trading.desk.find(account, number=number)
        if order is not None and not algo_id and order.origin is not None:
            order = trading.desk.find(account, number=order.origin)
        return [] if order is None or not is_algo(order) else self.members(account, order)

    def members(self, account: TradingAccount, order: DeskOrder) -> list[DeskOrder]:
        """An order that waits with the one that belongs to it, by number."""
        found = {order.number: order}
        for step in (-1, 1):
            other = self._trading.desk.find(account, number=order.number + step)
            if other is not None and is_algo(other) and _together(order, other):
                found[other.number] = other
        return [found[number] for number in sorted(found)]

    def row(self, account: TradingAccount, members: Sequence[DeskOrder]) -> dict[str, Any]:
        market = self._trading.venue.quoted(members[0].listing)
        last = market.rules.price.value(market.tape.last)
        return algo_row(self._trading.ids, members, last)

    # --- asked ---

    def pending(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``orders-algo-pending``: those of a type that wait, newest first."""
        lag_ns = self._trading.lag_ns("trade/orders-algo-pending")
        histories = self._trading.desk.histories
        found = [
            order
            for order in histories.open_orders(account.name, now_ns, lag_ns=lag_ns)
            if is_algo(order)
        ]
        return self._listed(account, query, found)

    def history(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``orders-algo-history``: those of a type that have ended, by state or id."""
        wanted = query.text("state")
        if not wanted and not query.text("algoId"):
            raise BadRequest(50015, "Either parameter state or algoId is required.", 400)
        shelf = self._trading.desk.histories.orders(account.name)
        page = shelf.page(
            now_ns,
            limit=10_000,
            want=is_algo,
            lag_ns=self._trading.lag_ns("trade/orders-algo-history"),
        )
        rows = self._listed(account, query, page.rows)
        return [row for row in rows if wanted in {"", row["state"]}]

    def one(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``GET order-algo``: one, as it is."""
        mine, its = which_order(query.values, algo=True)
        members = self.find(account, mine, its)
        if not members:
            raise ABSENT
        return [self.row(account, members)]

    def _listed(
        self, account: TradingAccount, query: Query, orders: Sequence[DeskOrder]
    ) -> list[dict[str, Any]]:
        types = query.text("ordType").split(",")
        if not set(types) <= {*CONDITIONAL_TYPES, "iceberg", "twap", "chase", "smart_iceberg"}:
            raise parameter("ordType")
        category, symbol = query.choice("instType", (*TYPES, ""), ""), query.text("instId")
        wanted = query.text("algoId")
        limit = query.number("limit", 100, 100)
        ids = self._trading.ids
        after, before = (_place(query.text(name), ids) for name in ("after", "before"))
        rows: list[dict[str, Any]] = []
        seen: set[int] = set()
        for order in orders:
            members = self.members(account, order)
            head = members[0].number
            if head in seen or order_type(members) not in types:
                continue
            seen.add(head)
            listing = order.listing
            about = category in {"", listing.category} and symbol in {"", listing.symbol}
            placed = (after is None or head < after) and (before is None or head > before)
            if about and placed and wanted in {"", ids.algo(head)}:
                rows.append(self.row(account, members))
            if len(rows) == limit:
                break
        return rows


def _followed(market: SimulatedMarket, by: TriggerBy) -> Decimal:
    """The price that a trigger follows, now."""
    match by:
        case TriggerBy.MARK:
            return mark_price(market)
        case TriggerBy.INDEX:
            return index_price(market)
    return market.rules.price.value(market.tape.last)


def _together(order: DeskOrder, other: DeskOrder) -> bool:
    if order.asked.pair or other.asked.pair:
        return order.asked.pair == other.asked.pair
    return order.parent is not None and order.parent == other.parent


def _place(text: str, ids: Any) -> int | None:
    if not text:
        return None
    number = ids.algo_number(text)
    if number is None:
        raise parameter("after")
    return int(number)
