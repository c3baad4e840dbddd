"""Placing, canceling, replacing and amending orders of spot on the emulated Binance, whichever way
they come. Answers are the matching engine's: what they say has happened.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_calls import listed, on_steps
from ccrs_binance.emulator_codes import UNKNOWN_ORDER, WOULD_TAKE, complaint
from ccrs_binance.emulator_listings import SPOT
from ccrs_binance.emulator_params import Params, missing
from ccrs_binance.emulator_spot_rows import (
    ack_row,
    answered_fills,
    canceled_row,
    order_row,
    result_row,
)
from ccrs_binance.emulator_spot_tickets import (
    CLIENT_ID,
    MARKET_PART,
    MOST_NOTIONAL,
    NEW_ORDER,
    Ticket,
    read,
)
from ccrs_core import Side
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    NewOrder,
    Refused,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

WHICH = ("symbol", "orderId", "origClientOrderId")
CANCEL = (*WHICH, "newClientOrderId", "cancelRestrictions")
REPLACE = (
    *NEW_ORDER,
    *("cancelReplaceMode", "cancelNewClientOrderId", "cancelOrigClientOrderId", "cancelOrderId"),
    *("cancelRestrictions", "orderRateLimitExceededMode"),
)
AMEND = (*WHICH, "newClientOrderId", "newQty")
_RESTRICTIONS = ("", "ONLY_NEW", "ONLY_PARTIALLY_FILLED")
_RESTRICTED = BadRequest(-2011, "Order was not canceled due to cancel restrictions.", 400)
_MOST_AMENDMENTS = 10
_AMENDED = (
    *("symbol", "orderId", "orderListId", "clientOrderId", "price", "executedQty", "status"),
    *("timeInForce", "type", "side", "workingTime", "selfTradePreventionMode"),
)


@attrs.frozen
class Amendment:
    """An amendment that was made."""

    number: int
    client_order_id: str
    was: Decimal
    size: Decimal
    time_ns: int


class SpotOrders:
    """What clients do with orders of spot; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self.amendments: dict[int, list[Amendment]] = {}
        """By order."""
        self._count = 0

    # --- new ones ---

    def place(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order``: an order's acknowledgement, its state, or that with its fills."""
        ticket = self._ticket(params)
        return self._placed(params.account, ticket, now_ns)

    def test(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order/test``: whether it would be taken."""
        ticket = self._ticket(params)
        self.check(params.account, ticket.order)
        if not params.flag("computeCommissionRates"):
            return {}
        about = self._trading.spot_records.commissions(params.account, ticket.order.listing)
        names = {"standardCommission": "standardCommissionForOrder"}
        names |= {"specialCommission": "specialCommissionForOrder"}
        names |= {"taxCommission": "taxCommissionForOrder"}
        rates = {
            new: {side: about[old][side] for side in ("maker", "taker")}
            for old, new in names.items()
        }
        return {**rates, "discount": about["discount"]}

    def _ticket(self, params: Params) -> Ticket:
        trading = self._trading
        listing = listed(trading, SPOT, params)
        return read(params, listing, trading.venue.market(listing), trading.ids.made_up())

    def check(self, account: TradingAccount, asked: NewOrder) -> None:
        """Refuse what can't be placed.

        :raises BadRequest: naming why.
        """
        trading = self._trading
        missed = on_steps(asked.listing, asked.size, asked.price)
        try:
            if missed is not None:
                raise Refused(missed)
            trading.desk.check(account, asked)
        except Refused as refused:
            raise complaint(refused, asked.listing) from None
        _check_size(asked)
        engine = trading.venue.market(asked.listing).engine
        best = (engine.asks if asked.side is Side.BUY else engine.bids).best
        if asked.lifetime is Lifetime.POST_ONLY and asked.trigger is None and best is not None:
            at = trading.venue.market(asked.listing).rules.price.value(best)
            assert asked.price is not None
            if asked.price >= at if asked.side is Side.BUY else asked.price <= at:
                raise WOULD_TAKE

    def _placed(self, account: TradingAccount, ticket: Ticket, now_ns: int) -> dict[str, Any]:
        trading = self._trading
        self.check(account, ticket.order)
        fills = trading.filled_meanwhile()
        try:
            order = trading.desk.place(account, ticket.order)
        except Refused as refused:
            raise complaint(refused, ticket.order.listing) from None
        order = trading.desk.find(account, number=order.number) or order
        if ticket.answer == "ACK":
            return ack_row(trading.ids, order, now_ns)
        row = result_row(trading.ids, order, now_ns)
        if ticket.answer == "RESULT":
            return row
        mine = [fill for fill in fills if fill.order.number == order.number]
        return {**row, "fills": answered_fills(trading.ids, mine)}

    # --- cancels ---

    def cancel(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE order``."""
        listing = listed(self._trading, SPOT, params)
        order = self.found(params, listing, params.whole("orderId"), "origClientOrderId")
        return self._canceled(params, order, "newClientOrderId", now_ns)

    def _canceled(
        self, params: Params, order: DeskOrder | None, id_name: str, now_ns: int
    ) -> dict[str, Any]:
        cancel_id = params.client_id(id_name, CLIENT_ID) or self._trading.ids.made_up()
        restriction = params.word("cancelRestrictions", _RESTRICTIONS, "")
        if order is None or order.stage.ended:
            raise UNKNOWN_ORDER
        made = self._trading.lists.list_of(order)
        if made is not None:
            # One of a list takes the others with it.
            answer = self._trading.lists.cancel_list(params.account, made, cancel_id, now_ns)
            number = self._trading.ids.order(order)
            [row] = [each for each in answer["orderReports"] if each["orderId"] == number]
            return dict(row)
        if restriction and (restriction == "ONLY_NEW") is bool(order.filled):
            raise _RESTRICTED
        return self.cancel_order(params.account, order, cancel_id, now_ns)

    def cancel_order(
        self, account: TradingAccount, order: DeskOrder, cancel_id: str, now_ns: int
    ) -> dict[str, Any]:
        """Cancel an order that is open, with the others of its list."""
        trading = self._trading
        trading.cancel_ids[order.number] = cancel_id
        try:
            trading.desk.cancel(account, order.number, Ending.BY_USER)
        except Refused:
            trading.cancel_ids.pop(order.number, None)
            raise UNKNOWN_ORDER from None
        after = trading.desk.find(account, number=order.number) or order
        return canceled_row(trading.ids, after, cancel_id, now_ns)

    def cancel_all(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``DELETE openOrders``: of one symbol; an error where there are none."""
        listing = listed(self._trading, SPOT, params)
        account, lists = params.account, self._trading.lists
        found = account.open_orders(listing)
        if not found:
            raise UNKNOWN_ORDER
        rows = []
        for order in found:
            if order.number not in account.orders:
                continue
            made = lists.list_of(order)
            if made is not None:
                rows.append(lists.cancel_list(account, made, "", now_ns))
            else:
                cancel_id = self._trading.ids.made_up()
                rows.append(self.cancel_order(account, order, cancel_id, now_ns))
        return rows

    def replace(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order/cancelReplace``: a cancel, and then a new order, each with its own outcome."""
        modes = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
        mode = params.word("cancelReplaceMode", modes, params.needed("cancelReplaceMode"))
        listing = listed(self._trading, SPOT, params)
        number = params.whole("cancelOrderId")
        if number is None and not params.text("cancelOrigClientOrderId"):
            raise missing("cancelOrigClientOrderId")
        # What is wrong with the new order in itself is told before anything is canceled.
        ticket = self._ticket(params)
        order = self.found(params, listing, number, "cancelOrigClientOrderId")
        data: dict[str, Any] = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": None,
            "newOrderResponse": None,
        }
        try:
            data["cancelResponse"] = self._canceled(params, order, "cancelNewClientOrderId", now_ns)
        except BadRequest as refused:
            data["cancelResult"] = "FAILURE"
            data["cancelResponse"] = {"code": refused.code, "msg": refused.text}
        if data["cancelResult"] == "SUCCESS" or mode == "ALLOW_FAILURE":
            try:
                data["newOrderResponse"] = self._placed(params.account, ticket, now_ns)
                data["newOrderResult"] = "SUCCESS"
            except BadRequest as refused:
                data["newOrderResult"] = "FAILURE"
                data["newOrderResponse"] = {"code": refused.code, "msg": refused.text}
        results = data["cancelResult"], data["newOrderResult"]
        if results == ("SUCCESS", "SUCCESS"):
            return data
        if "SUCCESS" in results:
            text = "Order cancel-replace partially failed."
            raise BadRequest(-2021, text, 409, data)
        raise BadRequest(-2022, "Order cancel-replace failed.", 400, data)

    # --- amendments ---

    def amend(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order/amend/keepPriority``: less of it, at its place in the queue; and it gets another
        id of the client's, made up where none is sent."""
        trading, account = self._trading, params.account
        listing = listed(trading, SPOT, params)
        size = params.number("newQty")
        if size is None:
            raise missing("newQty")
        client_id = params.client_id("newClientOrderId", CLIENT_ID) or trading.ids.made_up()
        order = self.found(params, listing, params.whole("orderId"), "origClientOrderId")
        if order is None or order.stage.ended:
            raise UNKNOWN_ORDER
        made = self.amendments.get(order.number, [])
        if len(made) >= _MOST_AMENDMENTS:
            raise BadRequest(-1013, "Filter failure: MAX_NUM_ORDER_AMENDS", 400)
        was = order.size
        if was is None or size >= was:
            same = size == was
            text = (
                "The requested action would change no state; rejecting."
                if same
                else "Order amend (quantity increase) is not supported."
            )
            raise BadRequest(-2038, text, 400)
        taken = account.client_ids.get(client_id)
        if taken in account.orders and taken != order.number:
            raise BadRequest(-2010, "Duplicate order sent.", 400)
        asked = attrs.evolve(order.asked, size=size, client_order_id=client_id)
        try:
            trading.desk.amend(account, order.number, asked)
        except Refused as refused:
            raise complaint(refused, listing) from None
        amendment = Amendment(order.number, order.client_order_id, was, size, now_ns)
        self.amendments[order.number] = [*made, amendment]
        after = trading.desk.find(account, number=order.number) or order
        row = order_row(trading.ids, after)
        amended = {name: row[name] for name in _AMENDED}
        self._count += 1
        return {
            "transactTime": milliseconds(now_ns),
            "executionId": self._count,
            "amendedOrder": {
                **amended,
                "origClientOrderId": order.client_order_id,
                "qty": row["origQty"],
                "preventedQty": "0.00000000",
                "quoteOrderQty": "0.00000000",
                "cumulativeQuoteQty": row["cummulativeQuoteQty"],
            },
        }

    # --- parts ---

    def found(
        self, params: Params, listing: Listing, order_id: int | None, id_name: str
    ) -> DeskOrder | None:
        """The order that is named by its number, the client's id, or both, which then must fit.

        :raises BadRequest: -1102 where neither is sent.
        """
        trading, account, client_id = self._trading, params.account, params.text(id_name)
        if order_id is None and not client_id:
            text = f"Param '{id_name}' or 'orderId' must be sent, but both were empty/null!"
            raise BadRequest(-1102, text, 400)
        if order_id is None:
            order = trading.desk.find(account, client_order_id=client_id)
        else:
            number = trading.ids.number(listing.key, order_id)
            order = None if number is None else trading.desk.find(account, number=number)
            if order is not None and client_id not in {"", order.client_order_id}:
                return None
        if order is not None and order.listing.key == listing.key:
            return order
        return trading.lists.unplaced(account, listing, order_id, client_id)


def _check_size(asked: NewOrder) -> None:
    """Filters that other exchanges don't have: see ``exchangeInfo``.

    :raises BadRequest: -1013.
    """
    size, price = asked.size, asked.price
    if size is not None and price is None and size > asked.listing.max_size / MARKET_PART:
        raise BadRequest(-1013, "Filter failure: MARKET_LOT_SIZE", 400)
    if size is not None and price is not None and size * price > MOST_NOTIONAL:
        raise BadRequest(-1013, "Filter failure: NOTIONAL", 400)
