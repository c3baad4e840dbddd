"""What tests of the ledger have in common: two instruments, reports with few words, and a ledger
with its store."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core import Instrument, Market, Side
from ccrs_core.model.order_requests import OrderRequest, OrderType, limit
from ccrs_core.model.orders import Fill, Order, OrderState
from ccrs_core.model.reports import FillReport, OrderReport, Report
from ccrs_core.trading.change import Change
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.store import LedgerName, Store
from tests.waiting import done

D = Decimal
SECOND = 10**9
NAME = LedgerName("exchange", "emulator", "default")

SPOT = Instrument(
    exchange="exchange",
    symbol="BTC/USDT",
    native="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
)
LINEAR = Instrument(
    exchange="exchange",
    symbol="BTC/USDT:USDT",
    native="BTCUSDT",
    market=Market.LINEAR,
    base="BTC",
    quote="USDT",
    settle="USDT",
)
INVERSE = Instrument(
    exchange="exchange",
    symbol="BTC/USD:BTC",
    native="BTCUSD",
    market=Market.INVERSE,
    base="BTC",
    quote="USD",
    settle="BTC",
    quote_per_contract=D(100),
)
LOTS = Instrument(
    exchange="exchange",
    symbol="ETH/USDT:USDT",
    native="ETHUSDT",
    market=Market.LINEAR,
    base="ETH",
    quote="USDT",
    settle="USDT",
    base_per_native_contract=D("0.01"),
)
LISTED = {(each.market, each.native): each for each in (SPOT, LINEAR, INVERSE, LOTS)}


def find(market: Market, native: str) -> Instrument | None:
    """The instrument of an exchange's symbol."""
    return LISTED.get((market, native))


def said(state: OrderState = OrderState.OPEN, at: int = 1, **more: Any) -> OrderReport:
    """The exchange's word on order ``o1``, a second ``at``."""
    given: dict[str, Any] = {
        "market": Market.SPOT,
        "native": "BTCUSDT",
        "exchange_order_id": "o1",
        "client_order_id": "",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "exchange_time_ns": at * SECOND,
        "received_time_ns": at * SECOND + 5,
    }
    return OrderReport(state=state, **given | _exact(more))


def fill(fill_id: str, size: str, price: str = "100", at: int = 1, **more: Any) -> FillReport:
    """A fill of order ``o1``, a second ``at``."""
    given: dict[str, Any] = {
        "market": Market.SPOT,
        "native": "BTCUSDT",
        "exchange_order_id": "o1",
        "client_order_id": "",
        "side": Side.BUY,
        "exchange_time_ns": at * SECOND,
        "received_time_ns": at * SECOND + 5,
    }
    return FillReport(fill_id=fill_id, size=D(size), price=D(price), **given | _exact(more))


_NUMBERS = {"size", "price", "filled_size", "filled_value", "average_price", "quote_size"}
_NUMBERS |= {"fee", "value", "amount"}


def _exact(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: D(v) if k in _NUMBERS and v is not None else v for k, v in fields.items()}


def buy(size: str = "1", price: str = "100", **more: Any) -> OrderRequest:
    """A limit order to buy."""
    return limit("BTC/USDT", Side.BUY, size=size, price=price, **more)


@attrs.define
class Book:
    """A ledger and its store: what it does is kept at once, and noted."""

    store: Store = attrs.field(factory=MemoryStore)
    name: LedgerName = NAME
    recent: int = 10_000
    events: list[Any] = attrs.field(factory=list)
    ledger: Ledger = attrs.field(init=False)
    now: int = 0

    def __attrs_post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin with what the store holds."""
        name = (self.name.exchange, self.name.environment, self.name.account)
        self.ledger = Ledger(*name, find, recent=self.recent)
        self.ledger.restore(done(self.store.open(self.name, recent=self.recent)))

    def reopen(self) -> None:
        """As a program that was started again."""
        done(self.store.close())
        self.open()

    def keep(self, change: Change) -> Change:
        """Commit and note what a call has done."""
        done(self.store.commit(change.rows))
        self.events += change.events
        return change

    def take(self, *reports: Report, **more: Any) -> Change:
        """What the exchange says; where the ledger asks for it, with what the store knows."""
        self.now += 1
        change = last = self.keep(self.ledger.take(reports, self.now, **more))
        for _ in range(2):
            if not last.doubtful:
                break
            known = done(self.store.look_up(last.wanted))
            last = self.keep(self.ledger.take(last.doubtful, self.now, known=known, **more))
        assert not last.doubtful
        return change

    def place(self, client_order_id: str = "c1", asked: OrderRequest | None = None) -> None:
        """An own order of which no answer is here yet."""
        self.keep(self.ledger.plan(asked or buy(), SPOT, client_order_id, self.now))
        self.ledger.sent(client_order_id, self.now)

    def order(self, order_id: str = "o1") -> Order:
        """An order that there is."""
        found = self.ledger.order(order_id)
        assert found is not None
        return found

    @property
    def fills(self) -> list[Fill]:
        """Those that were told."""
        return [event for event in self.events if isinstance(event, Fill)]


def total(fills: Iterable[Fill]) -> Decimal:
    """Of their sizes."""
    return sum((each.size for each in fills), D(0))
