"""Bursts of declared channels are judged as their frames are; copies are told by what counts."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Codec, TopOfBook
from ccrs_core.wire import Best, Count, Ms, Shape
from tests.wire.declared import TOPIC, subscribed

FIELDS = {
    "exchange_time_ns": Ms("T"),
    "sequence": Count("d.u"),
    "bid": Best("d.b"),
    "ask": Best("d.a"),
}
SIDES = '"b":[["100.5","2"]],"a":[["101","3.25"]]'
HEAD = f'{{"topic":"{TOPIC}","T":1794000123005,"type":"snapshot","d":{{'
FIRST = f'{HEAD}"u":18521288,{SIDES}}}}}'
LAST = f'{HEAD}{SIDES},"u":18521288,"seq":79616}}}}'
TOPS = {
    name: Shape(
        TopOfBook,
        usual=[text],
        fields=FIELDS,
        only={"type": "snapshot"},
        numbered_by="sequence",
        restart=1,
    )
    for name, text in {"first": FIRST, "last": LAST}.items()
}


def numbered(text: str, number: int, size: str = "2") -> str:
    return text.replace('"u":18521288', f'"u":{number}').replace('"100.5","2"', f'"100.5","{size}"')


@st.composite
def bursts(draw: st.DrawFn) -> tuple[Shape, list[bytes]]:
    """Frames whose numbers mostly rise, with others, restarts and broken ones among them."""
    shape = draw(st.sampled_from([*TOPS.values()]))
    (text,) = shape.usual
    number = draw(st.sampled_from([2, 98, 18521288]))
    frames = []
    for _ in range(draw(st.integers(1, 12))):
        number += draw(st.sampled_from([1, 1, 1, 1, 0, 7, -3]))
        frame = numbered(text, max(number, 0), draw(st.sampled_from(["2", "12.5", "1234.5678"])))
        match draw(st.integers(0, 30)):
            case 0:
                frame = frame.replace(TOPIC, "x.ETH")
            case 1:
                frame = frame.replace("snapshot", "delta")
            case 2:
                frame = frame[:-1]
            case 3:
                frame, number = numbered(text, 1), 1
            case 4:
                frame = frame.replace('"u":', '"U":')
        frames.append(frame.encode())
    return shape, frames


@given(bursts())
def test_a_burst_is_judged_as_each_of_its_frames(burst: tuple[Shape, list[bytes]]) -> None:
    shape, frames = burst
    codec = subscribed(shape)
    kept, superseded = codec.newest(frames, {TOPIC})
    expected, counted = Codec.newest(codec, frames, {TOPIC})
    if list(kept) != list(expected):
        # Equal numbers are repeats: keeping one of them is enough, and keeps the newest.
        assert kept[-1] == frames[-1]
        assert set(kept) <= set(expected)
    assert len(kept) + sum(superseded.values()) == len(frames)
    assert len(expected) + sum(counted.values()) == len(frames)
    assert list(codec.newest(frames, set())[0]) == frames


@pytest.mark.parametrize("name", TOPS)
def test_a_usual_burst_is_judged_at_once_and_an_unusual_one_is_not(name: str) -> None:
    codec: Any = subscribed(TOPS[name])
    (text,) = TOPS[name].usual
    frames = [numbered(text, 18521288 + n, str(n)).encode() for n in range(50)]
    (judge,) = codec._lane_of(frames[0]).bursts
    assert judge(frames)
    assert codec.newest(frames, {TOPIC}) == (frames[-1:], {TOPIC: 49})
    for strange in (
        numbered(text, 185212880),
        numbered(text, 1852128),
        numbered(text, 18521287),
        text.replace("snapshot", "delta"),
        text.replace(TOPIC, "x.ETH"),
        text[:-1],
    ):
        for place in range(1, 50):
            assert not judge([*frames[:place], strange.encode(), *frames[place:]])
    assert not judge([numbered(text, n).encode() for n in (1, 2, 3)]), "it begins to count anew"
    # As many digits in all of them together, and in order as texts.
    uneven = (18521288, 185212889, 1852129, 18521300)
    assert not judge([numbered(text, n).encode() for n in uneven])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("", ""), (TOPIC, 18521288, False)),
        (('"u":18521288', '"u":1'), (TOPIC, 1, True)),
        (('"u":18521288', '"u":18521288,"u":5'), None),
        (('"u":18521288', '"u":"18521288"'), None),
        (('"u":18521288', '"u":18521288.5'), None),
        (('"u":18521288', f'"u":{"1" * 19}'), None),
        (('"u":18521288', '"v":18521288'), None),
        (("snapshot", "delta"), None),
        ((TOPIC, "x.ETH"), None),
        (("}}", "}"), None),
    ],
)
@pytest.mark.parametrize("name", TOPS)
def test_copies_are_told_by_a_number_that_is_there_once(
    name: str, change: tuple[str, str], told: Any
) -> None:
    (text,) = TOPS[name].usual
    assert subscribed(TOPS[name]).peek(text.replace(*change).encode()) == told


def test_what_is_computed_or_not_numbered_is_never_told_as_a_copy() -> None:
    shape = attrs.evolve(TOPS["first"], numbered_by=None, restart=None)
    assert subscribed(shape).peek(FIRST.encode()) is None
