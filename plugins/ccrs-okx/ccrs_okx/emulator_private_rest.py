"""The emulated OKX's signed REST calls: who may, how often, and who answers.

https://www.okx.com/docs-v5/en/#overview-rest-authentication
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from ccrs_core import HttpRequest, HttpResponse
from ccrs_core.emulator import ApiKey, BadRequest, Listing, TradingAccount
from ccrs_okx.emulator_algos import MOST_AT_ONCE as MOST_ALGOS
from ccrs_okx.emulator_codes import TOO_MANY
from ccrs_okx.emulator_limits import RATES
from ccrs_okx.emulator_orders import MOST_AT_ONCE, Act, answered, overall
from ccrs_okx.emulator_replies import OkxQuery, envelope
from ccrs_okx.emulator_signed import in_deadline, request_key

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

PREFIXES = ("/api/v5/account/", "/api/v5/trade/")
_Asked = Callable[[TradingAccount, OkxQuery, int], list[Any]]
_Set = Callable[[TradingAccount, Mapping[str, Any], int], list[Any]]
_ORDER = ("clOrdId", "ordId", "tag")
_CANCEL = ("clOrdId", "ordId")
_AMEND = ("clOrdId", "ordId", "reqId")
_ALGO = ("algoId", "algoClOrdId", "clOrdId", "tag")
_TOO_MANY_ORDERS = BadRequest(
    50061, "You've reached the maximum order rate limit for this account."
)


class OrderCalls:
    """The calls that place, amend and cancel, whichever way they come: what is said of each
    order, and the limits that both ways share."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        orders, algos = trading.orders, trading.algos
        self.acts: Mapping[str, tuple[Act, Sequence[str]]] = {
            "order": (orders.place, _ORDER),
            "batch-orders": (orders.place, _ORDER),
            "cancel-order": (orders.cancel, _CANCEL),
            "cancel-batch-orders": (orders.cancel, _CANCEL),
            "amend-order": (orders.amend, _AMEND),
            "amend-batch-orders": (orders.amend, _AMEND),
            "order-algo": (algos.place, _ALGO),
            "cancel-algos": (algos.cancel, _ALGO),
        }

    def carry_out(
        self, account: TradingAccount, call: str, items: Sequence[Any], now_ns: int
    ) -> list[dict[str, Any]]:
        """What is said of each item, in order.

        :raises BadRequest: 50011 where it is asked too often, 51000 where there are too many.
        """
        act, named = self.acts[call]
        most = MOST_ALGOS if call == "cancel-algos" else MOST_AT_ONCE
        if not 1 <= len(items) <= most:
            raise BadRequest(50029 if not items else 51149, f"1 to {most} orders at once")
        limits, told_ns = self._trading.limits, self._trading.venue.told_ns
        single = "-batch" not in call and "batch-" not in call
        counted = _SINGLE[call] if not single and len(items) == 1 else call
        about: dict[str, tuple[Listing, int]] = {}
        for item in items:
            listing = self._about(item)
            if listing is not None:
                known = about.get(listing.symbol, (listing, 0))
                about[listing.symbol] = listing, known[1] + 1
        # Each instrument has a limit of its own: a batch is refused where one of them is used up.
        for listing, count in about.values():
            if not limits.admit(account.name, f"trade/{counted}", told_ns, count, listing):
                raise TOO_MANY

        def admit(values: Mapping[str, Any]) -> BadRequest | None:
            listing = self._about(values)
            if listing is None or act not in self._new:
                return None
            fine = limits.admit_orders(account.name, listing, told_ns)
            return None if fine else _TOO_MANY_ORDERS

        return answered(act, account, items, now_ns, named, admit)

    @property
    def _new(self) -> tuple[Act, Act]:
        return self._trading.orders.place, self._trading.orders.amend

    def _about(self, item: Any) -> Listing | None:
        if not isinstance(item, Mapping):
            return None
        try:
            return self._trading.orders.listing(item)
        except BadRequest:
            return None


_SINGLE = {
    "batch-orders": "order",
    "cancel-batch-orders": "cancel-order",
    "amend-batch-orders": "amend-order",
}
_BATCHES = frozenset({*_SINGLE, "cancel-algos"})
_TIMELY = frozenset({"order", "batch-orders", "amend-order", "amend-batch-orders"})


class PrivateRest:
    """Answers requests of accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self.calls = OrderCalls(trading)
        records, accounts, algos = trading.records, trading.accounts, trading.algos
        self._asked: Mapping[str, tuple[str, _Asked]] = {
            "trade/order": ("trade/query", records.one),
            "trade/orders-pending": ("trade/orders-pending", records.pending),
            "trade/orders-history": (
                "trade/orders-history",
                partial(records.history, archive=False),
            ),
            "trade/orders-history-archive": (
                "trade/orders-history-archive",
                partial(records.history, archive=True),
            ),
            "trade/fills": ("trade/fills", partial(records.fills, history=False)),
            "trade/fills-history": ("trade/fills-history", partial(records.fills, history=True)),
            "trade/order-algo": ("trade/order-algo-query", algos.one),
            "trade/orders-algo-pending": ("trade/orders-algo-pending", algos.pending),
            "trade/orders-algo-history": ("trade/orders-algo-history", algos.history),
            "trade/account-rate-limit": ("trade/account-rate-limit", accounts.order_limit),
            "account/balance": ("account/balance", accounts.balance),
            "account/positions": ("account/positions", accounts.positions),
            "account/account-position-risk": ("account/account-position-risk", accounts.risk),
            "account/bills": ("account/bills", partial(records.bills, archive=False)),
            "account/bills-archive": (
                "account/bills-archive",
                partial(records.bills, archive=True),
            ),
            "account/trade-fee": ("account/trade-fee", accounts.fee_rates),
            "account/leverage-info": ("account/leverage-info", accounts.leverage),
            "account/instruments": ("account/instruments", accounts.instruments),
        }
        self._set: Mapping[str, _Set] = {
            "account/set-leverage": accounts.set_leverage,
            "account/set-position-mode": accounts.set_position_mode,
            "account/set-account-level": accounts.set_level,
            "account/set-account-stp-mode": accounts.set_prevention,
            "trade/cancel-all-after": lambda *each: [trading.timers.set(*each)],
            "trade/close-position": lambda *each: [trading.orders.close_position(*each)],
        }

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        """Answer a request."""
        call = request.path.removeprefix("/api/v5/")
        reads = request.method == "GET"
        group, _, name = call.partition("/")
        order = not reads and group == "trade" and name in self.calls.acts
        known = call == "account/config" or call in self._asked if reads else call in self._set
        if not (order or known):
            return envelope(404, "The requested path doesn't exist.", [], 404)
        try:
            key = request_key(self._trading, request, address, now_ns)
            account = self._trading.desk.accounts[key.account]
            if order:
                return self._order(request, account, name, now_ns)
            return envelope(0, "", self._result(request, key, account, call, now_ns))
        except BadRequest as refused:
            return envelope(refused.code, refused.text, [], refused.status)

    def _order(
        self, request: HttpRequest, account: TradingAccount, name: str, now_ns: int
    ) -> HttpResponse:
        if name in _TIMELY:
            headers = {key.lower(): value for key, value in request.headers.items()}
            in_deadline(headers.get("exptime"), self._trading.venue.told_ns)
        body = _json(request.body)
        if name in _BATCHES:
            if not isinstance(body, list):
                raise BadRequest(50002, "JSON syntax error", 400)
            items = body
        else:
            items = [_object(body)]
        rows = self.calls.carry_out(account, name, items, now_ns)
        code, text = overall(rows)
        stamp = str(self._trading.venue.told_ns // 1000)
        body = {"code": code, "data": rows, "inTime": stamp, "msg": text, "outTime": stamp}
        return HttpResponse(200, {"Content-Type": "application/json"}, orjson.dumps(body))

    def _result(
        self, request: HttpRequest, key: ApiKey, account: TradingAccount, call: str, now_ns: int
    ) -> list[Any]:
        reads = request.method == "GET"
        counted = self._asked[call][0] if reads and call in self._asked else call
        query = OkxQuery(request)
        listing = self._trading.listing(query.text("instId")) if call == "trade/order" else None
        told_ns = self._trading.venue.told_ns
        if counted in RATES and not self._trading.limits.admit(
            account.name, counted, told_ns, 1, listing
        ):
            raise TOO_MANY
        if call == "account/config":
            return self._trading.accounts.config(key, account, now_ns)
        if reads:
            return self._asked[call][1](account, query, now_ns)
        return self._set[call](account, _object(_json(request.body)), now_ns)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(50002, "JSON syntax error", 400) from None


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise BadRequest(50002, "JSON syntax error", 400)
    return body
