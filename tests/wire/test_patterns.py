"""Short ways say what the general decoder says, whatever is declared and however it is spelled."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import Data
from ccrs_core.wire.lanes import MOST_LEARNED
from tests.wire.declared import TOPIC, Declared, declarations, subscribed, verdict

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


@settings(max_examples=50)
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
def test_what_is_peeked_is_what_decoding_yields(declared: Declared, data: st.DataObject) -> None:
    codec: Any = subscribed(declared.shape)
    told = codec.peek(declared.shape.usual[0].encode())
    assert told is not None
    for text in data.draw(st.lists(declared.frames(), max_size=4)):
        peeked = codec.peek(text.encode())
        found = [m for m in codec.decode(text.encode(), 5) if isinstance(m, Data)]
        if peeked is None:
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
