"""A declaration that can't be right says what is wrong with it, when it is imported."""

from __future__ import annotations

from typing import Any

import pytest

from ccrs_core import BookUpdate, Candle, Channel, Data, TopOfBook, Trade, Unrecognised
from ccrs_core.wire import (
    ROWS,
    Always,
    Best,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Head,
    Kind,
    Levels,
    Ms,
    Over,
    Price,
    Shape,
    ShapeReader,
    Size,
    Stream,
    TableCodec,
    row_reader,
)
from tests.wire.declared import INSTRUMENT, SIDES, TOPIC, subscribed

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


_ANY: list[Any] = [Price, "p"]
"""What isn't a kind."""


@pytest.mark.parametrize(
    ("event", "changes", "more", "complaint"),
    [
        (TopOfBook, {"sequence": Count("seq")}, {}, "sequence: there is no seq in"),
        (TopOfBook, {"bids": Levels("b")}, {}, "no field bids; it has exchange_time_ns, sequence"),
        (TopOfBook, {"exchange": Always("x")}, {}, "exchange is filled in"),
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
        (Trade, {"rpi": By(len, Count("i", unless="x"))}, {}, "None by x, which isn't declared"),
        (BookUpdate, {}, {}, "bid is a Best, .* has exchange_time_ns, sequence, snapshot, bids"),
        (Trade, {"price": Best("p")}, {}, "price is a Best, .* has exchange_time_ns"),
        (TopOfBook, {"sequence": Count}, {}, r"sequence is the class Count; .*: Count\(…\)"),
        (Trade, {"price": "p"}, {}, r"price is 'p'; write a kind .* Price\('p'\)"),
        (Trade, {"rpi": True}, {}, r"rpi is True, .* Always\(True\)"),
        (Trade, {"rpi": By(len, _ANY[0])}, {}, r"rpi is the class Price; .*: Price\(…\)"),
        (Trade, {"rpi": By(len, By(len, _ANY[1]))}, {}, "rpi is 'p'; write a kind"),
        (Trade, {"rpi": By(len, Best("p"))}, {}, "rpi: Best and Quote are two values"),
        (Trade, {"rpi": Over()}, {}, "which only candles are"),
        (Trade, {}, {"numbered_by": Count}, "numbered_by is the class Count"),
        (TopOfBook, {}, {"usual": FRAME}, r"usual is a list of frames, not one: write usual=\["),
        (TopOfBook, {}, {"usual": [FRAME.encode()]}, "a usual frame is a text, not bytes"),
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
        Stream(
            "x.{native}", Shape(TopOfBook, usual=[FRAME.replace("1794000123005", "5")], fields=TOP)
        )
    with pytest.raises(ValueError, match="a usual frame is no event"):
        Stream(
            "x.{native}",
            Shape(Trade, usual=[ROW.replace("Buy", "Hold")], fields=TRADE, rows="data"),
        )


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


def test_a_field_that_others_are_made_of_is_declared_before_them() -> None:
    flagged: dict[str, Kind] = {
        "previous_sequence": Count("u", minus=1, unless="snapshot"),
        "snapshot": Flag("s"),
        "sequence": Count("u"),
        "bids": Levels("b"),
        "asks": Levels("a"),
    }
    with pytest.raises(ValueError, match="by snapshot: declare that before previous_sequence"):
        Shape(BookUpdate, usual=[], fields=flagged)
    ordered = {name: flagged[name] for name in sorted(flagged, reverse=True)}
    read = row_reader(Shape(BookUpdate, usual=[], fields=ordered), INSTRUMENT, 1)
    assert read({"u": 5, "s": False, "b": [], "a": []}).previous_sequence == 4

    prices: dict[str, Kind] = {name: Price(name) for name in ("open", "high", "low", "close")}
    prices |= {"volume": Size("v"), "turnover": Size("t")}
    with pytest.raises(ValueError, match="closed is Over: declare open_time_ns before it"):
        Shape(Candle, usual=[], fields={"closed": Over(), "open_time_ns": Ms("T"), **prices})
    Shape(Candle, usual=[], fields={"open_time_ns": Ms("T"), "closed": Over(), **prices})


@pytest.mark.parametrize("path", ["action", "/action"])
def test_what_must_stand_beside_rows_may_be_written_as_fields_are(path: str) -> None:
    usual = ROW.replace('"data"', '"action":"new","data"')
    codec = subscribed(Shape(Trade, usual=[usual], fields=TRADE, rows="data", only={path: "new"}))
    frame = usual.replace('"x"', f'"{TOPIC}"').encode()
    for _ in range(2):  # by the general way and the short one, whichever comes first
        (data,) = codec.decode(frame, 1)
        assert isinstance(data, Data)
        (other,) = codec.decode(frame.replace(b'"new"', b'"old"'), 1)
        assert isinstance(other, Unrecognised)
    assert codec.shortcut(TOPIC) is not None


class _Alone(ShapeReader):
    shape = Shape(TopOfBook, usual=[FRAME], fields=TOP)


class _Joined(_Alone):
    joined = True


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "t.{symbol}",
            r"nothing is known as \{symbol\}; there are \{native\}, \{lower\},",
        ),
        ("t.{}", r"nothing is known as \{\}"),
        ("t.{native.symbol}", r"nothing is known as \{native.symbol\}"),
        ("t", "has no instrument in its name"),
        ("t.{depth}", "has no instrument in its name"),
        ("t.{{native}}", "has no instrument in its name"),
        ("t.{native", "braces"),
    ],
)
def test_a_streams_name_that_cant_be_made_is_said(name: str, complaint: str) -> None:
    shape = _Alone.shape
    for reads in (shape, _Alone):
        with pytest.raises(ValueError, match=complaint):
            Stream(name, reads)
        with pytest.raises(ValueError, match=complaint):
            Stream("t.{native}", reads, ((name, reads),))
    assert shape is not None
    for good in ("{native}", "{lower}@{depth}", "a{interval}:{native}"):
        assert Stream(good, shape).name == good


def test_a_stream_of_many_instruments_needs_none_in_its_name() -> None:
    assert Stream("all", _Joined).name == "all"
    with pytest.raises(ValueError, match=r"nothing is known as \{kind\}"):
        Stream("all.{kind}", _Joined)


@pytest.mark.parametrize("reads", [Shape, FRAME, None, TableCodec])
def test_what_reads_a_stream_is_a_shape_or_a_reader(reads: Any) -> None:
    with pytest.raises(ValueError, match="is read by a Shape or a class of StreamReader"):
        Stream("t.{native}", reads)


@pytest.mark.parametrize("place", ["name", "also"])
@pytest.mark.parametrize("reads", [_Alone.shape, _Alone])
def test_a_codec_whose_usual_frames_begin_otherwise_isnt_made(reads: Any, place: str) -> None:
    known = Stream("t.{native}", Shape(TopOfBook, usual=[], fields=TOP), (("u.{native}", reads),))
    stream = Stream("t.{native}", reads) if place == "name" else known
    table = {Channel.TOP_OF_BOOK: stream}
    with pytest.raises(ValueError, match=r"Wrong: stream '[tu].{native}': .*begin with .*topic_of"):
        type("Wrong", (TableCodec,), {"channels": table, "head": Head("channel")})
    with pytest.raises(ValueError, match="begin with"):
        type("Wrong", (TableCodec,), {"channels": table, "head": Head("topic", ("channel",))})
    # It begins so, or nothing is said of how frames begin.
    for head in (Head("topic"), None):
        right = type("Right", (TableCodec,), {"channels": table, "head": head})
        assert issubclass(right, TableCodec)


def test_a_table_is_one_of_streams() -> None:
    with pytest.raises(ValueError, match=r"Wrong: top_of_book is .*; write Stream\(name, shape\)"):
        type("Wrong", (TableCodec,), {"channels": {Channel.TOP_OF_BOOK: _Alone.shape}})


@pytest.mark.parametrize(
    "answer", ["pong", b"x" * 33, b'{"op":"pong","time":1794000123005,"by":1}']
)
def test_answers_that_would_never_be_heard_are_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"Wrong: .* is no answer of at most 32 bytes"):
        type("Wrong", (TableCodec,), {"answers": {answer: ()}})
    assert issubclass(type("Right", (TableCodec,), {"answers": {b"x" * 32: ()}}), TableCodec)
