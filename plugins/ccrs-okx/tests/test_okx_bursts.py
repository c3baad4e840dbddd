"""Judging a burst of frames as a whole says what judging each of them says."""

from __future__ import annotations

from typing import Any

from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Subscription

TOPIC = "bbo-tbt:BTC-USDT"
REPLACEABLE = {TOPIC}
HEAD = b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"}'


def top(number: int, size: str = "0.075") -> bytes:
    text = (
        f',"data":[{{"asks":[["64350.2","{size}","0","13"]],"bids":[["64350.1","1.250","0","2"]],'
        f'"ts":"1794000123005","seqId":{number}}}]}}'
    )
    return HEAD + text.encode()


def codec() -> OkxCodec:
    instrument = instrument_of("BTC-USDT")
    assert instrument is not None
    made = OkxCodec()
    channels = (Channel.TOP_OF_BOOK, Channel.TRADES)
    made.subscribe([Subscription(channel, instrument) for channel in channels], "1")
    return made


@st.composite
def bursts(draw: st.DrawFn) -> list[bytes]:
    """Frames whose numbers mostly rise, with others and broken ones among them."""
    number = draw(st.sampled_from([2, 98, 90123456789]))
    frames = []
    for _ in range(draw(st.integers(1, 12))):
        number += draw(st.sampled_from([1, 1, 1, 1, 0, 7, -3]))
        frame = top(max(number, 0), draw(st.sampled_from(["0.075", "12.5", "1234.5678"])))
        kind = draw(st.integers(0, 40))
        if kind == 0:
            frame = frame.replace(b"bbo-tbt", b"trades-all")
        elif kind == 1:
            frame = frame[:-1]
        elif kind == 2:
            frame = frame.replace(b"BTC-USDT", b"BTC-USDC")
        elif kind == 3:
            frame = b"pong"
        frames.append(frame)
    return frames


@given(bursts())
def test_a_burst_as_a_whole_is_judged_as_each_of_its_frames(frames: list[bytes]) -> None:
    quick = codec()
    kept, superseded = quick.newest(frames, REPLACEABLE)
    expected, counted = Codec.newest(quick, frames, REPLACEABLE)
    if list(kept) != list(expected):
        # Equal numbers are repeats: keeping one of them is enough, and keeps the newest.
        assert kept[-1] == frames[-1]
        assert set(kept) <= set(expected)
    assert len(kept) + sum(superseded.values()) == len(frames)
    assert len(expected) + sum(counted.values()) == len(frames)
    assert list(quick.newest(frames, set())[0]) == frames


def as_a_whole(frames: list[bytes]) -> bool:
    """Whether a burst is judged without a glance at each of its frames."""
    made: Any = codec()
    made.peek = None  # whoever asks, fails
    try:
        return bool(made.newest(frames, REPLACEABLE) == (frames[-1:], {TOPIC: len(frames) - 1}))
    except TypeError:
        return False


def test_a_usual_burst_is_judged_as_a_whole() -> None:
    frames = [top(90123456789 + n) for n in range(50)]
    assert as_a_whole(frames)
    for place in range(50):
        burst = [*frames[:place], top(90123456788), *frames[place:]]
        assert as_a_whole(burst) is (place == 0)
    for place in range(51):
        assert not as_a_whole([*frames[:place], top(901234567890), *frames[place:]])
        assert not as_a_whole([*frames[:place], top(90123456700)[:-1], *frames[place:]])


def test_after_unsubscribing_nothing_is_left_out() -> None:
    made, instrument = codec(), instrument_of("BTC-USDT")
    assert instrument is not None
    made.unsubscribe([Subscription(Channel.TOP_OF_BOOK, instrument)], "2")
    frames = [top(5 + n) for n in range(4)]
    assert made.newest(frames, REPLACEABLE) == (frames, {})
