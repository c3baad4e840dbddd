"""Lists of orders of spot on the emulated Binance: one or the other (OCO), one that brings another
to life once it is filled (OTO), or two of which one counts (OTOCO).

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints#order-lists
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_calls import listed
from ccrs_binance.emulator_codes import UNKNOWN_ORDER, complaint
from ccrs_binance.emulator_listings import SPOT
from ccrs_binance.emulator_params import Params, missing
from ccrs_binance.emulator_spot_rows import canceled_row, report, result_row
from ccrs_binance.emulator_spot_tickets import CLIENT_ID, read
from ccrs_core import Exit
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Ending,
    Happening,
    Listing,
    NewOrder,
    OrderChanged,
    Refused,
    Stage,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_LEG = {
    "Type": "type",
    "ClientOrderId": "newClientOrderId",
    "Price": "price",
    "StopPrice": "stopPrice",
    "TrailingDelta": "trailingDelta",
    "TimeInForce": "timeInForce",
    "IcebergQty": "icebergQty",
    "StrategyId": "strategyId",
    "StrategyType": "strategyType",
}
"""How the parameters of an order are named after which one of the list it is."""
_COMMON = ("symbol", "listClientOrderId", "newOrderRespType", "selfTradePreventionMode")
_KEPT = 2000


def _names(*prefixes: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for prefix in prefixes for name in _LEG)


OCO = (*_COMMON, "side", "quantity", *_names("above", "below"))
_WORKING = ("workingSide", "workingQuantity", *_names("working"))
OTO = (*_COMMON, *_WORKING, "pendingSide", "pendingQuantity", *_names("pending"))
OTOCO = (
    *(*_COMMON, *_WORKING, "pendingSide", "pendingQuantity"),
    *_names("pendingAbove", "pendingBelow"),
)
WHICH_LIST = ("symbol", "orderListId", "listClientOrderId", "newClientOrderId", "origClientOrderId")
LISTS = ("fromId", "startTime", "endTime", "limit")
_LIMITS = frozenset({"LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


@attrs.define(eq=False)
class OrderList:
    """A list: its orders that are placed, by the desk's numbers, and those that aren't yet."""

    number: int
    client_id: str
    account: str
    listing: Listing
    kind: str
    created_ns: int
    placed: list[int] = attrs.field(factory=list)
    pending: list[DeskOrder] = attrs.field(factory=list)
    working: int | None = None
    """The order on whose fill the pending ones wait."""
    gone: list[DeskOrder] = attrs.field(factory=list)
    """Orders that were never placed and aren't going to be."""
    exits: Sequence[NewOrder] = ()
    """What was asked for once the working order is filled."""
    done: bool = False
    rejected: bool = False


class OrderLists:
    """What clients do with lists, and what becomes of them."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._lists: dict[int, OrderList] = {}
        self._of: dict[int, OrderList] = {}
        self._count = 0
        self._unplaced = 0

    # --- calls ---

    def place_oco(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``orderList/oco``: of one size, at a price above and one below."""
        listing = listed(self._trading, SPOT, params)
        common = {name: params.text(name) for name in ("side", "quantity")}
        made = self._new(params, listing, "OCO", now_ns)
        legs = self._legs(params, listing, ("above", "below"), common, made)
        return self._placed(params, made, legs, (), now_ns)

    def place_oto(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``orderList/oto``: the second is placed once the first is filled."""
        listing = listed(self._trading, SPOT, params)
        made = self._new(params, listing, "OTO", now_ns)
        working = self._legs(params, listing, ("working",), _sized(params, "working"), made)
        pending = self._legs(params, listing, ("pending",), _sized(params, "pending"), made)
        return self._placed(params, made, working, pending, now_ns)

    def place_otoco(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``orderList/otoco``: the second is one or the other."""
        listing = listed(self._trading, SPOT, params)
        made = self._new(params, listing, "OTO", now_ns)
        working = self._legs(params, listing, ("working",), _sized(params, "working"), made)
        prefixes = ("pendingAbove", "pendingBelow")
        pending = self._legs(params, listing, prefixes, _sized(params, "pending"), made)
        return self._placed(params, made, working, pending, now_ns)

    def cancel(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE orderList``: all orders of a list."""
        found = self._found(params, "listClientOrderId")
        if found is None or found.done:
            raise UNKNOWN_ORDER
        cancel_id = params.client_id("newClientOrderId", CLIENT_ID)
        return self.cancel_list(params.account, found, cancel_id, now_ns)

    def one(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET orderList``."""
        found = self._found(params, "origClientOrderId")
        if found is None:
            raise BadRequest(-2018, "Order list does not exist.", 400)
        return self.row(found)

    def open_lists(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``openOrderList``."""
        return [self.row(each) for each in self._mine(params.account) if not each.done]

    def all_lists(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``allOrderList``: oldest first."""
        first = params.whole("fromId") or 0
        from_ns, to_ns = params.time_ns("startTime"), params.time_ns("endTime")
        return [
            self.row(each)
            for each in self._mine(params.account)
            if each.number >= first
            and (from_ns is None or each.created_ns >= from_ns)
            and (to_ns is None or each.created_ns <= to_ns)
        ][: params.limit(500, 1000)]

    def _mine(self, account: TradingAccount) -> list[OrderList]:
        return [each for each in self._lists.values() if each.account == account.name]

    def _found(self, params: Params, id_name: str) -> OrderList | None:
        number, client_id = params.whole("orderListId"), params.text(id_name)
        if number is None and not client_id:
            raise missing("orderListId")
        for each in reversed(self._mine(params.account)):
            if each.number == number or (number is None and each.client_id == client_id):
                return each
        return None

    # --- new ones ---

    def _new(self, params: Params, listing: Listing, kind: str, now_ns: int) -> OrderList:
        client_id = params.client_id("listClientOrderId", CLIENT_ID)
        return OrderList(
            number=self._count,
            client_id=client_id or self._trading.ids.made_up(),
            account=params.account.name,
            listing=listing,
            kind=kind,
            created_ns=now_ns,
        )

    def _legs(
        self,
        params: Params,
        listing: Listing,
        prefixes: Sequence[str],
        common: Mapping[str, str],
        made: OrderList,
    ) -> list[NewOrder]:
        """The orders of which one counts, as they are asked for; or one alone."""
        trading = self._trading
        market = trading.venue.market(listing)
        legs = []
        for prefix in prefixes:
            values = {new: params.text(prefix + old) for old, new in _LEG.items()}
            values |= {**common, "symbol": listing.symbol}
            values["selfTradePreventionMode"] = params.text("selfTradePreventionMode")
            sent = {name: value for name, value in values.items() if value}
            each = Params(sent, params.account, decimals=8)
            order = read(each, listing, market, trading.ids.made_up()).order
            legs.append(attrs.evolve(order, labels={**order.labels, "list": made.number}))
        if len(legs) == 1:
            return legs
        self._check_oco(legs)
        # Of the two, one lays hold of the assets for both: what rests, or else the first.
        legs.sort(key=lambda leg: leg.trigger is not None)
        contingent = f"{made.number}/{prefixes[0]}"
        return [
            attrs.evolve(leg, contingent=contingent, locks_at_once=turn == 0)
            for turn, leg in enumerate(legs)
        ]

    @staticmethod
    def _check_oco(legs: Sequence[NewOrder]) -> None:
        """The one above must be at a higher price than the one below, and one of each kind."""
        kinds = [leg.labels["type"] in _LIMITS for leg in legs]
        above, below = (leg.price if leg.trigger is None else leg.trigger.price for leg in legs)
        if above is None or below is None or above <= below or kinds[0] == kinds[1]:
            text = "The relationship of the prices for the orders is not correct."
            raise BadRequest(-2010, text, 400)

    def _placed(
        self,
        params: Params,
        made: OrderList,
        legs: Sequence[NewOrder],
        pending: Sequence[NewOrder],
        now_ns: int,
    ) -> dict[str, Any]:
        trading, account = self._trading, params.account
        for leg in legs:
            trading.spot_orders.check(account, leg)
        self._count += 1
        self._lists[made.number] = made
        if len(self._lists) > _KEPT:
            del self._lists[next(iter(self._lists))]
        made.exits = tuple(pending)
        for asked in pending:
            self._unplaced -= 1
            waiting = DeskOrder(
                number=self._unplaced,
                account=account.name,
                asked=attrs.evolve(asked, labels={**asked.labels, "pending": True}),
                stage=Stage.ACCEPTED,
                created_ns=now_ns,
                updated_ns=now_ns,
            )
            made.pending.append(waiting)
        self._tell(made, "EXEC_STARTED", now_ns)
        for waiting in made.pending:
            self._tell_order(waiting, "NEW", now_ns)
        for leg in legs:
            self._place(account, made, leg)
        if made.pending or pending:
            made.working = made.placed[0]
        self._look(made, now_ns)
        row = {**self.row(made, now_ns), "listStatusType": "EXEC_STARTED"}
        row["listOrderStatus"] = "EXECUTING"
        reports = [result_row(trading.ids, order, now_ns) for order in self._orders(made, account)]
        return {**row, "orderReports": reports}

    def _place(self, account: TradingAccount, made: OrderList, asked: NewOrder) -> None:
        trading = self._trading
        try:
            order = trading.desk.place(account, asked)
        except Refused as refused:
            raise complaint(refused, asked.listing) from None
        made.placed.append(order.number)
        self._of[order.number] = made

    # --- what becomes of them ---

    def exits(self, order: DeskOrder) -> tuple[Exit | None, Exit | None]:
        """The take-profit and the stop-loss of an order that others wait for."""
        made = self._of.get(order.number)
        if made is None or made.working != order.number:
            return None, None
        found: dict[bool, Exit] = {}
        for leg in made.exits:
            kind = leg.labels["type"]
            price = leg.price if leg.trigger is None else leg.trigger.price
            assert price is not None
            limit = leg.price if leg.trigger is not None and "LIMIT" in kind else None
            found[not kind.startswith("STOP")] = Exit(price=price, limit_price=limit)
        return found.get(True), found.get(False)

    def happened(self, happening: Happening) -> None:
        """The desk has something to tell of an order, which may be of a list."""
        if not isinstance(happening, OrderChanged) or not happening.order.stage.ended:
            return
        made = self._of.get(happening.order.number)
        if made is not None and not made.done:
            self._trading.venue.at(happening.time_ns, lambda now_ns: self._look(made, now_ns))

    def _look(self, made: OrderList, now_ns: int) -> None:
        """See what follows from the orders' states."""
        if made.done:
            return
        account = self._trading.desk.accounts[made.account]
        if made.working is not None and made.pending:
            working = self._trading.desk.find(account, number=made.working)
            if working is None or working.stage.ended:
                filled = working is not None and working.stage is Stage.FILLED
                self._go_on(account, made, now_ns, filled=filled)
        orders = [self._trading.desk.find(account, number=each) for each in made.placed]
        if not made.pending and all(each is None or each.stage.ended for each in orders):
            made.done = True
            self._tell(made, "ALL_DONE", now_ns)

    def _go_on(
        self, account: TradingAccount, made: OrderList, now_ns: int, *, filled: bool
    ) -> None:
        """Place what has waited for the first order's fill; or let it go, where there is none."""
        trading, waiting = self._trading, made.pending
        made.pending = []
        for each in waiting:
            if not filled:
                self._let_go(made, each, Ending.PARTNER, now_ns)
                continue
            labels = {key: value for key, value in each.asked.labels.items() if key != "pending"}
            asked = attrs.evolve(each.asked, labels=labels)
            try:
                trading.spot_orders.check(account, asked)
                trading.ids.adopt(made.listing.key, each.number)
                self._place(account, made, asked)
            except BadRequest:
                made.rejected = True
                self._let_go(made, each, Ending.BALANCE, now_ns)
        if filled:
            self._tell(made, "UPDATED", now_ns)

    def _let_go(self, made: OrderList, order: DeskOrder, why: Ending, now_ns: int) -> None:
        labels = {key: value for key, value in order.asked.labels.items() if key != "pending"}
        gone = attrs.evolve(
            order,
            asked=attrs.evolve(order.asked, labels=labels),
            stage=Stage.CANCELED,
            ending=why,
            updated_ns=now_ns,
        )
        made.gone.append(gone)
        self._tell_order(gone, "CANCELED" if why is Ending.BY_USER else "EXPIRED", now_ns)

    def cancel_list(
        self, account: TradingAccount, made: OrderList, cancel_id: str, now_ns: int
    ) -> dict[str, Any]:
        """Cancel all that is left of a list."""
        trading, reports = self._trading, []
        waiting, made.pending = made.pending, []
        for each in waiting:
            self._let_go(made, each, Ending.BY_USER, now_ns)
            request_id = cancel_id or trading.ids.made_up()
            reports.append(canceled_row(trading.ids, made.gone[-1], request_id, now_ns))
        for number in made.placed:
            order = account.orders.get(number)
            if order is not None:
                request_id = cancel_id or trading.ids.made_up()
                reports.append(trading.spot_orders.cancel_order(account, order, request_id, now_ns))
        self._look(made, now_ns)
        return {**self.row(made, now_ns), "orderReports": reports}

    # --- what is told ---

    def list_of(self, order: DeskOrder) -> OrderList | None:
        """The list that an order is of."""
        found = self._lists.get(order.asked.labels.get("list", -1))
        return found if found is not None and found.account == order.account else None

    def waiting(self, account: TradingAccount) -> list[DeskOrder]:
        """Orders that are placed once another one is filled, newest first."""
        found = [each for made in self._mine(account) for each in made.pending]
        return sorted(found, key=lambda each: each.number)

    def unplaced(
        self, account: TradingAccount, listing: Listing, order_id: int | None, client_id: str
    ) -> DeskOrder | None:
        """Such an order, or one that never was, by an id."""
        ids = self._trading.ids
        for made in self._mine(account):
            for each in (*made.pending, *made.gone):
                if made.listing.key != listing.key:
                    continue
                known = order_id is None or ids.order(each) == order_id
                if known and client_id in {"", each.client_order_id}:
                    return each
        return None

    def _orders(self, made: OrderList, account: TradingAccount) -> list[DeskOrder]:
        found = [self._trading.desk.find(account, number=each) for each in made.placed]
        return [each for each in found if each is not None] + made.pending + made.gone

    def row(self, made: OrderList, now_ns: int | None = None) -> dict[str, Any]:
        """A list as answers have it."""
        account = self._trading.desk.accounts[made.account]
        when = made.created_ns if now_ns is None else now_ns
        return {
            "orderListId": made.number,
            "contingencyType": made.kind,
            "listStatusType": "ALL_DONE" if made.done else "EXEC_STARTED",
            "listOrderStatus": "ALL_DONE" if made.done else "EXECUTING",
            "listClientOrderId": made.client_id,
            "transactionTime": milliseconds(when),
            "symbol": made.listing.symbol,
            "orders": [
                {
                    "symbol": made.listing.symbol,
                    "orderId": self._trading.ids.order(each),
                    "clientOrderId": each.client_order_id,
                }
                for each in self._orders(made, account)
            ],
        }

    def _tell(self, made: OrderList, kind: str, now_ns: int) -> None:
        """``listStatus``."""
        account = self._trading.desk.accounts[made.account]
        done = kind == "ALL_DONE"
        orders = [
            {
                "s": made.listing.symbol,
                "i": self._trading.ids.order(each),
                "c": each.client_order_id,
            }
            for each in self._orders(made, account)
        ]
        event = {
            "e": "listStatus",
            "E": 0,
            "s": made.listing.symbol,
            "g": made.number,
            "c": made.kind,
            "l": kind,
            "L": "ALL_DONE" if done else "EXECUTING",
            "r": "NONE",
            "C": made.client_id,
            "T": milliseconds(now_ns),
            "O": orders,
        }
        self._trading.feed(made.account, SPOT).tell(event, now_ns)

    def _tell_order(self, order: DeskOrder, kind: str, now_ns: int) -> None:
        """``executionReport`` of an order that isn't placed."""
        event = report(self._trading.ids, order, kind, 0, now_ns)
        if kind == "EXPIRED":
            event["eR"] = "OTO_PHASE_ONE_EXPIRED"
        self._trading.feed(order.account, SPOT).tell(event, now_ns)


def _sized(params: Params, prefix: str) -> dict[str, str]:
    """The side and the size of a list's orders of a kind."""
    names = {"side": f"{prefix}Side", "quantity": f"{prefix}Quantity"}
    return {name: params.needed(sent) for name, sent in names.items()}
