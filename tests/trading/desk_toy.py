"""A toy exchange on which one can trade: accounts by key, orders, fills, positions, balances, over
REST and a private stream, with the faults that matter. In virtual time, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_core import (
    AccountInfo,
    Act,
    AuthError,
    Balance,
    Budget,
    CcrsError,
    Channel,
    ClockRefused,
    Codec,
    ConfirmationReport,
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
    TimeInForce,
    Trading,
    Unrecognised,
)
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import account_data
from ccrs_core.contract.rest import Answer, GetInstruments, GetServerTime
from ccrs_core.contract.trading import Absence, ClientIds, DeadMan, DeadManKind
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelAll,
    CancelOrder,
    CancelOrders,
    GetAccountInfo,
    GetDeadMan,
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
    SetDeadMan,
    Wallet,
)
from ccrs_core.errors import EndReason, OutcomeUnknown
from ccrs_core.model.accounts import MarginMode, PriceBand
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Liquidity, OrderState
from ccrs_core.model.reports import FillReport, OrderReport, PositionReport, Report
from tests.toy import Toy, ToyCodec

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
        "min_notional": Decimal(1),
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
        fired=bool(row.get("fired")),
        children=tuple(row.get("children", ())),
        fired_by=row.get("fired_by", ""),
    )


def confirmation(row: dict[str, Any], now_ns: int) -> ConfirmationReport:
    said = row["confirms"]
    return ConfirmationReport(
        act=Act(said["act"]),
        market=Market(row["market"]),
        native=row["native"],
        exchange_order_id=row["id"],
        client_order_id=row["link"],
        request_id=said["request"],
        done=said["done"],
        code="" if said["done"] else "late",
        text="" if said["done"] else "it came to nothing",
        exchange_time_ns=_when(row),
        received_time_ns=now_ns,
    )


def order_reports(row: dict[str, Any], now_ns: int) -> list[Report]:
    found: list[Report] = [order_report(row, now_ns)]
    return [*found, confirmation(row, now_ns)] if "confirms" in row else found


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
        if subscription.channel is Channel.DEAD_MAN:
            return f"dead_man.{subscription.market}"
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
        readers: dict[str, Callable[[dict[str, Any]], list[Report]]] = {
            "orders": lambda row: order_reports(row, now_ns),
            "fills": lambda row: [fill_report(row, now_ns)],
            "positions": lambda row: [position_report(row, now_ns)],
            "balances": lambda row: [balance(row, self._account, now_ns)],
        }
        try:
            found = [each for row in message["rows"] for each in readers[topic](row)]
            return account_data(topic, found)
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
            "waits": order.trigger is not None,
        }
    found["id"] = request.exchange_order_id
    if isinstance(request, AmendOrder):
        found["price"] = None if request.price is None else f"{request.price:f}"
        found["size"] = None if request.size is None else f"{request.size:f}"
        found["request"] = request.request_id
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
    cancels_both=frozenset({SPOT, LINEAR}),
    dead_man=DeadMan(
        kind=DeadManKind.CONNECTION,
        markets=frozenset({SPOT}),
        shortest=3.0,
        longest=60.0,
        covers="open spot orders",
        spares="positions",
        takes_effect_after=5.0,
    ),
)


class Desk(Toy):
    """The exchange. ``proved_after``: what :class:`~ccrs_core.Absence` says."""

    name = "desk"
    capabilities = attrs.evolve(
        Toy.capabilities, account_channels=frozenset({*TOPICS, Channel.DEAD_MAN})
    )
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
            lambda r: (
                _of(r)
                | {"id": r.exchange_order_id, "link": r.client_order_id, "history": int(r.history)}
            ),
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
    endpoints |= {
        SetDeadMan: Endpoint(
            encode=lambda request, cursor: _post(
                "/dead_man",
                {
                    "market": None if request.market is None else request.market.value,
                    "native": None if request.instrument is None else request.instrument.native,
                    "seconds": request.seconds,
                    "everything": request.everything,
                },
            ),
            decode=lambda request, response, now, cursor: Answer(None),
            markets=frozenset({SPOT, LINEAR}),
            signed=True,
        ),
        GetDeadMan: _get(
            "/protection",
            lambda r: {"market": r.market.value},
            lambda r, content, now: content["seconds"],
        ),
    }
    trading = TRADING
    limits = attrs.evolve(Toy.limits, requests=Budget(amount=2000, seconds=10.0))

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
