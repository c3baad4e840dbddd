"""A declaration that can't be right says what is wrong with it, when it is imported."""

from __future__ import annotations

from typing import Any

import pytest

from ccrs_core import BookUpdate, TopOfBook, Trade
from ccrs_core.wire import (
    ROWS,
    Always,
    Best,
    Choice,
    Count,
    Digits,
    Levels,
    Ms,
    Price,
    Shape,
    Size,
    Stream,
    row_reader,
)
from tests.wire.declared import INSTRUMENT, SIDES

FRAME = '{"topic":"x","type":"snapshot","T":1794000123005,"u":7,"b":[["1.5","2"]],"a":[]}'
TOP: dict[str, Any] = {
    "exchange_time_ns": Ms("T"),
    "sequence": Count("u"),
    "bid": Best("b"),
    "ask": Best("a"),
}
ROW = '{"topic":"x","data":[{"T":1794000123005,"i":5,"p":"1","v":"2","S":"Buy"}]}'
TRADE: dict[str, Any] = {
    "exchange_time_ns": Ms("T"),
    "trade_id": Digits("i"),
    "price": Price("p"),
    "size": Size("v"),
    "side": Choice(SIDES, "S"),
}


def test_what_is_right_is_a_value_that_can_be_compared_and_printed() -> None:
    one, other = (Shape(TopOfBook, usual=[FRAME], fields=TOP) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert "Count(path='u'" in repr(one)


@pytest.mark.parametrize(
    ("event", "changes", "more", "complaint"),
    [
        (TopOfBook, {"sequence": Count("seq")}, {}, "sequence: there is no seq in"),
        (TopOfBook, {"bids": Levels("b")}, {}, "bids is no field"),
        (TopOfBook, {"exchange": Always("x")}, {}, "exchange is no field"),
        (TopOfBook, {"bid": Price("b")}, {}, "for bid and ask, not for bid"),
        (TopOfBook, {"bid_price": Price("b")}, {}, "bid_price is declared twice"),
        (TopOfBook, {}, {"usual": ["{"]}, "no JSON"),
        (TopOfBook, {}, {"rows": "data"}, "no rows in data"),
        (TopOfBook, {}, {"only": {"type": "delta"}}, "type is 'snapshot' in a usual frame"),
        (TopOfBook, {}, {"numbered_by": "bid"}, "names bid, which is no Count"),
        (TopOfBook, {}, {"restart": 1}, "restart says nothing"),
        (TopOfBook, {}, {"told_apart_by": "u"}, "names u, which isn't declared"),
        (TopOfBook, {}, {"told_apart_by": ROWS}, "it has none"),
        (
            TopOfBook,
            {},
            {"told_apart_by": "sequence", "numbered_by": "sequence"},
            "needs no told_apart_by",
        ),
        (Trade, {"side": Choice({True: 1, "x": 2}, "S")}, {}, "texts, or of true and false"),
        (Trade, {"sequence": Count("i", unless="snapshot")}, {}, "which isn't declared"),
        (BookUpdate, {}, {}, "is no field that can be declared"),
    ],
)
def test_what_is_wrong_is_said(
    event: Any, changes: dict[str, Any], more: dict[str, Any], complaint: str
) -> None:
    fields, usual = (TRADE, [ROW]) if event is Trade else (TOP, [FRAME])
    rows = {"rows": "data"} if event is Trade else {}
    with pytest.raises(ValueError, match=complaint):
        Shape(event, **{"usual": usual, "fields": {**fields, **changes}, **rows, **more})


def test_what_stands_nowhere_is_named() -> None:
    fields = {name: kind for name, kind in TRADE.items() if name not in ("price", "side")}
    with pytest.raises(ValueError, match="nothing says where price, side stands"):
        Shape(Trade, usual=[ROW], fields=fields, rows="data")
    with pytest.raises(ValueError, match="a book's updates need a sequence"):
        Shape(BookUpdate, usual=[], fields={"snapshot": Always(True)})


def test_a_usual_frame_that_its_own_reader_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="its own reader refuses"):
        Stream("x", Shape(TopOfBook, usual=[FRAME.replace("1794000123005", "5")], fields=TOP))
    with pytest.raises(ValueError, match="a usual frame is no event"):
        Stream("x", Shape(Trade, usual=[ROW.replace("Buy", "Hold")], fields=TRADE, rows="data"))


@pytest.mark.parametrize("columns", [2, 4, None])
def test_levels_have_as_many_columns_as_are_declared(columns: int | None) -> None:
    shape = Shape(
        BookUpdate,
        usual=[],
        fields={
            "snapshot": Always(True),
            "sequence": Count("u"),
            "bids": Levels("b", columns=columns),
            "asks": Levels("a", columns=columns),
        },
    )
    read = row_reader(shape, INSTRUMENT, 1)
    for count in range(5):
        row = {"u": 1, "b": [["5", "1", "0", "7"][:count]], "a": []}
        if count == columns or (columns is None and count >= 2):
            assert read(row).bids[0][0] == 5
        else:
            with pytest.raises((ValueError, IndexError)):
                read(row)
