"""What Binance says, taken by the ledger: each fill once, in any order, no id mistaken."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

from binance_orders import COINM, NOW_NS, SPOT, USDM, execution, spot_row, update
from ccrs_binance import algo_rows, futures_rows, spot_rows
from ccrs_binance.algos import algo_id
from ccrs_binance.foreign import instrument_of
from ccrs_binance.user_streams import execution as told_by_spot
from ccrs_binance.user_streams import update as told_by_futures

from ccrs_core import (
    EndReason,
    Fill,
    Instrument,
    Market,
    OrderState,
    Origin,
    Side,
    Trigger,
    limit,
    market,
)
from ccrs_core.trading.ledger import Ledger


def _other() -> Instrument:
    found = instrument_of("ETHUSDT", Market.SPOT)
    assert found is not None
    return found


ETHER = _other()
KNOWN = {(each.market, each.native): each for each in (SPOT, USDM, COINM, ETHER)}


class Book:
    """A ledger, and what it has told."""

    def __init__(self) -> None:
        self.ledger = Ledger("binance", "mainnet", "main", lambda *of: KNOWN.get(of))
        self.told: list[Any] = []

    def plan(self, asked: Any, where: Instrument) -> None:
        self.ledger.plan(asked, where, "own-1", NOW_NS)

    def spot(self, **changes: Any) -> None:
        self.take(told_by_spot(execution(**changes), NOW_NS))

    def futures(self, where: Market = Market.LINEAR, **changes: Any) -> None:
        self.take(told_by_futures(update(**changes), where, NOW_NS))

    def take(self, reports: Any) -> None:
        change = self.ledger.take(reports, NOW_NS)
        assert not change.unplaced
        self.told += [entry.event for entry in change.entries]

    def order(self, identity: str = "own-1") -> Any:
        found = self.ledger.order(identity)
        assert found is not None
        return found

    @property
    def fills(self) -> list[Fill]:
        return [each for each in self.told if isinstance(each, Fill)]


def trade(number: int, size: str, filled: str, **more: Any) -> dict[str, Any]:
    """A report on an execution of spot that tells of a trade."""
    return {
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "t": number,
        "l": size,
        "z": filled,
        "L": "61000.0",
        "Y": f"{Decimal(size) * 61000}",
        "Z": f"{Decimal(filled) * 61000}",
        "n": "0.00001",
        "N": "BTC",
        **more,
    }


def test_reports_in_any_order_and_twice_are_one_order_and_each_fill_once() -> None:
    rows: list[dict[str, Any]] = [
        {},
        trade(1, "0.005", "0.005"),
        trade(2, "0.015", "0.020", X="FILLED"),
    ]
    for some in permutations([*rows, rows[1]]):
        book = Book()
        book.plan(limit(SPOT.symbol, "buy", price="61000.1", size="0.020"), SPOT)
        for row in some:
            book.spot(**row)
        found = book.order()
        assert (found.state, found.filled_size) == (OrderState.FILLED, Decimal("0.020"))
        assert found.fills_complete
        assert sorted(each.fill_id for each in book.fills) == ["1", "2"]
        assert found.fees == (("BTC", Decimal("0.00002")),)
        assert found.average_price == 61000


def test_one_number_of_a_trade_on_two_symbols_is_two_fills() -> None:
    book = Book()
    book.spot(**trade(9001, "0.01", "0.01"))
    book.spot(**trade(9001, "0.01", "0.01", s="ETHUSDT", c="own-2"))
    assert [each.symbol for each in book.fills] == [SPOT.symbol, ETHER.symbol]


def test_a_trade_with_oneself_is_two_fills_of_one_number() -> None:
    book = Book()
    book.spot(**trade(77, "0.01", "0.01", i=501, c="buys", X="FILLED", q="0.01", m=True))
    book.spot(**trade(77, "0.01", "0.01", i=502, c="sells", S="SELL", X="FILLED", q="0.01"))
    assert [(each.fill_id, each.side) for each in book.fills] == [
        ("77", Side.BUY),
        ("77", Side.SELL),
    ]


def test_the_list_of_trades_repeats_what_the_stream_has_told() -> None:
    book = Book()
    book.spot(**trade(5, "0.01", "0.01"))
    row = {
        "symbol": "BTCUSDT",
        "id": 5,
        "orderId": 4711,
        "orderListId": -1,
        "price": "61000.0",
        "qty": "0.01",
        "quoteQty": "610",
        "commission": "0.00001",
        "commissionAsset": "BTC",
        "time": NOW_NS // 10**6,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }
    book.take([spot_rows.fill(row, NOW_NS)])
    assert len(book.fills) == 1


def test_a_cancel_with_an_id_of_its_own_ends_the_order_and_is_none() -> None:
    book = Book()
    book.plan(limit(SPOT.symbol, "buy", price="61000.1", size="0.020"), SPOT)
    book.spot()
    book.spot(x="CANCELED", X="CANCELED", c="cx1", C="own-1")
    assert book.order().state is OrderState.CANCELED
    assert book.ledger.order("cx1") is None
    book.spot(i=4712, c="web_1", C="")
    (other,) = [each for each in book.ledger.orders() if each.client_order_id == "web_1"]
    assert other.origin is Origin.OTHER


def test_a_word_that_comes_late_opens_nothing_again() -> None:
    book = Book()
    book.spot(**trade(1, "0.020", "0.020", X="FILLED"))
    before = len(book.told)
    book.spot()
    assert book.order("4711").state is OrderState.FILLED
    assert len(book.told) == before


def test_a_rest_that_isnt_filled_at_once_expires_with_what_was() -> None:
    book = Book()
    book.plan(limit(SPOT.symbol, "buy", price="61000.1", size="0.020", time_in_force="ioc"), SPOT)
    book.spot(**trade(1, "0.012", "0.012", f="IOC"))
    expired = {"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"}
    book.spot(f="IOC", z="0.012", Z="732", **expired)
    found = book.order()
    assert (found.state, found.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
    assert (found.filled_size, found.remaining) == (Decimal("0.012"), 0)


def test_what_self_trade_prevention_ends_has_no_fill() -> None:
    book = Book()
    book.spot(x="TRADE_PREVENTION", X="EXPIRED_IN_MATCH", A="0.020", v=3, pl="0.02", pL="61000")
    found = book.order("4711")
    assert (found.state, found.reason) == (OrderState.EXPIRED, EndReason.SELF_TRADE)
    assert not book.fills


def test_a_market_order_for_an_amount_of_quote_units_has_what_it_bought() -> None:
    book = Book()
    book.plan(market(SPOT.symbol, "buy", quote_size="50"), SPOT)
    size = "0.00081000"
    book.spot(**trade(1, size, size, o="MARKET", Q="50", q=size, p="0", X="FILLED"))
    found = book.order()
    assert (found.size, found.quote_size) == (None, Decimal(50))
    assert (found.state, found.filled_size) == (OrderState.FILLED, Decimal(size))
    assert found.altered == ()


def test_an_order_that_was_renamed_by_somebody_is_the_same_order() -> None:
    book = Book()
    book.plan(limit(SPOT.symbol, "buy", price="61000.1", size="0.020"), SPOT)
    book.spot()
    book.spot(x="REPLACED", c="new-name", C="own-1", q="0.010")
    book.spot(**trade(1, "0.010", "0.010", c="new-name", q="0.010", X="FILLED"))
    found = book.order()
    assert (found.state, found.filled_size, found.size) == (
        *(OrderState.FILLED, Decimal("0.010")),
        Decimal("0.010"),
    )
    assert len({each.exchange_order_id for each in book.ledger.orders()}) == 1


# --- futures ---


def test_coin_m_averages_harmonically() -> None:
    book = Book()
    changes = {"s": "BTCUSD_PERP", "x": "TRADE", "N": "BTC", "q": "20", "c": "own-1"}
    book.futures(Market.INVERSE, **changes, t=1, l="10", z="10", L="50000", X="PARTIALLY_FILLED")
    book.futures(
        Market.INVERSE, **changes, t=2, l="10", z="20", L="60000", X="FILLED", ap="54545.45"
    )
    (found,) = book.ledger.orders()
    assert found.filled_size == 20
    expected = Decimal(20) / (Decimal(10) / 50000 + Decimal(10) / 60000)
    assert abs(found.average_price - expected) < Decimal("0.01")


def test_numbers_of_orders_are_those_of_one_symbol() -> None:
    book = Book()
    book.futures(i=5, c="usdm")
    book.futures(Market.INVERSE, s="BTCUSD_PERP", i=5, c="coinm")
    assert sorted(each.client_order_id for each in book.ledger.orders()) == ["coinm", "usdm"]


def test_an_order_that_waited_is_followed_through_what_its_trigger_places() -> None:
    row = {
        "caid": "own-1",
        "aid": 21,
        "at": "CONDITIONAL",
        "o": "STOP_MARKET",
        "s": "BTCUSDT",
        "S": "SELL",
        "ps": "BOTH",
        "f": "GTC",
        "q": "0.020",
        "X": "NEW",
        "ai": "",
        "tp": "59000.00",
        "p": "0",
        "wt": "MARK_PRICE",
        "R": True,
        "tt": 0,
    }
    time = NOW_NS // 10**6

    def waits(**changes: Any) -> Any:
        named = algo_rows.spelled_out({**row, **changes}, time)
        return [algo_rows.algo(named, Market.LINEAR, NOW_NS)]

    child = {
        "i": 77,
        "c": "own-1",
        "S": "SELL",
        "o": "MARKET",
        "x": "TRADE",
        "X": "FILLED",
        "t": 9,
        "l": "0.020",
        "z": "0.020",
        "L": "58990.0",
        "R": True,
        "p": "0",
    }
    steps = [
        lambda book: book.take(waits()),
        lambda book: book.take(waits(X="TRIGGERED", ai="77")),
        lambda book: book.futures(**child),
    ]
    for some in permutations(steps):
        book = Book()
        trigger = Trigger(price="59000", rises=False, by="mark")  # type: ignore[arg-type]
        asked = market(USDM.symbol, "sell", size="0.020", trigger=trigger, reduce_only=True)
        book.plan(asked, USDM)
        for step in some:
            step(book)
        own, placed = book.order(), book.order("77")
        assert own.exchange_order_id == algo_id("21")
        assert (own.state, own.filled_size) == (OrderState.FILLED, Decimal("0.020"))
        assert (own.fired, own.children) == (True, ("77",))
        assert (placed.state, placed.filled_size) == (OrderState.FILLED, Decimal("0.020"))
        assert [each.exchange_order_id for each in book.fills] == ["77"]


def test_a_liquidation_is_the_exchanges_and_its_fee_may_come_later() -> None:
    book = Book()
    changes = {
        "c": "autoclose-1596542005017000006",
        "x": "CALCULATED",
        "X": "FILLED",
        "t": 4,
        "l": "0.020",
        "z": "0.020",
        "L": "60000",
        "n": None,
        "N": None,
        "o": "LIQUIDATION",
    }
    book.futures(**changes)
    (fill,) = book.fills
    assert (fill.fee, fill.origin) == (None, Origin.EXCHANGE)
    row = {
        "symbol": "BTCUSDT",
        "id": 4,
        "orderId": 8389765543210,
        "side": "BUY",
        "maker": False,
        "price": "60000",
        "qty": "0.020",
        "commission": "0.6",
        "commissionAsset": "USDT",
        "time": NOW_NS // 10**6,
        "positionSide": "BOTH",
        "buyer": True,
        "realizedPnl": "0",
    }
    book.take([futures_rows.fill(row, Market.LINEAR, NOW_NS)])
    (found,) = book.ledger.orders()
    assert found.fees == (("USDT", Decimal("0.6")),)
    assert len({each.fill_id for each in book.fills}) == 1


def test_lists_of_open_orders_and_the_stream_are_one_order() -> None:
    book = Book()
    book.take([spot_rows.order(spot_row(), NOW_NS)])
    book.spot()
    (found,) = book.ledger.orders()
    assert found.state is OrderState.OPEN
