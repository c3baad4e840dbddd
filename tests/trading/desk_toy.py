"""A toy exchange on which one can trade: accounts by key, orders, fills, positions, balances, over
REST and a private stream, with the faults that matter. In virtual time, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_core import (
    AccountInfo,
    AuthError,
    Balance,
    CcrsError,
    Channel,
    ClockRefused,
    Codec,
    DecodeError,
    Endpoint,
    ExchangeUnavailable,
    Feature,
    HttpRequest,
    HttpResponse,
    Instrument,
    InsufficientBalance,
    InvalidRequest,
    Market,
    Message,
    OrderNotFound,
    OrderRejected,
    OrderType,
    Outbound,
    Permissions,
    RateLimited,
    Route,
    Side,
    Subscription,
    TimedOut,
    TimeInForce,
    Trading,
    Unrecognised,
)
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import account_data
from ccrs_core.contract.rest import Answer, GetInstruments, GetServerTime
from ccrs_core.contract.trading import Absence, ClientIds
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelAll,
    CancelOrder,
    CancelOrders,
    GetAccountInfo,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    GetPositions,
    GetPriceBand,
    GetWallet,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Wallet,
)
from ccrs_core.errors import EndReason, OutcomeUnknown
from ccrs_core.model.accounts import MarginMode, PriceBand
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Liquidity, OrderState
from ccrs_core.model.reports import FillReport, OrderReport, PositionReport, Report
from ccrs_core.transport.departure import leaves_now
from ccrs_core.transport.memory import MemoryTransport, Peer
from tests.toy import Toy, ToyCodec, ToyServer

TOPICS = {
    Channel.ORDERS: "orders",
    Channel.FILLS: "fills",
    Channel.POSITIONS: "positions",
    Channel.BALANCES: "balances",
}
SPOT, LINEAR = Market.SPOT, Market.LINEAR
DAY = 86_400.0


def instruments(market: Market) -> list[Instrument]:
    rules = {
        "tick_size": Decimal("0.01"),
        "lot_size": Decimal("0.001"),
        "min_size": Decimal("0.001"),
        "min_notional": Decimal("1"),
    }
    if market is SPOT:
        return [
            Instrument(
                exchange="desk",
                symbol=f"{base}/USD",
                native=f"{base}USD",
                market=SPOT,
                base=base,
                quote="USD",
                **rules,  # type: ignore[arg-type]
            )
            for base in ("BTC", "ETH")
        ]
    return [
        Instrument(
            exchange="desk",
            symbol="BTC/USD:USD",
            native="BTCUSD",
            market=LINEAR,
            base="BTC",
            quote="USD",
            settle="USD",
            **rules,  # type: ignore[arg-type]
        )
    ]


# --- rows of the wire ---


def _when(row: dict[str, Any]) -> int:
    return int(row["at"])


def order_report(row: dict[str, Any], now_ns: int) -> OrderReport:
    return OrderReport(
        market=Market(row["market"]),
        native=row["native"],
        exchange_order_id=row["id"],
        client_order_id=row["link"],
        state=OrderState(row["state"]),
        reason=EndReason(row["reason"]) if row.get("reason") else None,
        side=Side(row["side"]),
        type=OrderType(row["type"]),
        size=Decimal(row["size"]) if row["size"] is not None else None,
        price=Decimal(row["price"]) if row["price"] is not None else None,
        filled_size=Decimal(row["filled"]),
        filled_value=Decimal(row["value"]),
        time_in_force=TimeInForce(row["tif"]),
        created_ns=int(row["created"]),
        exchange_time_ns=_when(row),
        received_time_ns=now_ns,
        late=bool(row.get("late")),
    )


def fill_report(row: dict[str, Any], now_ns: int) -> FillReport:
    return FillReport(
        market=Market(row["market"]),
        native=row["native"],
        fill_id=row["fill"],
        exchange_order_id=row["id"],
        client_order_id=row["link"],
        side=Side(row["side"]),
        price=Decimal(row["price"]),
        size=Decimal(row["size"]),
        value=Decimal(row["price"]) * Decimal(row["size"]),
        fee=Decimal(row["fee"]),
        fee_asset="USD",
        liquidity=Liquidity(row["liquidity"]),
        exchange_time_ns=_when(row),
        received_time_ns=now_ns,
    )


def position_report(row: dict[str, Any], now_ns: int) -> PositionReport:
    return PositionReport(
        market=Market(row["market"]),
        native=row["native"],
        side=PositionSide.NET,
        size=Decimal(row["size"]),
        exchange_time_ns=_when(row),
        received_time_ns=now_ns,
        sequence=int(row["seq"]),
    )


def balance(row: dict[str, Any], account: str, now_ns: int) -> Balance:
    total = Decimal(row["total"])
    return Balance("desk", "", _when(row), now_ns, account, row["asset"], total, total)


class DeskCodec(ToyCodec):
    """Of an account's four topics."""

    def __init__(self) -> None:
        super().__init__()
        self._account = "default"

    def topic(self, subscription: Subscription) -> str:
        if subscription.account is None:
            return super().topic(subscription)
        return TOPICS[subscription.channel]

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for each in subscriptions:
            self._account = each.account or self._account
            self.known[self.topic(each)] = each.symbol
        topics = [self.topic(s) for s in subscriptions]
        return orjson.dumps({"sub": topics, "id": request_id}).decode()

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        topics = [self.topic(s) for s in subscriptions]
        for each in topics:
            self.known.pop(each, None)
        return orjson.dumps({"unsub": topics, "id": request_id}).decode()

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        topic = message.get("t")
        if topic not in TOPICS.values():
            return super()._read(message, now_ns)
        if topic not in self.known:
            return Unrecognised(str(topic))
        readers: dict[str, Callable[[dict[str, Any]], Report]] = {
            "orders": lambda row: order_report(row, now_ns),
            "fills": lambda row: fill_report(row, now_ns),
            "positions": lambda row: position_report(row, now_ns),
            "balances": lambda row: balance(row, self._account, now_ns),
        }
        try:
            return account_data(topic, [readers[topic](row) for row in message["rows"]])
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise DecodeError(repr(error), topics=(topic,)) from error


# --- endpoints ---


def _post(path: str, content: dict[str, Any]) -> HttpRequest:
    return HttpRequest("POST", path, body=orjson.dumps(content))


def _item(request: PlaceOrder | AmendOrder | CancelOrder) -> dict[str, Any]:
    found: dict[str, Any] = {
        "market": request.instrument.market.value,
        "native": request.instrument.native,
        "link": request.client_order_id,
    }
    if isinstance(request, PlaceOrder):
        order = request.order
        return found | {
            "side": order.side.value,
            "type": order.type.value,
            "size": None if order.size is None else f"{order.size:f}",
            "price": None if order.price is None else f"{order.price:f}",
            "tif": order.time_in_force.value,
            "post_only": order.post_only,
        }
    found["id"] = request.exchange_order_id
    if isinstance(request, AmendOrder):
        found["price"] = None if request.price is None else f"{request.price:f}"
        found["size"] = None if request.size is None else f"{request.size:f}"
    return found


def _batch(request: PlaceOrders | AmendOrders | CancelOrders) -> dict[str, Any]:
    return {"items": [_item(each) for each in request.items]}


def _content(response: HttpResponse) -> Any:
    return orjson.loads(response.body)


def _placed(content: dict[str, Any]) -> Placed:
    return Placed(
        exchange_order_id=content["id"],
        client_order_id=content["link"],
        taken_ns=content.get("taken"),
    )


def error_in(content: dict[str, Any]) -> CcrsError | None:
    code = content.get("code")
    if not code:
        return None
    text = f"the desk says {code}"
    match code:
        case "not_found":
            return OrderNotFound(code, text)
        case "duplicate":
            return OrderRejected(code, text, EndReason.DUPLICATE)
        case "balance":
            return InsufficientBalance(code, text)
        case "limited":
            return RateLimited(code, text, content.get("after"))
        case "busy":
            return ExchangeUnavailable(code, text)
        case "key":
            return AuthError(code, text)
        case "clock":
            return ClockRefused(code, text)
        case "post_only":
            return OrderRejected(code, text, EndReason.POST_ONLY)
        case _:
            return InvalidRequest(code, text)


def _outcome(content: dict[str, Any]) -> Placed | CcrsError:
    error = error_in(content)
    if isinstance(error, ExchangeUnavailable):
        return OutcomeUnknown(error.code, error.text)
    return error or _placed(content)


def _one(kind: Any, path: str, **how: Any) -> Endpoint[Any, Any]:
    return Endpoint(
        encode=lambda request, cursor: _post(path, _item(request)),
        decode=lambda request, response, now, cursor: Answer(_placed(_content(response))),
        markets=frozenset({SPOT, LINEAR}),
        signed=True,
        **how,
    )


def _many(path: str) -> Endpoint[Any, Any]:
    return Endpoint(
        encode=lambda request, cursor: _post(path, _batch(request)),
        decode=lambda request, response, now, cursor: Answer(
            [_outcome(each) for each in _content(response)["items"]]
        ),
        markets=frozenset({SPOT, LINEAR}),
        signed=True,
    )


def _get(
    path: str,
    query: Callable[[Any], dict[str, Any]],
    read: Callable[[Any, Any, int], Any],
    **how: Any,
) -> Endpoint[Any, Any]:
    def encode(request: Any, cursor: str | None) -> HttpRequest:
        found = {k: v for k, v in query(request).items() if v is not None}
        return HttpRequest("GET", path, tuple((k, str(v)) for k, v in found.items()))

    return Endpoint(
        encode=encode,
        decode=lambda request, response, now, cursor: Answer(
            read(request, _content(response), now)
        ),
        markets=frozenset({SPOT, LINEAR}),
        signed=True,
        **how,
    )


def _of(request: Any) -> dict[str, Any]:
    instrument = request.instrument
    return {
        "market": request.market.value,
        "native": None if instrument is None else instrument.native,
        "start": getattr(request, "start_ns", None),
        "end": getattr(request, "end_ns", None),
    }


def _account_info(request: GetAccountInfo, content: Any, now: int) -> AccountInfo:
    return AccountInfo(
        exchange="desk",
        account=request.account,
        user_id="7",
        kind="unified",
        margin_mode=MarginMode.CROSS,
        permissions=Permissions(
            read=True, trade=frozenset(Market(m) for m in content["trade"]), withdraw=False
        ),
        moves_prices={SPOT: True},
        refused=content["refused"],
    )


KEPT_NS = round(7 * DAY * 1e9)
FEATURES = frozenset(Feature) - {Feature.VOLATILITY, Feature.HEDGE, Feature.SPOT_MARGIN}
TRADING = Trading(
    features={SPOT: FEATURES, LINEAR: FEATURES},
    client_ids=ClientIds(longest=36),
    receive_window=5.0,
    visible_within=10.0,
    batch={SPOT: 3, LINEAR: 3},
)


class Desk(Toy):
    """The exchange. ``proved_after``: what :class:`~ccrs_core.Absence` says."""

    name = "desk"
    capabilities = attrs.evolve(Toy.capabilities, account_channels=frozenset(TOPICS))
    endpoints: ClassVar = {
        GetServerTime: Toy.endpoints[GetServerTime],
        GetInstruments: Endpoint(
            encode=lambda request, cursor: HttpRequest("GET", f"/instruments/{request.market}"),
            decode=lambda request, response, now, cursor: Answer(instruments(request.market)),
            markets=frozenset({SPOT, LINEAR}),
        ),
        PlaceOrder: _one(PlaceOrder, "/place"),
        AmendOrder: _one(AmendOrder, "/amend"),
        CancelOrder: _one(CancelOrder, "/cancel"),
        PlaceOrders: _many("/place_many"),
        AmendOrders: _many("/amend_many"),
        CancelOrders: _many("/cancel_many"),
        CancelAll: Endpoint(
            encode=lambda request, cursor: _post(
                "/cancel_all", {k: v for k, v in _of(request).items() if v is not None}
            ),
            decode=lambda request, response, now, cursor: Answer(
                [_placed(each) for each in _content(response)["items"]]
            ),
            markets=frozenset({SPOT, LINEAR}),
            signed=True,
        ),
        GetOrder: _get(
            "/order",
            lambda r: _of(r)
            | {"id": r.exchange_order_id, "link": r.client_order_id, "history": int(r.history)},
            lambda r, content, now: (
                order_report(content["order"], now) if content["order"] else None
            ),
        ),
        GetOpenOrders: _get(
            "/open", _of, lambda r, content, now: [order_report(each, now) for each in content]
        ),
        GetOrderHistory: _get(
            "/history",
            _of,
            lambda r, content, now: [order_report(each, now) for each in content],
            retention=KEPT_NS,
        ),
        GetFills: _get(
            "/fills",
            lambda r: _of(r) | {"id": r.exchange_order_id or None},
            lambda r, content, now: [fill_report(each, now) for each in content],
            retention=KEPT_NS,
        ),
        GetPositions: attrs.evolve(
            _get(
                "/positions",
                _of,
                lambda r, content, now: [position_report(each, now) for each in content],
            ),
            markets=frozenset({LINEAR}),
        ),
        GetWallet: _get(
            "/wallet",
            lambda r: {},
            lambda r, content, now: Wallet(
                balances=tuple(balance(each, r.account, now) for each in content)
            ),
        ),
        GetAccountInfo: _get("/info", lambda r: {}, _account_info),
        GetPriceBand: _get(
            "/band",
            _of,
            lambda r, content, now: PriceBand(
                symbol=r.instrument.symbol,
                lowest=Decimal(content["lowest"]),
                highest=Decimal(content["highest"]),
            ),
        ),
    }
    trading = TRADING

    def __init__(self, *, proved_after: float | None = None, **changed: Any) -> None:
        super().__init__(codec=DeskCodec)
        changed["absence"] = Absence(proved_after=proved_after)
        self.trading = attrs.evolve(TRADING, **changed)  # type: ignore[misc]
        self._own = Route(url="{stream}/private", private=True)

    def route(self, subscription: Subscription) -> Route:
        return self._route if subscription.account is None else self._own

    def codec(self, route: Route) -> Codec:
        return DeskCodec()

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        headers = {**request.headers, "key": access.credentials.key}
        return attrs.evolve(request, headers=headers)

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        if response.status >= 500:
            return ExchangeUnavailable(str(response.status), "unavailable")
        content = _content(response)
        return error_in(content) if isinstance(content, dict) else None


# --- the other side ---


@attrs.define(eq=False)
class ToyOrder:
    row: dict[str, Any]
    visible_at: float

    @property
    def open(self) -> bool:
        return not OrderState(self.row["state"]).final


@attrs.define
class Book:
    """One account."""

    orders: dict[str, ToyOrder] = attrs.field(factory=dict)
    fills: list[tuple[float, dict[str, Any]]] = attrs.field(factory=list)
    """When each is in the list, and the row."""
    positions: dict[str, Decimal] = attrs.field(factory=dict)
    usd: Decimal = Decimal(1_000_000)

    def filled(self, link: str) -> Decimal:
        found = [r for _, r in self.fills if r["link"] == link]
        return sum((Decimal(r["size"]) for r in found), Decimal(0))


Fault = Callable[[str, dict[str, Any]], str | None]
"""What goes wrong with a request of a path: ``lose`` (taken, no answer), ``drop`` (not taken, no
answer), ``late`` (taken, answered late), or a code to refuse it with; None: nothing."""


class DeskServer(ToyServer):
    """The desk's side. What is asked is done at once; faults are attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[str, Book] = {}
        self.keys: dict[Peer, str] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[float, str, dict[str, Any]]] = []
        """When what was asked: path, and body or query."""
        self.list_lag = 0.0
        """Seconds by which orders and fills are late in lists and single queries."""
        self.push_of: Callable[[str, dict[str, Any]], list[float]] = lambda topic, row: [0.0]
        """After how many seconds each copy of a push leaves; none: it is lost."""
        self.ack_first = True
        self.refused = ""
        self.trade = ["spot", "linear"]
        self.band = ("50", "200")
        self.wall_ns: Callable[[], int] = lambda: 0
        self.next_id = 0

    def book_of(self, key: str) -> Book:
        return self.accounts.setdefault(key, Book())

    # --- streams ---

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "login" in message:
            self.keys[peer] = message["login"]
        super().received(peer, frame)

    def show(self, peer: Peer, topic: str) -> None:
        if topic not in TOPICS.values():
            super().show(peer, topic)

    def tell(self, key: str, topic: str, row: dict[str, Any]) -> None:
        frame = orjson.dumps({"t": topic, "rows": [row]})

        def leave() -> None:
            for peer in self.open:
                if self.keys.get(peer) == key and topic in self.topics[peer]:
                    if peer not in self.dead and (peer, topic) not in self.stalled:
                        peer.push(frame)

        for after in self.push_of(topic, row):
            if after:
                asyncio.get_running_loop().call_later(after, leave)
            else:
                leave()

    # --- what happens ---

    def fill(
        self, key: str, identity: str, size: str, price: str | None = None, *, maker: bool = True
    ) -> str:
        """Fill a part of an order, by either id; its fill's id."""
        book, order = self.book_of(key), self.find(key, identity)
        assert order is not None
        row = order.row
        self.next_id += 1
        price = price or row["price"] or "100"
        row["filled"] = f"{Decimal(row['filled']) + Decimal(size):f}"
        row["value"] = f"{Decimal(row['value']) + Decimal(size) * Decimal(price):f}"
        if order.open:
            whole = Decimal(row["filled"]) >= Decimal(row["size"])
            row["state"] = "filled" if whole else "open"
        row["at"] = self.wall_ns()
        fill = {
            **{k: row[k] for k in ("market", "native", "id", "link", "side", "at")},
            "fill": f"f{self.next_id}",
            "price": price,
            "size": size,
            "fee": f"{Decimal(size) * Decimal(price) / 1000:f}",
            "liquidity": "maker" if maker else "taker",
        }
        book.fills.append((self.now() + self.list_lag, fill))
        signed = Decimal(size) * (1 if row["side"] == "buy" else -1)
        if row["market"] == "linear":
            book.positions[row["native"]] = book.positions.get(row["native"], Decimal(0)) + signed
        book.usd -= Decimal(fill["fee"])
        self.tell(key, "fills", dict(fill))
        self.tell(key, "orders", dict(row))
        if row["market"] == "linear":
            self.tell(key, "positions", self._position(book, row["native"]))
        return str(fill["fill"])

    def _position(self, book: Book, native: str) -> dict[str, Any]:
        self.next_id += 1
        size = book.positions.get(native, Decimal(0))
        at = self.wall_ns()
        return {
            "market": "linear",
            "native": native,
            "size": f"{size:f}",
            "seq": self.next_id,
            "at": at,
        }

    def end(self, key: str, identity: str, state: str = "canceled", reason: str = "") -> None:
        """An order ends otherwise than by a fill."""
        order = self.find(key, identity)
        assert order is not None
        order.row |= {"state": state, "reason": reason, "at": self.wall_ns()}
        self.tell(key, "orders", dict(order.row))

    def find(self, key: str, identity: str) -> ToyOrder | None:
        book = self.book_of(key)
        by_link = [o for o in book.orders.values() if o.row["link"] == identity and identity]
        return book.orders.get(identity) or (by_link[-1] if by_link else None)

    def place(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        """As somebody does: an order of another program, too."""
        book = self.book_of(key)
        if asked["link"] and self.find(key, asked["link"]) is not None:
            return {"code": "duplicate"}
        self.next_id += 1
        now_ns = self.wall_ns()
        row = {
            **{k: asked.get(k) for k in ("market", "native", "link", "side", "type", "size")},
            "price": asked.get("price"),
            "tif": asked.get("tif", "gtc"),
            "id": f"o{self.next_id}",
            "state": "open",
            "filled": "0",
            "value": "0",
            "created": now_ns,
            "at": now_ns,
        }
        book.orders[row["id"]] = ToyOrder(row, self.now() + self.list_lag)
        self.tell(key, "orders", dict(row))
        return {"id": row["id"], "link": row["link"], "taken": now_ns}

    def amend(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order = self.find(key, asked["id"]) or self.find(key, asked["link"])
        if order is None or not order.open:
            return {"code": "not_found"}
        for name in ("price", "size"):
            if asked.get(name) is not None:
                order.row[name] = asked[name]
        order.row["at"] = self.wall_ns()
        self.tell(key, "orders", dict(order.row))
        return {"id": order.row["id"], "link": order.row["link"]}

    def cancel(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order = self.find(key, asked["id"]) or self.find(key, asked["link"])
        if order is None or not order.open:
            return {"code": "not_found"}
        self.end(key, order.row["id"], reason="by_user")
        return {"id": order.row["id"], "link": order.row["link"]}

    # --- requests ---

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.requests.append(request.path)
        path, key = request.path, request.headers.get("key", "")
        asked = orjson.loads(request.body) if request.body else dict(request.query)
        if path == "/time":
            return HttpResponse(200, {}, str(self.wall_ns()).encode())
        if path.startswith("/instruments"):
            return HttpResponse(200, {}, b"[]")
        self.calls.append((self.now(), path, asked))
        for fault in self.faults:
            what = fault(path, asked)
            if what == "drop":
                raise TimedOut("no answer")
            if what == "lose":
                self._done(path, key, asked)
                raise TimedOut("no answer")
            if what == "502":
                return HttpResponse(502, {}, b"{}")
            if what is not None and what != "late":
                return HttpResponse(200, {}, orjson.dumps({"code": what, "after": 0.7}))
        return HttpResponse(200, {}, orjson.dumps(self._done(path, key, asked)))

    def _done(self, path: str, key: str, asked: dict[str, Any]) -> Any:
        book = self.book_of(key)
        acts = {"place": self.place, "amend": self.amend, "cancel": self.cancel}
        name = path[1:].removesuffix("_many")
        if name in acts:
            if path.endswith("_many"):
                return {"items": [self._one_of_many(name, key, each) for each in asked["items"]]}
            return acts[name](key, asked)
        seen = [o for o in book.orders.values() if o.visible_at <= self.now()]
        of = [
            o
            for o in seen
            if o.row["market"] == asked.get("market")
            and asked.get("native") in (None, o.row["native"])
        ]
        match path:
            case "/cancel_all":
                ended = [o for o in of if o.open]
                return {"items": [self.cancel(key, o.row) for o in ended]}
            case "/order":
                found = self.find(key, asked.get("id", "")) or self.find(key, asked["link"])
                if found is None or found.visible_at > self.now():
                    return {"order": None}
                return {"order": found.row if found.open != bool(int(asked["history"])) else None}
            case "/open":
                return [o.row for o in of if o.open]
            case "/history":
                return [o.row for o in of if not o.open and _within(o.row, asked)]
            case "/fills":
                return [
                    row
                    for at, row in book.fills
                    if at <= self.now()
                    and row["market"] == asked["market"]
                    and asked.get("id") in (None, row["id"])
                    and _within(row, asked)
                ]
            case "/positions":
                return [self._position(book, n) for n, size in book.positions.items() if size]
            case "/wallet":
                return [{"asset": "USD", "total": f"{book.usd:f}", "at": self.wall_ns()}]
            case "/info":
                return {"trade": self.trade, "refused": self.refused}
            case "/band":
                return {"lowest": self.band[0], "highest": self.band[1]}
        return {"code": f"no such path {path}"}

    def _one_of_many(self, name: str, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        acts = {"place": self.place, "amend": self.amend, "cancel": self.cancel}
        for fault in self.faults:
            what = fault(f"/{name}_one", asked)
            if what is not None:
                return {"code": what, "after": 0.7}
        return acts[name](key, asked)

    def sent_of(self, path: str) -> list[dict[str, Any]]:
        """The bodies of what was asked of a path."""
        return [asked for _, each, asked in self.calls if each == path]


def _within(row: dict[str, Any], asked: dict[str, Any]) -> bool:
    at = int(row["at"])
    return int(asked.get("start", 0)) <= at < int(asked.get("end", 2**63))


class DeskTransport(MemoryTransport):
    """Answers of a server; ``answer_after(path, body)`` more seconds pass before one comes."""

    def __init__(self, server: DeskServer, *, latency: float = 0.01) -> None:
        super().__init__(server, latency=latency)
        self.answer_after: Callable[[str], float] = lambda path: 0.0

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        leaves_now()
        await asyncio.sleep(self.latency)
        after = self.answer_after(request.path)
        try:
            return self.server.requested(base_url, request)
        finally:
            if after:
                await asyncio.sleep(after)
