"""What OKX says, taken by the ledger: contracts as coins, each fill once, in any order."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

from account_rows import NOW_NS, fill_row, instrument, order_row, position_row, traded
from ccrs_okx.account_rows import position
from ccrs_okx.fill_rows import fill, pushed_fill
from ccrs_okx.order_rows import order

from ccrs_core import EndReason, Fill, Market, OrderState, PositionSide, limit, market
from ccrs_core.trading.ledger import Ledger

LINEAR, INVERSE = instrument(), instrument(Market.INVERSE)
OPTION, SPOT = instrument(Market.OPTION), instrument(Market.SPOT)
KNOWN = {(each.market, each.native): each for each in (LINEAR, INVERSE, OPTION, SPOT)}


class Book:
    """A ledger, and what it has told."""

    def __init__(self) -> None:
        self.ledger = Ledger("okx", "mainnet", "main", lambda *of: KNOWN.get(of))
        self.told: list[Any] = []

    def plan(self, asked: Any, where: Any) -> None:
        self.ledger.plan(asked, where, "ccrs1", NOW_NS)

    def push(self, row: dict[str, Any]) -> None:
        """A row of the channel of orders."""
        found = [order(row, NOW_NS), pushed_fill(row, NOW_NS)]
        self.take([each for each in found if each is not None])

    def take(self, reports: Any) -> None:
        change = self.ledger.take(reports, NOW_NS)
        assert not change.unplaced
        self.told += [entry.event for entry in change.entries]

    @property
    def fills(self) -> list[Fill]:
        return [each for each in self.told if isinstance(each, Fill)]


def test_contracts_are_coins_wherever_they_are_told() -> None:
    """0.055 BTC are 5.5 contracts of 0.01: of the order, its fill, and the position."""
    book = Book()
    book.plan(limit(LINEAR.symbol, "buy", price="98000.10", size="0.055"), LINEAR)
    book.push(traded("881", "2", "2", sz="5.5"))
    book.take([position(position_row(pos="5.5"), NOW_NS)])
    book.take([fill(fill_row(tradeId="882", fillSz="3.5"), NOW_NS)])
    found = book.ledger.order("ccrs1")
    assert found is not None
    assert (found.size, found.filled_size) == (Decimal("0.055"), Decimal("0.055"))
    assert found.average_price == Decimal("98000.10")
    assert [each.size for each in book.fills] == [Decimal("0.02"), Decimal("0.035")]
    assert book.fills[0].value == Decimal("1960.002")
    held = book.ledger.position(LINEAR.symbol)
    assert held is not None
    assert held.size == Decimal("0.055")
    assert found.altered == ()


def test_inverse_contracts_stay_contracts_and_options_are_coins() -> None:
    book = Book()
    inverse = {"instId": INVERSE.native, "fillFeeCcy": "BTC", "clOrdId": "", "ordId": "9"}
    book.push(traded("1", "3", "3", sz="5", **inverse))
    option = {"instType": "OPTION", "instId": OPTION.native, "clOrdId": "", "ordId": "10"}
    book.push(traded("2", "10", "10", sz="20", fillPx="0.05", avgPx="0.05", **option))
    sizes = [(each.symbol, each.size) for each in book.fills]
    assert sizes == [(INVERSE.symbol, Decimal(3)), (OPTION.symbol, Decimal("0.1"))]
    first = book.ledger.order("9")
    assert first is not None
    assert (first.size, first.filled_size) == (Decimal(5), Decimal(3))


def test_the_end_comes_with_a_trade_that_is_known_and_counts_all_the_same() -> None:
    rows = [
        traded("881", "3", "3"),
        traded("882", "2", "5"),
        traded("882", "2", "5", "filled", uTime="1794000301002"),
    ]
    for some in permutations(rows):
        book = Book()
        book.plan(limit(LINEAR.symbol, "buy", price="98000.10", size="0.05"), LINEAR)
        for row in some:
            book.push(row)
        found = book.ledger.order("ccrs1")
        assert found is not None
        assert (found.state, found.filled_size) == (OrderState.FILLED, Decimal("0.05"))
        assert found.fills_complete
        assert sorted(each.fill_id for each in book.fills) == ["881", "882"]
        assert found.fees == (("USDT", Decimal("0.196")),)


def test_a_market_buy_of_spot_ends_without_a_trade_and_has_one_fill() -> None:
    spot = {
        "instType": "SPOT",
        "instId": "BTC-USDT",
        "ordType": "market",
        "tgtCcy": "quote_ccy",
        "sz": "100",
        "px": "",
    }
    size = "0.00163934"
    part = traded("90211", size, size, fillPx="61000", avgPx="61000", **spot)
    done = {"fillPx": "", "fillTime": "", "execType": "", "fillFee": "0", "fillFeeCcy": ""}
    end = traded("", "0", size, "filled", avgPx="61000", **{**spot, **done})
    for some in permutations([part, end, end]):
        book = Book()
        book.plan(market(SPOT.symbol, "buy", quote_size="100"), SPOT)
        for row in some:
            book.push(row)
        found = book.ledger.order("ccrs1")
        assert found is not None
        assert (found.state, found.filled_size) == (OrderState.FILLED, Decimal(size))
        assert (found.quote_size, found.size) == (Decimal(100), None)
        (only,) = book.fills
        assert only.value == Decimal("99.99974000")
        assert found.filled_value == only.value


def test_a_fill_that_is_seen_after_the_end_belongs_to_its_order() -> None:
    book = Book()
    book.plan(limit(LINEAR.symbol, "buy", price="98000.10", size="0.1"), LINEAR)
    end = order_row(sz="10", state="canceled", cancelSource="1", accFillSz="4", avgPx="98000.10")
    book.push(end)
    found = book.ledger.order("ccrs1")
    assert found is not None
    assert (found.state, found.filled_size) == (OrderState.CANCELED, Decimal("0.04"))
    assert not found.fills_complete
    book.take([fill(fill_row(tradeId="71", fillSz="4"), NOW_NS)])
    found = book.ledger.order("ccrs1")
    assert found is not None
    assert (found.state, found.reason) == (OrderState.CANCELED, EndReason.BY_USER)
    assert found.fills_complete
    assert len(book.fills) == 1


def test_two_positions_of_one_instrument_are_two() -> None:
    book = Book()
    book.take([position(position_row(posSide="long", pos="50"), NOW_NS)])
    book.take([position(position_row(posSide="short", pos="20", posId="2"), NOW_NS)])
    close = traded("5", "50", "50", "filled", side="sell", posSide="long", sz="50")
    book.push({**close, "ordId": "77", "clOrdId": ""})
    (sold,) = book.fills
    assert sold.position_side is PositionSide.LONG
    book.take([position(position_row(posSide="long", pos="0", uTime="1794000302000"), NOW_NS)])
    sizes = {each.side: each.size for each in book.ledger.positions()}
    assert sizes == {PositionSide.SHORT: Decimal("-0.20")}


def test_a_liquidation_is_booked_once_by_the_number_that_lists_give_it() -> None:
    book = Book()
    risk = {"category": "full_liquidation", "clOrdId": "", "ordId": "66", "side": "sell"}
    book.push(traded("4711", "5", "5", "filled", **risk))
    assert book.fills == []
    listed = fill_row(
        tradeId="-4711", ordId="66", clOrdId="", subType="104", side="sell", fillSz="5", execType=""
    )
    for _ in range(2):
        book.take([fill(listed, NOW_NS)])
    (only,) = book.fills
    assert (only.fill_id, only.origin.value) == ("-4711", "exchange")
    found = book.ledger.order("66")
    assert found is not None
    assert found.fills_complete
