"""Each kind of field takes what it says, exactly, and refuses what it isn't."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import BookUpdate, Funding, Liquidation, Side, TopOfBook, Trade
from ccrs_core.wire import (
    MALFORMED,
    Always,
    Best,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Kind,
    Levels,
    Ms,
    Price,
    Quote,
    Rate,
    Rfc3339,
    Shape,
    Size,
    Text,
    row_reader,
)
from tests.wire.declared import INSTRUMENT, SIDES, contract

REFUSED = object()
NS = 1_794_000_123_005 * 10**6
TRADE: dict[str, Kind] = {
    "exchange_time_ns": Always(None),
    "trade_id": Always("1"),
    "price": Always(Decimal(1)),
    "size": Always(Decimal(1)),
    "side": Always(Side.BUY),
}


def told(field: str, kind: Kind, row: Any) -> Any:
    """What a field of a trade says, read by a kind; whether it is refused."""
    shape = Shape(Trade, usual=[], fields={**TRADE, field: kind})
    try:
        return getattr(row_reader(shape, INSTRUMENT, 0)(row), field)
    except MALFORMED:
        return REFUSED


CASES: list[tuple[str, Kind, list[tuple[Any, Any]]]] = [
    (
        "sequence",
        Count("x"),
        [
            (0, 0),
            (10**18 - 1, 10**18 - 1),
            (10**18, REFUSED),
            (-1, REFUSED),
            ("5", REFUSED),
            (5.0, REFUSED),
            (True, REFUSED),
            (None, REFUSED),
        ],
    ),
    ("sequence", Count("x", signed=True), [(-1, -1), (-(10**18), REFUSED)]),
    ("sequence", Count("x", minus=1), [(5, 4), (0, -1)]),
    ("sequence", Count("x", absent=None), [(None, None), (7, 7), ("", REFUSED)]),
    (
        "sequence",
        Count("x", absent=None, quoted=True),
        [("7", 7), ("", None), (None, None), (7, REFUSED), ("-7", REFUSED), ("\uff11", REFUSED)],
    ),
    (
        "exchange_time_ns",
        Ms("x"),
        [
            (1794000123005, NS),
            ("1794000123005", NS),
            (10**12 - 1, REFUSED),
            (5 * 10**12, REFUSED),
            (10**12, 10**18),
            (-1, REFUSED),
            (1794000123005.0, REFUSED),
            ("", REFUSED),
            (None, REFUSED),
        ],
    ),
    ("exchange_time_ns", Ms("x", absent=None), [(0, None), ("", None), ("1794000123005", NS)]),
    (
        "exchange_time_ns",
        Rfc3339("x"),
        [("2026-11-06T21:22:03.005Z", 1794000123005 * 10**6), ("2026", REFUSED), ("", REFUSED)],
    ),
    ("exchange_time_ns", Rfc3339("x", absent=None), [(None, None), ("", None)]),
    (
        "trade_id",
        Text("x"),
        [("a", "a"), ("x" * 64, "x" * 64), ("x" * 65, REFUSED), ("", REFUSED), (5, REFUSED)],
    ),
    ("trade_id", Digits("x"), [(5, "5"), ("5", REFUSED), (-5, REFUSED), (5.5, REFUSED)]),
    ("block", Flag("x"), [(True, True), (False, False), (1, REFUSED), (None, REFUSED)]),
    ("block", Flag("x", absent=False), [(None, False), ("true", REFUSED)]),
    ("side", Choice(SIDES, "x"), [("Sell", Side.SELL), ("sell", REFUSED), ([], REFUSED)]),
    (
        "side",
        Choice({True: Side.SELL, False: Side.BUY}, "x"),
        [(True, Side.SELL), (False, Side.BUY), (1, REFUSED), (None, REFUSED)],
    ),
    (
        "price",
        Price("x"),
        [("1.50", "1.50"), ("0", REFUSED), ("-1", REFUSED), (1, REFUSED), ("", REFUSED)],
    ),
    ("price", Price("x", absent=None), [("0.00", None), ("", None), (None, None), ("2", "2")]),
    ("price", Price("x", blank="none yet"), [("0", REFUSED), ("2", "2")]),
    ("price", Price("x", bare=True), [(Decimal("1.50"), "1.50"), (0, REFUSED), (1.5, REFUSED)]),
    ("size", Size("x"), [("0", "0"), ("1.50", "1.50"), ("-1", REFUSED), (None, REFUSED)]),
    ("size", Size("x", scale=contract), [("1.50", "0.0150"), ("x", REFUSED)]),
    ("size", Size("x", absent=None), [("", None), (None, None), ("0", "0")]),
    ("size", Size("x", bare=True), [(0, "0"), (-1, REFUSED), ("1", REFUSED)]),
    ("size", By(max, Size("x"), Size("x", scale=contract)), [("2", "2"), ("y", REFUSED)]),
]


@pytest.mark.parametrize(
    ("field", "kind", "value", "expected"),
    [(field, kind, *pair) for field, kind, pairs in CASES for pair in pairs],
)
def test_a_kind_takes_what_it_says_and_refuses_the_rest(
    field: str, kind: Kind, value: Any, expected: Any
) -> None:
    found = told(field, kind, {"x": value})
    assert (str(found) if isinstance(found, Decimal) else found) == expected
    assert type(found) is not bool or found is expected


@pytest.mark.parametrize("kind", [kind for _, kind, _ in CASES if not isinstance(kind, By)])
def test_what_is_not_there_is_refused_unless_it_may_be_absent(kind: Any) -> None:
    field = next(field for field, known, _ in CASES if known is kind)
    may = attrs.asdict(kind, recurse=False).get("absent")
    expected = may if may is None or type(may) is bool else REFUSED
    if "absent" not in attrs.asdict(kind, recurse=False):
        expected = REFUSED
    assert told(field, kind, {}) is expected


def test_sides_are_there_together_or_not_at_all() -> None:
    def read(kind: Kind, bid: Any) -> Any:
        ask = Quote("p", "s") if isinstance(kind, Quote) else Best("a")
        shape = Shape(TopOfBook, usual=[], fields={"bid": kind, "ask": ask})
        row = {"p": "1", "s": "1", "a": [["1", "1"]], **bid}
        event = row_reader(shape, INSTRUMENT, 0)(row)
        return None if event.bid_price is None else (str(event.bid_price), str(event.bid_size))

    for rows, expected in (
        ([], None),
        ([["1.0", "2.0"]], ("1.0", "2.0")),
        ([["1.0", "2.0", 5], ["0.9", "1"]], ("1.0", "2.0")),
        ([["1.0", "0.00"]], None),
        ([["0", "0"]], None),
    ):
        assert read(Best("b"), {"b": rows}) == expected
    assert read(Best("b", scale=contract), {"b": [["1", "2"]]}) == ("1", "0.02")
    for strange in (None, "12", ["12"], [{}], [["1"]], [["0", "1"]], [["1", 2]]):
        with pytest.raises(MALFORMED):
            read(Best("b"), {"b": strange})
    for price, size, expected in (
        ("1.0", "2.0", ("1.0", "2.0")),
        ("1.0", "0.0", None),
        ("", "0", None),
        ("1", None, None),
    ):
        assert read(Quote("x", "y"), {"x": price, "y": size}) == expected
    for strange in ({"x": "1"}, {"x": "0", "y": "2"}, {"x": "", "y": "2"}, {"x": None, "y": "2"}):
        with pytest.raises(MALFORMED):
            read(Quote("x", "y"), strange)
    assert read(Quote("x", "y", absent=None), {"x": "1"}) is None


def test_levels_are_as_they_are_sent() -> None:
    def read(kind: Levels, rows: Any, depth: int | None = None) -> Any:
        fields = {
            "sequence": Always(1),
            "snapshot": Always(True),
            "bids": kind,
            "asks": Levels("a"),
        }
        reader = row_reader(Shape(BookUpdate, usual=[], fields=fields), INSTRUMENT, 0, depth=depth)
        return [tuple(map(str, level)) for level in reader({"b": rows, "a": []}).bids]

    rows = [["3", "1.0"], ["2", "0"], ["1", "5"]]
    whole = [("3", "1.0"), ("2", "0"), ("1", "5")]
    assert read(Levels("b"), rows) == whole
    assert read(Levels("b", left=True), rows) == [whole[0], whole[2]]
    assert read(Levels("b", left=True, cut=True), rows, 1) == whole[:1]
    assert read(Levels("b", cut=True), rows, None) == whole
    assert read(Levels("b", columns=None), [[*row, 7] for row in rows]) == whole
    assert read(Levels("b", scale=contract), [["3", "5"]]) == [("3", "0.05")]
    objects = [{"p": Decimal("3.0"), "q": 0}]
    assert read(Levels("b", cells=("p", "q"), bare=True), objects) == [("3.0", "0")]
    for strange in (None, {}, "12", ["12"], [["0", "1"]], [["1"]], [["1", "2", "3"]], [None]):
        with pytest.raises(MALFORMED):
            read(Levels("b"), strange)
    with pytest.raises(MALFORMED):
        read(Levels("b", cells=("p", "q"), bare=True), [["p", "q"]])


def test_rates_have_either_sign_and_strange_rows_name_what_is_new() -> None:
    fields = {"rate": Rate("r"), "funding_time_ns": Ms("t", absent=None)}
    read = row_reader(Shape(Funding, usual=[], fields=fields), INSTRUMENT, 0)
    assert str(read({"r": "-0.00010"}).rate) == "-0.00010"
    shape = Shape(
        Liquidation,
        usual=[],
        fields={"side": Choice(SIDES, "S"), "price": Price("p"), "size": Size("v")},
    )
    with pytest.raises(ValueError, match="S Neither"):
        row_reader(shape, INSTRUMENT, 0)({"S": "Neither", "p": "1", "v": "1"})
