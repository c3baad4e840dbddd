"""Shapes of a toy exchange, made up by Hypothesis, and frames of them in any spelling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    Channel,
    DecodeError,
    Instrument,
    Market,
    Message,
    Side,
    Subscription,
    TopOfBook,
    Trade,
)
from ccrs_core.wire import (
    NEEDED,
    Best,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Head,
    Kind,
    Ms,
    Price,
    Quote,
    Rate,
    Shape,
    Size,
    Stream,
    StreamReader,
    TableCodec,
    Text,
)

INSTRUMENT = Instrument(
    exchange="toy",
    symbol="BTC/USDT",
    native="BTC",
    market=Market.LINEAR,
    base="BTC",
    quote="USDT",
    base_per_native_contract=Decimal("0.01"),
)
SUBSCRIPTION = Subscription(Channel.TRADES, INSTRUMENT)
TOPIC = "x.BTC"
SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


def contract(instrument: Instrument) -> Decimal | None:
    return instrument.base_per_native_contract


def differs(one: Decimal | None, other: Decimal) -> bool | None:
    return None if one is None else one != other


class ToyCodec(TableCodec):
    """Of one channel, with whatever reads it."""

    head: ClassVar[Head | None] = Head("topic")

    def __init__(self, reads: Shape | type[StreamReader]) -> None:
        super().__init__()
        self.reads = reads

    def stream(self, subscription: Subscription) -> Stream:
        return Stream("x.{native}", self.reads)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self.open(subscriptions)
        return request_id

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self.close(subscriptions)
        return request_id

    def control(self, frame: Any) -> Sequence[Message]:
        return (Ack(frame["id"]),) if "id" in frame else ()


def subscribed(reads: Shape | type[StreamReader]) -> ToyCodec:
    codec = ToyCodec(reads)
    codec.subscribe([SUBSCRIPTION], "1")
    return codec


def verdict(decode: Any, frame: bytes) -> str:
    """All that is said of a frame, with the values of events read."""
    try:
        return repr(list(decode(frame, 5)))
    except DecodeError:
        return "unreadable"


# --- values by kind ---

prices = st.decimals("0.001", 10**6, places=3).map(lambda d: f"{d:f}")
sizes = st.decimals(0, 10**6, places=3).map(lambda d: f"{d:f}")
times = st.integers(10**12, 4 * 10**12)
counts = st.integers(1, 10**15)
names = st.from_regex(r"[\w-]{1,20}", fullmatch=True)
scalars = st.one_of(names, counts, st.booleans(), st.none(), times.map(str))
levels = st.lists(st.tuples(prices, sizes, counts).map(list), max_size=2)


_ODD: list[Any] = [
    *["", "0", "0.00", "0.0e5", "1e5", "007", "-1", "-0", ".5", "5.", "NaN", "\uff11", " 1", "1_0"],
    *["1" * 22, "0." + "0" * 21 + "1", "1" * 65, "x" * 64, "x" * 65, 'a"b', "a\\b", "CONTROL", "é"],
    *[0, 1, -1, 5.0, 10**12 - 1, 5 * 10**12, 10**18, 10**18 - 1, 2**70, True, False, None, [], {}],
    *["999999999999", "5000000000000", "01794000123005", "Neither", "true", [["1", "0"]]],
    *[[["0", "1"]], [["1"]], ["12"], [["1", "2", 3], ["1", "2", 3]], [["1", "0.000", 3]]],
]
ODD = st.sampled_from(_ODD)
"""What stands where something else should, or at the border of what may."""


@attrs.frozen
class Placed:
    """A field's kind, and what may stand where it reads."""

    kind: Kind
    values: dict[str, st.SearchStrategy[Any]]


def _leaf(kind: Kind, path: str, values: st.SearchStrategy[Any]) -> Placed:
    return Placed(kind, {path: values})


@st.composite
def trade_fields(draw: st.DrawFn, prefix: str) -> dict[str, Placed]:
    p = prefix
    scale = draw(st.sampled_from([None, contract]))
    flagged = draw(st.booleans())
    side = (
        _leaf(Choice({True: Side.SELL, False: Side.BUY}, f"{p}m"), f"{p}m", st.booleans())
        if flagged
        else _leaf(Choice(SIDES, f"{p}S"), f"{p}S", st.sampled_from([*SIDES]))
    )
    numbered = draw(st.booleans())
    identity = (
        _leaf(Digits(f"{p}t"), f"{p}t", counts)
        if numbered
        else _leaf(Text(f"{p}i"), f"{p}i", names)
    )
    fields = {
        "exchange_time_ns": _leaf(
            Ms(f"{p}T"), f"{p}T", times.map(str) if draw(st.booleans()) else times
        ),
        "trade_id": identity,
        "side": side,
        "price": _leaf(Price(f"{p}p"), f"{p}p", prices),
        "size": _leaf(Size(f"{p}v", scale=scale), f"{p}v", sizes),
        "sequence": _leaf(Count(f"{p}q", absent=None), f"{p}q", counts),
        "block": _leaf(Flag(f"{p}B", absent=False), f"{p}B", st.booleans()),
    }
    if draw(st.booleans()):
        kind = By(differs, Size(f"{p}nq", absent=None), Size(f"{p}v"))
        fields["rpi"] = _leaf(kind, f"{p}nq", sizes)
    return fields


@st.composite
def quote_fields(draw: st.DrawFn, prefix: str) -> dict[str, Placed]:
    p = prefix
    scale = draw(st.sampled_from([None, contract]))
    fields = {
        "exchange_time_ns": Placed(Ms(f"{p}T", other=f"{p}E"), {f"{p}T": times, f"{p}E": times}),
        "sequence": _leaf(Count(f"{p}u"), f"{p}u", counts | st.just(1)),
    }
    for side in ("bid", "ask"):
        if draw(st.booleans()):
            fields[side] = _leaf(Best(f"{p}{side}", scale=scale), f"{p}{side}", levels)
        else:
            at, much = f"{p}{side}P", f"{p}{side}S"
            fields[side] = Placed(Quote(at, much, scale=scale), {at: prices, much: sizes})
    return fields


@attrs.frozen
class Declared:
    """A shape, with what makes frames of it."""

    shape: Shape
    placed: dict[str, Placed]
    more: dict[str, st.SearchStrategy[Any]]

    def frames(self) -> st.SearchStrategy[str]:
        """Frames spelled in any order, with or without what needn't be there."""
        return _frames(self)


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _shuffled(draw: st.DrawFn, tree: Any) -> Any:
    if type(tree) is not dict:
        return tree
    keys = draw(st.permutations(list(tree)))
    return {key: _shuffled(draw, tree[key]) for key in keys}


def _mostly(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 24).flatmap(lambda n: values if n else ODD)


def _built(draw: st.DrawFn, placed: dict[str, Placed], more: Any, whole: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for each in placed.values():
        optional = isinstance(each.kind, By) or getattr(each.kind, "absent", NEEDED) is not NEEDED
        for path, values in each.values.items():
            if whole or not optional or draw(st.booleans()):
                _set(tree, path, draw(values if whole else _mostly(values)))
    for path, values in more.items():
        _set(tree, path, draw(values if whole else _mostly(values)))
    return tree


def _text(draw: st.DrawFn, shape: Shape, tree: Any, rows: int, separators: Any) -> str:
    frame = {"data": [_shuffled(draw, each) for each in tree[:rows]]} if shape.rows else tree[0]
    for path, value in shape.only:
        _set(frame, path, value)
    frame = {"topic": TOPIC, **_shuffled(draw, frame)}
    text = json.dumps(frame, separators=separators, ensure_ascii=False)
    return text.replace("CONTROL", "\x01")


COMPACT = (",", ":")


@st.composite
def _frames(draw: st.DrawFn, declared: Declared) -> str:
    rows = draw(st.sampled_from([1, 1, 1, 2, 0])) if declared.shape.rows else 1
    trees = [_built(draw, declared.placed, declared.more, False) for _ in range(max(rows, 1))]
    separators = draw(st.sampled_from([COMPACT, COMPACT, (", ", ": ")]))
    return _text(draw, declared.shape, trees, rows, separators)


@st.composite
def declarations(draw: st.DrawFn) -> Declared:
    rows = draw(st.sampled_from([None, "data"]))
    prefix = draw(st.sampled_from(["", "d.", "d.e."]))
    trades = draw(st.booleans())
    placed = draw(trade_fields(prefix) if trades else quote_fields(prefix))
    if draw(st.booleans()) and trades:
        rate = {f"{prefix}x": st.decimals(-1, 1, places=4).map(lambda d: f"{d:f}")}
        more: dict[str, st.SearchStrategy[Any]] = dict(rate)
    else:
        more = {f"{prefix}z{n}": scalars for n in range(draw(st.integers(0, 3)))}
    only = {} if draw(st.booleans()) else {"type": "snapshot"}
    fields = {name: each.kind for name, each in placed.items()}
    by: dict[str, Any] = {"told_apart_by": "trade_id"} if trades else {"numbered_by": "sequence"}
    if not trades:
        by["restart"] = draw(st.sampled_from([None, 1]))
    event = Trade if trades else TopOfBook
    bare = Shape(event, usual=[], fields=fields, rows=rows, only=only, **by)
    tree = _built(draw, placed, more, True)
    for each in placed.values():
        if isinstance(each.kind, Best):
            _set(tree, each.kind.path, [["1.5", "2.0", 3]])
    text = _text(draw, bare, [tree], 1, COMPACT)
    return Declared(attrs.evolve(bare, usual=[text], apart=bare.apart), placed, more)


__all__ = ["COMPACT", "Declared", "Rate", "ToyCodec", "declarations", "subscribed", "verdict"]
