"""One long connection on which everything is ever new: what the codec keeps has a bound (65)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random

import attrs

from ccrs_core.conformance.workbench.coined import coin, renamed
from ccrs_core.conformance.workbench.line import Wire
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reach import containers, growing
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Codec, Data
from ccrs_core.contract.compression import inflate
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.transport.memory import START_NS

_SYMBOLS = 150
"""Instruments that come and go between two looks."""
_VALUES = 3000
"""Frames of each channel between two looks."""
_BOUND = 4500
"""Of a memory of recent ids or numbers: what is longer and grows is none."""
_FEW = 40
"""Frames of a channel that are varied."""
_RECORDED = 20.0
_LOOKED_AT = 400
_TEXT = re.compile(rb'"[^"\\]*[A-Za-z][^"\\]*"|\d+')
_DATE = re.compile(rb"\d{4}-\d\d-\d\dT")
_LONG = 16
"""Texts of so many characters are ids."""


_SIZED = frozenset({Channel.BOOK, Channel.TOP_OF_BOOK, Channel.TRADES})
"""Channels that are read otherwise in other markets, where sizes are contracts."""


class MemoryProperties:
    """What a codec keeps of what it has read."""

    @proves(65, against=Against.NOTHING, quick=False)
    def test_a_codec_keeps_nothing_of_symbols_that_are_gone(self, subject: Subject) -> None:
        """Hundreds of instruments are subscribed to, heard and unsubscribed from on one connection:
        no table of the codec grows with them."""
        for market, subs in _by_market(subject).items():
            for route in {subject.exchange.route(sub) for sub in subs}:
                sharing = [sub for sub in subs if subject.exchange.route(sub) == route]
                codec = subject.make().codec(route)
                frames = {sub: _frames(subject, sub, 2)[-2:] for sub in sharing}
                turns = iter(range(10**9))
                sizes = []
                for _ in range(3):
                    for _ in range(_SYMBOLS):
                        _comes_and_goes(codec, frames, next(turns))
                    sizes.append(containers(codec))
                _flat(
                    growing(sizes, _SYMBOLS - 5),
                    f"{_SYMBOLS} more {market.value} instruments have come and gone on one "
                    "connection; Codec.unsubscribe must forget all that it knows of a topic",
                )

    @proves(65, against=Against.NOTHING, quick=False)
    def test_a_codec_keeps_a_bounded_part_of_what_it_reads(self, subject: Subject) -> None:
        """Thousands of frames, whose prices, sizes, times and ids are all new, leave no table of
        the codec that grows with them."""
        for case in subject.cases():
            if case.market is not next(iter(subject.channels)) and case.channel not in _SIZED:
                continue
            sub = case.subscription
            codec = subject.make().codec(subject.exchange.route(sub))
            codec.subscribe([sub], "1")
            frames, rng = _frames(subject, sub, _FEW), Random(subject.seed)
            if not frames:
                continue
            sizes = []
            for _ in range(3):
                for number in range(_VALUES):
                    frame = frames[number % len(frames)]
                    _read(codec, _new_values(frame, sub.instrument.base, rng))
                sizes.append(containers(codec))
            found = growing(sizes, _VALUES // 10)
            _flat(
                {path: lengths for path, lengths in found.items() if lengths[-1] > _BOUND},
                f"{_VALUES} more frames of {sub} with other values, times and ids were read; "
                "what a codec keeps to recognise repeats, or to spare itself work, needs a bound",
            )


def _by_market(subject: Subject) -> dict[Market, list[Subscription]]:
    found: dict[Market, list[Subscription]] = {}
    for case in subject.cases():
        found.setdefault(case.market, []).append(case.subscription)
    return found


def _frames(subject: Subject, sub: Subscription, most: int) -> list[bytes]:
    """Some data frames of a subscription, as the exchange sends them."""
    line = subject.line(subject.venue(rate=50.0))
    wire = line.open(line.exchange.route(sub))
    wire.subscribe(sub)
    for seconds in (2.0, _RECORDED):
        wire.run(seconds)
        data = [
            frame
            for frame in (_plain(wire, each) for each in wire.frames[-_LOOKED_AT:])
            if any(isinstance(m, Data) for m in wire.codec.decode(frame, START_NS))
        ]
        if len(data) >= most:
            break
    return data[-most:]


def _plain(wire: Wire, frame: bytes) -> bytes:
    how = wire.codec.compression
    return frame if how is None else inflate(frame, how)


def _comes_and_goes(
    codec: Codec, frames: Mapping[Subscription, Sequence[bytes]], number: int
) -> None:
    """An instrument that nobody has heard of is subscribed to, heard, and given up."""
    base = coin(number)
    subs = [attrs.evolve(sub, instrument=renamed(sub.instrument, base)) for sub in frames]
    for at, sub in enumerate(subs):
        codec.subscribe([sub], str(8 * number + at + 1))
    for sub, found in frames.items():
        for frame in found:
            _read(codec, _respelled(frame, sub.instrument.base, base))
    for at, sub in enumerate(subs):
        codec.unsubscribe([sub], str(8 * number + at + 1))


def _respelled(frame: bytes, old: str, new: str) -> bytes:
    text = frame.decode("utf-8", "surrogateescape")
    for spelled, instead in ((old, new), (old.lower(), new.lower())):
        text = text.replace(spelled, instead)
    return text.encode("utf-8", "surrogateescape")


def _new_values(frame: bytes, base: str, rng: Random) -> bytes:
    """A frame with other digits in its numbers and ids; names keep theirs."""
    names = base.encode(), base.lower().encode()

    def other(found: re.Match[bytes]) -> bytes:
        text = found[0]
        if text[:1] == b'"' and (
            len(text) < _LONG or _DATE.search(text) or any(name in text for name in names)
        ):
            return text
        # Times stay times of this century.
        kept = 4 if text.isdigit() and len(text) > 9 else 0
        return text[:kept] + b"".join(
            b"%d" % rng.randrange(1, 10) if 48 < byte < 58 else bytes((byte,))
            for byte in text[kept:]
        )

    return _TEXT.sub(other, frame)


def _read(codec: Codec, frame: bytes) -> None:
    with suppress(DecodeError):
        codec.peek(frame)
        codec.decode(frame, START_NS)


def _flat(found: dict[str, list[int]], after: str) -> None:
    told = "; ".join(f"{path} holds {' then '.join(map(str, n))}" for path, n in found.items())
    assert not found, f"what hangs on a codec grows without end: {told}, after {after}"
