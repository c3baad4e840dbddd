"""How many frames go the codec's short way, and that declared ones are short at all (7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from ccrs_core.conformance.workbench.line import events_of
from ccrs_core.conformance.workbench.material import Capture, captures, comparable
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.contract.codec import Codec, Data
from ccrs_core.contract.compression import inflate
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.recordings.replay import received_frames

_STRETCH, _PATIENCE = 10.0, 60.0
"""Seconds of each channel: alike, so that lively ones count for more; and at most until a frame."""


@attrs.define
class Share:
    """Of how many data frames so many went the short way."""

    declared: bool = False
    taken: int = 0
    frames: int = 0

    def add(self, other: Share) -> None:
        """Count others, too."""
        self.declared |= other.declared
        self.taken += other.taken
        self.frames += other.frames

    @property
    def percent(self) -> str:
        """The share as text."""
        return f"{100 * self.taken / self.frames:.0f} %"


Shares = dict[Channel, Share]


class ShortcutProperties:
    """Speed that is hoped for is measured."""

    @proves(7, quick=False)
    def test_a_shortcut_takes_frames_as_the_exchange_spells_them(self, subject: Subject) -> None:
        """Where a codec has a short way for the usual frames of a topic (``Codec.shortcut``), it
        takes some of those that the exchange sends, and what it says is what ``decode`` says. The
        report tells the share of frames that go the short way, by market: of the emulator's, the
        samples', and those of recordings where some are named."""
        emulated = {market: Shares() for market in subject.channels}
        for case in subject.cases():
            emulated[case.market][case.channel] = _of_case(subject, case)
        sampled: dict[Market, Shares] = {}
        for capture in captures(subject):
            if capture.name.startswith("streams/"):
                _of_sample(subject, capture, sampled)
        recorded: dict[Market, Shares] = {}
        for path in subject.recordings:
            _of_recording(subject, path, recorded)
        kinds = ("the emulator's", emulated), ("the samples'", sampled), ("recorded", recorded)
        for name, found in kinds:
            told = {market.value: _told(shares) for market, shares in found.items() if shares}
            if told:
                subject.figures[f"short way, of {name} data frames"] = told
        never = [
            f"{market.value} {channel.value}: none of {share.frames}"
            for market, shares in emulated.items()
            for channel, share in shares.items()
            if share.declared and share.frames and not share.taken
        ]
        assert not never, (
            "Codec.shortcut() names a short way that takes no frame. Does its pattern have the "
            f"fields in the exchange's order and spelling? {'; '.join(never)}"
        )


def share(codec: Codec, topic: str, frames: Iterable[bytes]) -> Share:
    """How many of a topic's data frames, inflated, go the short way. The codec has subscribed to
    it. Fails where the short way says something else."""
    shortcut = codec.shortcut(topic)
    found = Share(shortcut is not None)
    for frame in frames:
        short = None if shortcut is None else shortcut(frame, RECEIVED_NS)
        try:
            messages = codec.decode(frame, RECEIVED_NS)
        except DecodeError:
            continue  # of a sample of what is malformed, or recorded long ago
        if not any(isinstance(m, Data) and m.topic == topic for m in messages):
            continue
        found.frames += 1
        if short is not None:
            found.taken += 1
            assert comparable(short) == comparable(messages), (
                f"the short way says {short} of a frame of which decode says {messages}: "
                f"{frame[:300]!r}"
            )
    return found


def _of_case(subject: Subject, case: Case) -> Share:
    line = subject.line()
    wire = line.open(subject.exchange.route(case.subscription))
    wire.subscribe(case.subscription)
    waited, heard = 0.0, False
    while not heard and waited < _PATIENCE:
        heard = bool(events_of(wire.run(_STRETCH)))
        waited += _STRETCH
    return share(*_fresh(subject, case.subscription), _inflated(wire.frames, wire.codec))


def _fresh(subject: Subject, subscription: Subscription) -> tuple[Codec, str]:
    codec = subject.exchange.codec(subject.exchange.route(subscription))
    codec.subscribe([subscription], "1")
    return codec, codec.topic(subscription)


def _of_sample(subject: Subject, capture: Capture, shares: dict[Market, Shares]) -> None:
    subscriptions = [each for request in capture.requests for each in request]
    topics = {capture.codec(subject.exchange).topic(each): each for each in subscriptions}
    for topic, subscription in topics.items():
        found = share(capture.codec(subject.exchange), topic, capture.frames)
        if found.frames:
            by_channel = shares.setdefault(subscription.instrument.market, {})
            by_channel.setdefault(subscription.channel, Share()).add(found)


def _of_recording(subject: Subject, path: Path, shares: dict[Market, Shares]) -> None:
    frames = [frame for _, frame in received_frames(path)]
    for subscription in subject.exchange.subscriptions_in(frames, None):
        codec, topic = _fresh(subject, subscription)
        found = share(codec, topic, _inflated(frames, codec))
        if found.frames:
            by_channel = shares.setdefault(subscription.instrument.market, {})
            by_channel.setdefault(subscription.channel, Share()).add(found)


def _inflated(frames: Iterable[bytes], codec: Codec) -> Iterator[bytes]:
    for frame in frames:
        try:
            yield frame if codec.compression is None else inflate(frame, codec.compression)
        except DecodeError:
            continue  # of another stream than the codec's


def _told(shares: Mapping[Channel, Share]) -> str:
    every = Share()
    for each in shares.values():
        every.add(each)
    if not every.frames:
        return "no data frames"
    short = [f"{c.value} {s.percent}" for c, s in shares.items() if s.declared and s.frames]
    other = [c.value for c, s in shares.items() if not s.declared]
    parts = [", ".join(short), f"no short way: {', '.join(other)}" if other else ""]
    detail = "; ".join(filter(None, parts))
    return f"{every.percent} of {every.frames}" + (f" ({detail})" if detail else "")
