"""Frames that list several rows (2): joined or split, they say what single ones say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ccrs_core.conformance.workbench.line import Wire
from ccrs_core.conformance.workbench.material import (
    Place,
    RawNumber,
    chunks,
    comparable,
    parsed,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Codec, Data, LeftOut, Message, Unchanged
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Oddity
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel, Subscription

_STRETCHES: tuple[tuple[bool, float, float], ...] = ((False, 20.0, 3.0), (True, 300.0, 6.0))
"""Of liquidations or of all else: changes a second, and for how long."""
_MOST_FRAMES = 400
_APART = 0.05
_RUNS = 2
"""So many places of each kind are joined."""
_DIGITS = re.compile(r"\d+")
_COLUMNS = 5
"""A list of fewer values is a level of a book, not a row."""


@attrs.frozen(eq=False)
class Shown:
    """A frame that lists rows."""

    number: int
    tree: Any
    place: Place
    rows: list[Any]
    topics: frozenset[str]
    channel: Channel | None
    envelope: str
    """What the frame says beside its rows, without what counts or tells time."""

    @property
    def kind(self) -> tuple[Place, Channel | None]:
        return self.place, self.channel

    def with_rows(self, rows: Sequence[Any]) -> bytes:
        """The frame with other rows in it."""
        return spelled(replaced(self.tree, self.place, list(rows)))


@attrs.frozen(eq=False)
class Stretch:
    """What one connection of a route brought, and the requests by which it came."""

    subject: Subject
    route: Route
    subscriptions: Sequence[Subscription]
    frames: Sequence[bytes]
    about: Sequence[frozenset[str]]
    """The topics of each frame."""

    def codec(self, only: str | None = None) -> Codec:
        """A fresh codec that has made these requests, or those of one topic alone."""
        codec = self.subject.make().codec(self.route)
        wanted = [s for s in self.subscriptions if only in (None, codec.topic(s))]
        by_kind: dict[Any, list[Subscription]] = {}
        for each in wanted:
            by_kind.setdefault(codec.request_kind(each), []).append(each)
        requests = [
            part
            for kind in by_kind.values()
            for part in chunks(kind, self.route.topics_per_request)
        ]
        for number, part in enumerate(requests, start=1):
            codec.subscribe(part, str(number))
        return codec

    def primed(self, before: Sequence[Shown], only: str | None = None) -> Codec:
        """A fresh codec that has read what came of their topics before the last of some frames,
        without these."""
        codec = self.codec(only)
        left_out = {shown.number for shown in before}
        topics = frozenset().union(*(shown.topics for shown in before))
        for number, frame in enumerate(self.frames[: before[-1].number]):
            if number not in left_out and self.about[number] & topics:
                _read(codec, frame)
        return codec


class ListProperties:
    """Of lists in frames."""

    @proves(2, against=Against.NOTHING)
    def test_rows_of_several_frames_in_one_say_the_same(self, subject: Subject) -> None:
        """Where frames list rows, rows of several frames in one, of one instrument or of several
        that are wanted, bring the same events with the same numbers as the frames one by one, and
        those of instruments that aren't wanted bring none. So it is with the rows of one frame in
        several. Rows stand in the order in which the emulator lists those of one frame. ``peek``,
        ``newest`` and ``shortcut`` say of such frames what ``decode`` says."""
        joins = Oddity.SEVERAL_ROWS not in subject.dialect().lacks
        tried = False
        for stretch in _stretches(subject):
            listed = list(_listed(stretch))
            several = list(_several(listed))
            backwards = _newest_first(stretch, several)
            for run in _runs(listed) if joins else ():
                tried = True
                _joined(stretch, run, run[-1].kind in backwards)
            for shown in several:
                tried = True
                _split(stretch, shown, shown.kind in backwards)
        if not tried:
            subject.undeclared("frame that lists rows")


# --- frames with rows -----------------------------------------------------------------------------


def _stretches(subject: Subject) -> Iterator[Stretch]:
    cases = subject.cases()
    for liquidations, rate, seconds in _STRETCHES:
        routes: dict[Route, list[Subscription]] = {}
        for case in cases:
            if (case.channel is Channel.LIQUIDATIONS) is liquidations:
                for instrument in subject.some_instruments(case.market, 2):
                    each = subject.subscription(case.channel, instrument)
                    routes.setdefault(subject.exchange.route(each), []).append(each)
        for route, subscriptions in routes.items():
            line = subject.line(subject.venue(rate=rate))
            wire = line.open(route)
            for part in _requests(wire.codec, subscriptions, route):
                wire.subscribe(*part)
            _unusual_trades(subject, wire, subscriptions)
            wire.run(seconds)
            method = wire.codec.compression
            frames = [f if method is None else inflate(f, method) for f in wire.frames]
            found = Stretch(subject, route, subscriptions, frames[:_MOST_FRAMES], ())
            codec = found.codec()
            about = [_topics(_read(codec, frame)) for frame in found.frames]
            yield attrs.evolve(found, about=about)


def _unusual_trades(subject: Subject, wire: Wire, subscriptions: Sequence[Subscription]) -> None:
    """Trades that hardly ever happen, frame by frame, where trades are heard."""
    venue = wire.line.venue
    for block, rpi in ((True, False), (False, True), (False, False), (True, False)):
        for sub in subscriptions:
            listing = subject.listings.get((sub.instrument.market, sub.instrument.native))
            if sub.channel is Channel.TRADES and listing is not None:
                size = listing.lot * 100
                venue.trade(listing, Side.BUY, size, listing.price, block=block, rpi=rpi)
                wire.run(_APART)


def _requests(
    codec: Codec, wanted: Sequence[Subscription], route: Route
) -> list[Sequence[Subscription]]:
    by_kind: dict[Any, list[Subscription]] = {}
    for each in wanted:
        by_kind.setdefault(codec.request_kind(each), []).append(each)
    return [p for kind in by_kind.values() for p in chunks(kind, route.topics_per_request)]


def _listed(stretch: Stretch) -> Iterator[Shown]:
    """The frames that list rows."""
    codec = stretch.codec()
    for number, frame in enumerate(stretch.frames):
        data = [m for m in _read(codec, frame) if isinstance(m, Data)]
        tree = parsed(frame)
        if not data or not isinstance(tree, dict):
            continue
        events = sum(len(message.events) for message in data)
        topics = frozenset(message.topic for message in data)
        for place, rows in _lists(tree, events):
            channel = data[0].events[0].channel
            envelope = _envelope(replaced(tree, place, []))
            yield Shown(number, tree, place, rows, topics, channel, envelope)


def _lists(value: Any, events: int, path: Place = ()) -> Iterator[tuple[Place, list[Any]]]:
    """The outermost list of rows in a value; one within its only row, where it has a row for each
    event. Lists side by side are the two sides of a book."""
    if isinstance(value, list):
        if not value or not all(map(_is_row, value)):
            return
        yield path, value
        if len(value) == 1:
            for place, rows in _lists(value[0], events, (*path, 0)):
                if len(rows) == events:
                    yield place, rows
    elif isinstance(value, dict):
        found = [(key, item) for key, item in value.items() if isinstance(item, list)]
        if len(found) == 1:
            yield from _lists(found[0][1], events, (*path, found[0][0]))
        elif not found:
            for key, item in value.items():
                if isinstance(item, dict):
                    yield from _lists(item, events, (*path, key))


def _is_row(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) > 1
    scalars = isinstance(value, list) and not any(isinstance(v, list | dict) for v in value)
    return scalars and len(value) >= _COLUMNS


def _envelope(value: Any) -> str:
    """A value without its numbers, in JSON or in texts."""
    if isinstance(value, dict):
        return str(sorted((key, _envelope(item)) for key, item in value.items()))
    if isinstance(value, list):
        return str([_envelope(item) for item in value])
    return "#" if isinstance(value, RawNumber) or str(value).isdecimal() else repr(value)


def _runs(listed: Sequence[Shown]) -> Iterator[Sequence[Shown]]:
    """Frames one after the other whose rows may stand in one: of one topic, or of several where
    nothing beside the rows tells them apart."""
    by_topic: dict[Any, list[Shown]] = {}
    by_envelope: dict[Any, list[Shown]] = {}
    for shown in listed:
        # Of one topic, names in the envelope that hold numbers may differ.
        envelope = _DIGITS.sub("#", shown.envelope)
        by_topic.setdefault((shown.topics, shown.place, envelope), []).append(shown)
        by_envelope.setdefault((shown.envelope, shown.place), []).append(shown)
    for (topics, *_), alike in by_topic.items():
        if len(topics) == 1:
            yield from _some(alike)
    for alike in by_envelope.values():
        if len({shown.topics for shown in alike}) > 1:
            unlike = [b for a, b in zip([None, *alike], alike, strict=False)
                      if a is None or a.topics != b.topics]  # fmt: skip
            yield from _some(unlike)
            yield from _some(alike)


def _some(alike: Sequence[Shown]) -> Iterator[Sequence[Shown]]:
    """Two and three in a row, at a few places."""
    for size in (2, 3):
        starts = range(max(0, len(alike) - size + 1))
        for start in starts[:: max(1, len(starts) // _RUNS)][:_RUNS]:
            yield alike[start : start + size]


def _several(listed: Sequence[Shown]) -> Iterator[Shown]:
    """Some frames of each kind that list several rows."""
    seen: dict[Any, int] = {}
    for shown in listed:
        key = shown.topics, shown.place
        if len(shown.rows) > 1 and seen.get(key, 0) < _RUNS:
            seen[key] = seen.get(key, 0) + 1
            yield shown


# --- what they say --------------------------------------------------------------------------------


def _read(codec: Codec, frame: bytes) -> Sequence[Message]:
    try:
        return codec.decode(frame, RECEIVED_NS)
    except DecodeError:
        return ()


def _topics(messages: Sequence[Message]) -> frozenset[str]:
    return frozenset(m.topic for m in messages if isinstance(m, Data | Unchanged | LeftOut))


def _told(messages: Sequence[Message]) -> dict[str, list[Any]]:
    """Events by topic."""
    found: dict[str, list[Any]] = {}
    for message in messages:
        if isinstance(message, Data):
            found.setdefault(message.topic, []).extend(message.events)
    return found


def _numbers(messages: Sequence[Message]) -> dict[str, int]:
    """The last number of each topic."""
    return {m.topic: m.sequence for m in messages
            if isinstance(m, Data) and isinstance(m.sequence, int)}  # fmt: skip


def _untimed(told: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Events without what frames may say for all of their rows."""
    return {topic: [_plain(event) for event in events] for topic, events in told.items()}


def _plain(event: Any) -> Any:
    names = {field.name for field in attrs.fields(type(event))}
    general: dict[str, Any] = {
        "exchange_time_ns": None,
        "sequence": None,
        "previous_sequence": None,
    }
    return attrs.evolve(event, **{k: v for k, v in general.items() if k in names})


def _newest_first(
    stretch: Stretch, several: Sequence[Shown]
) -> frozenset[tuple[Place, Channel | None]]:
    """The kinds of frames whose rows are read from the last one on. That events come in the
    market's order is judged elsewhere, by these very frames."""
    found: dict[tuple[Place, Channel | None], list[bool]] = {}
    for shown in several:
        due = _told(_read(stretch.primed([shown]), stretch.frames[shown.number]))
        ways = [_told(_apart(stretch, shown, backwards)) == due for backwards in (False, True)]
        if ways[0] != ways[1]:
            found.setdefault(shown.kind, []).append(ways[1])
    return frozenset(kind for kind, backwards in found.items() if all(backwards))


def _apart(stretch: Stretch, shown: Shown, backwards: bool) -> list[Message]:
    """What its rows say in frames of their own, the oldest first."""
    codec = stretch.primed([shown])
    rows = shown.rows[::-1] if backwards else shown.rows
    return [message for row in rows for message in _read(codec, shown.with_rows([row]))]


def _joined(stretch: Stretch, run: Sequence[Shown], backwards: bool) -> None:
    last = run[-1]
    rows = [row for shown in (run[::-1] if backwards else run) for row in shown.rows]
    frame = last.with_rows(rows)
    where = f"\n  the frame: {frame[:700]!r}"
    single = stretch.primed(run)
    one_by_one = [m for shown in run for m in _read(single, stretch.frames[shown.number])]
    codec = stretch.primed(run)
    found = _one(codec, frame, where)
    due, told = _untimed(_told(one_by_one)), _untimed(_told(found))
    assert told == due, (
        f"{len(rows)} rows in one frame bring {_first(told, due)}, though the frames that they "
        "come from bring that one by one. Exchanges put into one frame what happens at once: a "
        f"user would miss events, or get them as another instrument's. Read every row, each for "
        f"itself, in Codec.decode{where}"
    )
    _alike(stretch, run, last, found, where)
    _glanced(stretch, run, frame, found, where)
    topics = frozenset().union(*(shown.topics for shown in run))
    if len(topics) > 1:
        for topic in topics:
            alone = _told(_one(stretch.primed(run, topic), frame, where))
            assert set(alone) <= {topic}, (
                f"who wants {topic} alone is told of {', '.join(sorted(alone))} by a frame that "
                f"lists others, too{where}"
            )
            assert _untimed(alone).get(topic) == due.get(topic), (
                f"who wants {topic} alone is told {_first(_untimed(alone), {topic: due[topic]})} "
                f"by a frame that lists others, too{where}"
            )


def _one(codec: Codec, frame: bytes, where: str) -> Sequence[Message]:
    try:
        return codec.decode(frame, RECEIVED_NS)
    except DecodeError as error:
        raise AssertionError(
            f"a frame with the rows of several isn't read: {error}. Where this exchange never "
            f"sends several rows in one frame, Dialect.lacks must say so (SEVERAL_ROWS){where}"
        ) from None


def _alike(
    stretch: Stretch, run: Sequence[Shown], last: Shown, found: Sequence[Message], where: str
) -> None:
    """Fails unless times and numbers are those of the rows, each in a frame like the last one."""
    codec = stretch.primed(run)
    single = [m for shown in run for m in _read(codec, last.with_rows(shown.rows))]
    due, told = _told(single), _told(found)
    if {topic: len(e) for topic, e in due.items()} != {topic: len(e) for topic, e in told.items()}:
        return  # what stands beside the rows identifies the frame
    assert told == due, (
        f"rows in one frame bring {_first(told, due)}: times and numbers that a row has are its "
        f"own, not the first row's{where}"
    )
    assert _numbers(found) == _numbers(single), (
        f"a frame of several rows has the number {_numbers(found)}, its rows one by one end with "
        f"{_numbers(single)}: who goes on from the first row's number takes what comes next for "
        f"new, or for missing; Data.sequence is that of the last row in it{where}"
    )


def _glanced(
    stretch: Stretch, run: Sequence[Shown], frame: bytes, found: Sequence[Message], where: str
) -> None:
    """Fails unless what is said at a glance of a frame of several rows is what decoding says."""
    codec = stretch.primed(run)
    data = [m for m in found if isinstance(m, Data)]
    glance = codec.peek(frame)
    glances = any(codec.peek(stretch.frames[shown.number]) is not None for shown in run)
    what = f"peek() of a frame of several rows says {glance}, where decode() says "
    if glance is not None:
        assert {m.topic for m in data} == {glance[0]}, f"{what}{[m.topic for m in data]}{where}"
        if isinstance(glance[1], int):
            assert glance[1] == _numbers(found).get(glance[0]), f"{what}{_numbers(found)}{where}"
        else:
            for shown in run:
                other = codec.peek(run[-1].with_rows(shown.rows))
                assert other is None or other[:2] != glance[:2], (
                    f"peek() says of several rows what it says of some of them: {glance}{where}"
                )
    for message in data:
        if message.peek_agrees and isinstance(message.sequence, int) and glances:
            said = message.topic, message.sequence, message.restart
            assert glance == said, f"{what}{said}, independent{where}"
        shortcut = codec.shortcut(message.topic)
        short = None if shortcut is None else shortcut(frame, RECEIVED_NS)
        assert short is None or comparable(short) == comparable(found), (
            f"the short way says {short} of a frame of which decode says {found}{where}"
        )
    earlier = run[-1].with_rows(run[0].rows)
    kept, _ = codec.newest([earlier, frame], {m.topic for m in data})
    assert frame in kept, f"newest() leaves out a frame for one that says less{where}"


def _split(stretch: Stretch, shown: Shown, backwards: bool) -> None:
    apart = _apart(stretch, shown, backwards)
    whole = _read(stretch.primed([shown]), stretch.frames[shown.number])
    due, told = _told(whole), _told(apart)
    assert told == due, (
        f"{len(shown.rows)} frames of one row each bring {_first(told, due)}, though in one frame "
        f"they bring that: {stretch.frames[shown.number][:700]!r}"
    )


def _first(told: dict[str, list[Any]], due: dict[str, list[Any]]) -> str:
    """The first thing in which two differ, in words."""
    for topic in sorted(set(told) | set(due)):
        one, other = told.get(topic, []), due.get(topic, [])
        if one == other:
            continue
        if len(one) != len(other):
            return f"{len(one)} events of {topic} instead of {len(other)}"
        at = next(at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        return f"{one[at]} instead of {other[at]}"
    return "the same"
