"""Short ways say what the general decoder says, whatever is declared and however it is spelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import Data, DecodeError, Message, TopOfBook
from ccrs_core.wire import Best, Count, Shape
from ccrs_core.wire.lanes import MOST_LEARNED, Lane
from ccrs_core.wire.spellings import tokens
from tests.wire.declared import TOPIC, Declared, declarations, subscribed, verdict
from tests.wire.test_copies import FIRST, TOPS

BREAKS = st.sampled_from(
    ["", '"', "}", "]", "[", ",", "\\", "\\u0041", "\x00", "é", "\n", "1", '"x":1,', " ", "\ud800",
     "-", "0", ".", "e5", "null", "true", '"', "\x7f", "\uff11"]
)  # fmt: skip


def broken(draw: st.DrawFn, text: str) -> bytes:
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        end = place + draw(st.integers(0, 3))
        text = text[:place] + draw(BREAKS) + text[end:]
    return text.encode(errors="surrogatepass")


@settings(max_examples=50)
@given(declarations())
def test_a_usual_frame_is_taken_at_once_and_says_what_the_general_decoder_says(
    declared: Declared,
) -> None:
    codec = subscribed(declared.shape)
    shortcut = codec.shortcut(TOPIC)
    assert shortcut is not None, "no pattern follows from the usual frame"
    (text,) = declared.shape.usual
    taken = shortcut(text.encode(), 5)
    assert taken is not None
    assert isinstance(taken[0], Data)
    assert repr(list(taken)) == verdict(codec.read, text.encode())


@settings(max_examples=150)
@given(declarations(), st.data())
def test_frames_in_any_order_say_the_same_on_both_ways(
    declared: Declared, data: st.DataObject
) -> None:
    quick, general = subscribed(declared.shape), subscribed(declared.shape)
    for text in data.draw(st.lists(declared.frames(), max_size=6)):
        for _ in range(2):  # by the second time it may have been learned
            frame = text.encode()
            assert verdict(quick.decode, frame) == verdict(general.read, frame)


@settings(max_examples=50)
@given(declarations(), st.data())
def test_broken_frames_are_judged_alike_on_both_ways(
    declared: Declared, data: st.DataObject
) -> None:
    quick, general = subscribed(declared.shape), subscribed(declared.shape)
    for text in data.draw(st.lists(declared.frames(), max_size=2)):
        verdict(quick.decode, text.encode())

    @st.composite
    def frames(draw: st.DrawFn) -> bytes:
        known = [*declared.shape.usual, draw(declared.frames())]
        return broken(draw, draw(st.sampled_from(known)))

    for frame in data.draw(st.lists(frames(), min_size=1, max_size=5)):
        assert verdict(quick.decode, frame) == verdict(general.read, frame)


@settings(max_examples=50)
@given(declarations(), st.data())
def test_what_stands_under_a_key_without_letters_is_not_taken_for_what_stands_elsewhere(
    declared: Declared, data: st.DataObject
) -> None:
    quick, general = subscribed(declared.shape), subscribed(declared.shape)
    frame, same, other = (data.draw(declared.frames()) for _ in range(3))
    for inner in (frame, same, other):
        for text in (f'{frame[:-1]},"":{inner}}}', f'{same[:-1]},"":{other}}}'):
            broken = text.encode()
            assert verdict(quick.decode, broken) == verdict(general.read, broken)


@pytest.mark.parametrize("nested", ["[]", '{"a":}'])
def test_what_is_nested_deeply_is_read_however_deep_the_callers_stack_is(nested: str) -> None:
    shape = Shape(
        TopOfBook,
        usual=['{"topic":"x.BTC","u":1,"b":[["1","2"]],"a":[["2","2"]]}'],
        fields={"sequence": Count("u"), "bid": Best("b"), "ask": Best("a")},
        numbered_by="sequence",
    )
    begin, end = nested[:-1], nested[-1]

    def below(calls: int, codec: Any, frame: bytes) -> str:
        return below(calls - 1, codec, frame) if calls else verdict(codec.decode, frame)

    for depth in (10, 100, 390, 800):
        inner = begin * depth + "1" + end * depth
        frame = f'{{"topic":"x.BTC","u":2,"b":[],"a":[],"more":{inner}}}'.encode()
        codec = subscribed(shape)
        for calls in (0, 200, 400):
            assert below(calls, codec, frame) == verdict(subscribed(shape).read, frame)


@settings(max_examples=50)
@given(declarations(), st.data())
def test_what_is_peeked_is_what_decoding_yields(declared: Declared, data: st.DataObject) -> None:
    codec: Any = subscribed(declared.shape)
    told = codec.peek(declared.shape.usual[0].encode())
    assert told is not None
    for text in data.draw(st.lists(declared.frames(), max_size=4)):
        peeked = codec.peek(text.encode())
        try:
            found = [m for m in codec.decode(text.encode(), 5) if isinstance(m, Data)]
        except DecodeError:
            continue
        if peeked is None or not found:
            continue
        (message,) = found
        number: Any = message.sequence
        if number is None:
            (event,) = message.events
            number = event.trade_id.encode()  # type: ignore[union-attr]
        assert peeked == (message.topic, number, message.restart)


@settings(max_examples=20)
@given(declarations())
def test_a_frame_of_which_a_part_is_missing_at_either_end_is_not_peeked(declared: Declared) -> None:
    codec: Any = subscribed(declared.shape)
    text = declared.shape.usual[0].encode()
    for place in range(1, len(text)):
        assert codec.peek(text[place:]) is None
        assert codec.peek(text[:place]) is None


@settings(max_examples=20)
@given(declarations(), st.data())
def test_learned_spellings_are_few(declared: Declared, data: st.DataObject) -> None:
    codec: Any = subscribed(declared.shape)
    for text in data.draw(st.lists(declared.frames(), min_size=10, max_size=40)):
        verdict(codec.decode, text.encode())
    (lanes,) = codec._readers.values()
    assert all(len(lane.takers) <= MOST_LEARNED + 1 for lane in lanes)


@settings(max_examples=30)
@given(declarations())
def test_every_value_at_the_border_of_what_it_may_be_is_judged_alike(
    declared: Declared,
) -> None:
    """In the usual spelling, one value after the other."""
    quick, general = subscribed(declared.shape), subscribed(declared.shape)
    (text,) = declared.shape.usual
    leaves = [t for t in tokens(text) if t.kind not in ("object", "list") and t.path != "topic"]
    for leaf in leaves:
        for odd in BORDERS:
            frame = (text[: leaf.start] + odd + text[leaf.end :]).encode()
            assert verdict(quick.decode, frame) == verdict(general.read, frame), frame


BORDERS = [
    '"1\uff11"', '"1.\uff11"', '"17940001230\uff10\uff15"', "1\uff11",
    '""', '"0"', '"0.00"', '"0.0e5"', '"1e5"', '"007"', '"-1"', '"-0"', '".5"', '"5."', '"NaN"',
    '"\uff11"', '"\uff11.5"', '" 1"', '"1_0"', f'"{"1" * 22}"', f'"{"1" * 65}"', f'"0.{"0" * 21}1"',
    f'"{"x" * 64}"', f'"{"x" * 65}"', '"a\\"b"', '"a\\\\b"', '"\x01"', '"é"', '"1794000123005"',
    '"999999999999"', '"5000000000000"', '"01794000123005"', '"Neither"', '"true"', "0", "1", "-1",
    "5.0", "1e3", "007", "999999999999", "5000000000000", "1794000123005", "999999999999999999",
    "1000000000000000000", "1180591620717411303424", "true", "false", "null", "[]", "{}", "\uff11",
    '[["1","0"]]', "",
]  # fmt: skip


def test_a_spelling_is_learned_only_if_it_says_what_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec: Any = subscribed(TOPS["first"])
    other = FIRST.replace('"type"', '"new":1,"type"').encode()
    read = codec.read(other, 5)

    def lying(lane: Any, text: str, start: int) -> Any:
        def take(frame: bytes, start: int, received_time_ns: int) -> Sequence[Message]:
            (message,) = read
            return [attrs.evolve(message, sequence=7)]

        return take

    with monkeypatch.context() as patched:
        patched.setattr(Lane, "_know", lying)
        assert codec.decode(other, 5) == read
        assert codec.decode(other, 5) == read
    assert codec.shortcut(TOPIC)(other, 5) is None
    assert codec.decode(other, 5) == read
    assert codec.shortcut(TOPIC)(other, 5) == read
