"""Streams that several subscriptions share: of many instruments, or of many channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    Data,
    DecodeError,
    LeftOut,
    Liquidation,
    Message,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import (
    Always,
    Price,
    Shape,
    SharedRowsReader,
    Size,
    Stream,
    StreamReader,
    row_reader,
)
from tests.wire.declared import INSTRUMENT, SIDES, ToyCodec

NATIVES = ("BTC", "ETH", "XRP")
SUBSCRIPTIONS = {
    native: Subscription(Channel.LIQUIDATIONS, attrs.evolve(INSTRUMENT, native=native))
    for native in NATIVES
}
LIQUIDATION = Shape(
    Liquidation,
    usual=['{"p":"1","v":"2"}'],
    fields={"side": Always(SIDES["Buy"]), "price": Price("p"), "size": Size("v")},
)


class OfAllInstruments(StreamReader):
    """Rows name their instruments; each of them has a topic."""

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._wanted: dict[str, Subscription] = {}
        self.add(subscription)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(f"all.{native}" for native in self._wanted)

    def add(self, subscription: Subscription) -> None:
        self._wanted[subscription.instrument.native] = subscription

    def drop(self, subscription: Subscription) -> bool:
        self._wanted.pop(subscription.instrument.native, None)
        return bool(self._wanted)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        found: list[Message] = []
        for row in frame["data"]:
            known = self._wanted.get(row["s"])
            if known is not None:
                event = row_reader(LIQUIDATION, known.instrument, received_time_ns)(row)
                found.append(Data(f"all.{row['s']}", (event,)))
        return found or self.unknown("others")


class Shared(ToyCodec):
    def __init__(self) -> None:
        super().__init__(OfAllInstruments)

    def stream(self, subscription: Subscription) -> Stream:
        return Stream("all", OfAllInstruments)

    def topic(self, subscription: Subscription) -> str:
        return f"all.{subscription.instrument.native}"


def frame(*natives: str, price: str = "1") -> bytes:
    rows = ",".join(f'{{"s":"{native}","p":"{price}","v":"2"}}' for native in natives)
    return f'{{"topic":"all","data":[{rows}]}}'.encode()


@given(st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from(NATIVES), max_size=3))))
def test_a_stream_of_many_instruments_goes_on_until_nobody_wants_it(
    turns: list[tuple[bool, list[str]]],
) -> None:
    codec = Shared()
    wanted: dict[str, None] = {}
    for opened, natives in turns:
        if opened:
            codec.open([SUBSCRIPTIONS[native] for native in natives])
            wanted |= dict.fromkeys(natives)
        else:
            codec.close([SUBSCRIPTIONS[native] for native in natives])
            wanted = {native: None for native in wanted if native not in natives}
        messages = codec.decode(frame(*NATIVES), 1)
        told = [message.topic for message in messages if isinstance(message, Data)]
        assert sorted(told) == sorted(codec.carried("all")) == sorted(f"all.{n}" for n in wanted)
        assert told or isinstance(messages[0], Unrecognised)


def test_a_frame_that_cannot_be_read_is_of_all_topics_that_it_may_bring() -> None:
    codec = Shared()
    codec.open([SUBSCRIPTIONS["BTC"], SUBSCRIPTIONS["XRP"]])
    with pytest.raises(DecodeError) as caught:
        codec.decode(frame("XRP", price="no"), 1)
    assert set(caught.value.topics) == {"all.BTC", "all.XRP"}


class RowsOfAll(SharedRowsReader):
    of_row: ClassVar[Shape] = attrs.evolve(
        LIQUIDATION, usual=['{"topic":"all","data":[{"s":"BTC","p":"1","v":"2"}]}'], rows="data"
    )
    native_at: ClassVar[str] = "s"
    own_topic: ClassVar[str] = "all.{native}"


class RowsShared(Shared):
    def stream(self, subscription: Subscription) -> Stream:
        return Stream("all", RowsOfAll)


@given(
    st.lists(
        st.sampled_from([*NATIVES, None, 5, [], {}, {"s": []}, {"s": "BTC"}]),
        min_size=2,
        max_size=5,
    )
)
def test_a_row_that_cannot_be_read_takes_no_other_away_whosever_it_is(rows: list[Any]) -> None:
    codec = RowsShared()
    wanted = ("BTC", "XRP")
    codec.open([SUBSCRIPTIONS[native] for native in wanted])
    whole = [{"s": row, "p": "1", "v": "2"} if isinstance(row, str) else row for row in rows]
    messages = codec.decode(orjson.dumps({"topic": "all", "data": whole}), 1)
    told = [message.topic for message in messages if isinstance(message, Data)]
    assert told == [f"all.{row}" for row in rows if row in wanted]
    left = [message.topic for message in messages if isinstance(message, LeftOut)]
    named = rows.count({"s": "BTC"})
    nobodys = sum(not isinstance(row, str) for row in rows) - named
    assert left.count("all.BTC") == nobodys + named
    assert left.count("all.XRP") == nobodys
