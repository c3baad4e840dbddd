"""The general decoder of a shape: straight lines of Python, written from the declaration.

Each kind checks what it reads. What is malformed raises one of :data:`~ccrs_core.wire.MALFORMED`;
what is merely new is told as ``Unrecognised``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import attrs
import orjson

from ccrs_core.contract.codec import Data, Message, Unrecognised
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.events import Candle
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.wire.bodies import read_exact_json
from ccrs_core.wire.kind_lines import Lines
from ccrs_core.wire.kinds import (
    NEEDED,
    Best,
    Kind,
    Ms,
    Quote,
    paths_of,
)
from ccrs_core.wire.shapes import Shape
from ccrs_core.wire.values import (
    MALFORMED,
)

Reader = Callable[[Any, int], Sequence[Message]]
"""What a parsed frame says that was received at a time."""


class _Writer(Lines):
    """Writes the reader of a frame, or of a row."""

    def event(self) -> str:
        """The expression of a row's event."""
        for name, kind in self.shape.fields:
            if isinstance(kind, Best | Quote):
                price, size = self.side(kind)
                self.values[f"{name}_price"], self.values[f"{name}_size"] = price, size
            else:
                self.values[name] = self.value(kind)
            if name == "open_time_ns" and self.shape.event is Candle:
                self.values["interval"] = "interval"
                self.values["close_time_ns"] = self.assign(
                    f"later({self.values[name]}, interval, 1)"
                )
        given = {name: name for name in ("exchange", "symbol", "account")}
        values = given | {"received_time_ns": "ns"} | self.values
        arguments = []
        for field in attrs.fields(self.shape.event):
            default = None if field.default is attrs.NOTHING else field.default
            arguments.append(values.get(field.name) or repr(default))
        return f"new({', '.join(arguments)})"

    def number(self) -> str:
        """The expression of the number by which repeats of a row are told."""
        by = self.shape.numbered_by
        if by is None:
            return "None"
        if isinstance(by, Kind):
            return self.value(by)
        kind, name = self.shape.kind(by), self.values[by]
        if isinstance(kind, Ms):
            if kind.absent is NEEDED:
                return f"{name} // 1000000"
            return f"None if {name} is None else {name} // 1000000"
        return name

    def data(self, event: str, alone: str) -> str:
        """The expression of the message that carries a row's event by itself."""
        number = self.assign(self.number())
        restart = "False" if self.shape.restart is None else f"{number} == {self.shape.restart}"
        peek_agrees = "False"
        if isinstance(self.shape.numbered_by, str):
            peek_agrees = f"{alone} and {number} is not None"
        return f"Data(topic, ({event},), {number}, {restart}, {peek_agrees})"


def _only(writer: _Writer) -> None:
    for path, value in writer.shape.only:
        raw = writer.get(f"/{path.removeprefix('/')}")
        condition = f"type({raw}) is not {type(value).__name__} or {raw} != {value!r}"
        writer.add(f"if {condition}:")
        leaf = path.rpartition(".")[2]
        writer.add(f'    return unknown(f"{leaf} {{{raw}}}")')


def _lines_of_frame(shape: Shape) -> _Writer:
    if shape.rows is None:
        writer = _Writer(shape, "return unknown({})")
        _only(writer)
        writer.add(f"return ({writer.data(writer.event(), 'True')},)")
        return writer
    writer = _Writer(shape, "messages += unknown({})\ncontinue")
    _only(writer)
    rows = writer.get(f"/{shape.rows}")
    writer.wrong(shape.rows, f"type({rows}) is not list")
    writer.add("messages = []")
    if shape.numbered_by is None:
        writer.add("events = []")
    for path in {path for path in _paths(shape) if path.startswith("/")}:
        writer.container(path)
    writer.add(f"for row in {rows}:")
    writer.depth, writer.row = 3, "row"
    event = writer.event()
    if shape.numbered_by is None:
        writer.add(f"events.append({event})")
        writer.depth = 2
        writer.add("if events:")
        writer.add("    messages.append(Data(topic, tuple(events)))")
    else:
        writer.add(f"messages.append({writer.data(event, f'len({rows}) == 1')})")
        writer.depth = 2
    writer.add("return messages or unknown('no data')")
    return writer


def _paths(shape: Shape) -> list[str]:
    return [path for _, kind in shape.fields for path, _ in paths_of(kind)]


def _lines_of_row(shape: Shape) -> _Writer:
    writer = _Writer(shape, "raise ValueError({})")
    writer.row = "row"
    writer.add(f"return {writer.event()}")
    return writer


@lru_cache(maxsize=512)
def _compiled(shape: Shape, parameters: str) -> Callable[..., Any]:
    """A function that makes readers, of frames or of single rows."""
    writer = _lines_of_row(shape) if parameters == "row" else _lines_of_frame(shape)
    scope = writer.scope | {"new": fast_constructor(shape.event)}
    lines = [
        "def make(topic, about, instrument, interval, depth, unknown, now_ns, ns):",
        "    exchange, symbol, account = about",
        *(f"    {line}" for line in writer.prelude),
        f"    def read({parameters}):",
        *writer.lines,
        "    return read",
    ]
    exec("\n".join(lines), scope)  # noqa: S102 - written from a declaration, above
    made: Callable[..., Any] = scope["make"]
    _prove(shape, made, of_rows=parameters == "row")
    return made


def _unknown(topic: str) -> Callable[[object], tuple[Unrecognised]]:
    """What is said of something new, which is no error."""
    return lambda what: (Unrecognised(f"{topic}: {what}"[:200]),)


_ANY = Instrument(
    exchange="any", symbol="A/B", native="AB", market=Market.SPOT, base="A", quote="B"
)


_ABOUT = ("any", "", "any")


def _prove(shape: Shape, make: Callable[..., Any], *, of_rows: bool) -> None:
    """Read a shape's usual frames.

    :raises ValueError: where it doesn't read one of them.
    """
    for text in shape.usual:
        frame = read_exact_json(text.encode()) if shape.exact else orjson.loads(text)
        try:
            if of_rows:
                told: Any = make("", _ABOUT, _ANY, "1m", None, None, 0, 0)(frame)
            else:
                told = make("", _ABOUT, _ANY, "1m", None, _unknown(""), None, None)(frame, 0)
        except MALFORMED as error:
            raise ValueError(
                f"shape of {shape.event.__name__}: its own reader refuses a usual frame:"
                f" {error!r} in {text[:200]}"
            ) from error
        if not of_rows and not any(isinstance(message, Data) for message in told):
            name = shape.event.__name__
            raise ValueError(f"shape of {name}: a usual frame is no event: {told} of {text[:200]}")


def prove(shape: Shape) -> None:
    """Write the reader of a shape's frames, and read the usual ones.

    :raises ValueError: where it doesn't read one of them.
    """
    _compiled(shape, "frame, ns")


def frame_reader(shape: Shape, topic: str, subscription: Subscription) -> Reader:
    """The reader of a topic's parsed frames."""
    make = _compiled(shape, "frame, ns")
    reader: Reader = make(
        topic,
        (subscription.exchange, subscription.symbol, subscription.account),
        None if subscription.account is not None else subscription.instrument,
        subscription.interval or "",
        subscription.depth,
        _unknown(topic),
        None,
        None,
    )
    return reader


def row_reader(
    shape: Shape,
    instrument: Instrument,
    received_time_ns: int,
    *,
    interval: str | None = None,
    depth: int | None = None,
    now_ns: int | None = None,
) -> Callable[[Any], Any]:
    """What makes an event of one row of an answer. Paths begin at the row.

    ``interval`` is a candle's; ``now_ns`` the exchange's time, for :class:`~ccrs_core.wire.Over`.
    What the reader raises is one of :data:`~ccrs_core.wire.MALFORMED`, also of a row that is no
    event.
    """
    make = _compiled(shape, "row")
    about = (instrument.exchange, instrument.symbol, None)
    made: Callable[[Any], Any] = make(
        "", about, instrument, interval, depth, None, now_ns, received_time_ns
    )
    return made


__all__ = ["Reader", "frame_reader", "prove", "row_reader"]
