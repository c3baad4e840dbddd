"""The emulator is judged, too: what it says is of the form that the samples show.

An emulator and a codec that were written by one hand share its mistakes: a key, a unit, a number
where the exchange sends text. What the plugin reads of frames and answers must look alike in both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import pytest

from ccrs_core.conformance.themes.declared import declared_subscriptions, wake
from ccrs_core.conformance.workbench.facts import FILE
from ccrs_core.conformance.workbench.forms import Difference, differences, form_of, kind_of, without
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.material import comparable
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.samples import Origin, RequestSample, samples_of
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.codec import Message
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetActivity, HttpResponse, Request
from ccrs_core.emulator import Frame, PingAction
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

_SECONDS = 90.0
"""For which streams are listened to: candles of a minute close meanwhile."""
_RATE = 4.0
_MOST = 120
"""Frames of one channel, which are taken from all of the time."""
_SHOWN = 12
_HARM = (
    "the emulator says it in a form of its own, so that what the plugin reads of the exchange's is "
    "proved by nothing: mend the dialect, or the sample, by the exchange's documents"
)


class LikenessProperties:
    """What the emulator says looks like what the samples show."""

    @proves(2, against=Against.SAMPLES, quick=False)
    def test_the_emulator_streams_what_the_samples_show(self, subject: Subject) -> None:
        """Of each channel, all that the plugin reads of the emulator's frames has the names, the
        kinds of values, the units and the words of the samples' frames."""
        subject.cases()
        emulated, excuses = _emulated(subject), _Excuses(subject, "streams")
        shown, names = _shown(subject), _known(subject)
        for (market, channel), samples in shown.items():
            frames = emulated.data.get((market, channel), [])
            if not frames:
                continue
            form = form_of((each for sample in samples for each in sample.frames), names)
            for found in differences(form, form_of(frames, names), names):
                reads = any(sample.reads(found.place) for sample in samples)
                reads = reads or emulated.reads(market, channel, found.place)
                excuses.tell(f"{market.value} {channel.value}", found, reads)
        excuses.judge()

    @proves(2, against=Against.SAMPLES, quick=False)
    def test_the_emulator_answers_what_the_samples_show(self, subject: Subject) -> None:
        """Of each request, all that the plugin reads of the emulator's answers has the names, the
        kinds of values, the units and the words of the samples' responses."""
        samples = [
            sample
            for sample in samples_of(subject).requests
            if (endpoint := subject.exchange.endpoints.get(type(sample.request)))
            and not endpoint.signed
        ]
        if not samples:
            subject.undeclared("request")
        excuses, line = _Excuses(subject, "answers"), subject.line()
        for market in subject.markets:
            wake(line, subject.instrument(market))
        line.venue.advance(line.venue.now_ns + 30 * NS_PER_SECOND)
        groups: dict[str, list[RequestSample]] = {}
        for sample in samples:
            groups.setdefault(_asks(sample.request), []).append(sample)
        for label, group in groups.items():
            pages = _answers(subject, line, group[0].request)
            if not pages:
                continue
            names = {*_known(subject), *(name for sample in group for name in _named(sample))}
            form = form_of((sample.response.body for sample in group), names)
            said = form_of((response.body for _, response in pages), names)
            endpoint = subject.exchange.endpoints[type(group[0].request)]
            for found in differences(form, said, names):
                reads = any(
                    _reads(endpoint, sample.request, sample.response, sample.cursor, found.place)
                    for sample in group
                ) or any(
                    _reads(endpoint, request, response, None, found.place)
                    for request, response in pages
                )
                excuses.tell(label, found, reads)
        excuses.judge()

    @proves(8, against=Against.SAMPLES, quick=False)
    def test_the_emulator_replies_as_the_samples_do(self, subject: Subject) -> None:
        """Acknowledgements, refusals and pongs of the samples are of kinds that the emulator says,
        it says no others, and fields that they have in common are spelled alike."""
        subject.cases()
        emulated, excuses = _emulated(subject), _Excuses(subject, "replies")
        samples = [
            frame
            for sample in samples_of(subject).streams
            for frame, expected in zip(sample.frames, sample.expected, strict=True)
            if any(each.kind in _REPLIES for each in expected)
        ]
        names = _known(subject)
        shown = {kind for frame in samples if (kind := kind_of(frame))}
        everything = [frame for s in samples_of(subject).streams for frame in s.frames]
        others = {kind for frame in everything if (kind := kind_of(frame))}
        said = {kind for frame in emulated.replies if (kind := kind_of(frame))}
        # What the samples take for nothing is shown as well.
        for kind in shown | (said - others):
            what = Difference(
                f"a message of {', '.join(sorted(kind))}",
                "there" if kind in shown else "missing",
                "there" if kind in said else "missing",
            )
            if kind not in shown & said:
                excuses.tell("kinds", what, True)
                continue
            one = form_of([frame for frame in samples if kind_of(frame) == kind], names)
            other = form_of([f for f in emulated.replies if kind_of(f) == kind], names)
            for found in differences(one, other, names):
                if not _lacking(found):
                    excuses.tell(" ".join(sorted(kind)), found, True)
        excuses.judge()

    @proves(2, against=Against.SAMPLES)
    def test_samples_say_where_they_are_from(self, subject: Subject) -> None:
        """Every sample names the page that it, or its form, is from; what was captured or copied
        also says when. The report tells how many are of the author's making."""
        sources = samples_of(subject).sources
        if not sources:
            subject.undeclared("sample")
        wrong = []
        for each in sources:
            own = _OWN.fullmatch(each.text) is not None
            if not each.pages and not own:
                wrong.append(
                    f"{each.where}: source is {each.text!r}: write the address of the page that "
                    "documents the form of such a message, or 'own making: ' and why no page does"
                )
            dated = re.fullmatch(r"\d{4}-\d\d-\d\d", each.date)
            if (each.origin is not Origin.MADE or each.date) and not dated:
                wrong.append(
                    f"{each.where}: date is {each.date!r}: write the day (2026-01-31) on which "
                    f"what is {each.origin.value} was taken"
                )
        counts = Counter(each.origin for each in sources)
        subject.figures["samples"] = {
            "origin": ", ".join(
                f"{counts[origin]} {_MEANT[origin]}" for origin in Origin if counts[origin]
            ),
            "pages": f"{len({page for each in sources for page in each.pages})} are named",
        }
        if wrong:
            more = f"\n  … and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            shown = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
            pytest.fail(f"nobody can tell whether samples are the exchange's:{shown}{more}")


_MEANT = {
    Origin.CAPTURED: "captured",
    Origin.DOCUMENTED: "printed in documents",
    Origin.MADE: "of the author's making, in the form that the pages show",
}
_OWN = re.compile(r"own making: \S.{7,}")
_REPLIES = frozenset({"Ack", "Refused", "Pong", "Alive", "Reply", "Closing"})


def _lacking(found: Difference) -> bool:
    return "missing" in (found.sample, found.emulator)


class _Excuses:
    """Differences, of which the file of facts may excuse some."""

    def __init__(self, subject: Subject, what: str) -> None:
        self._what = what
        self._known = {
            each.about: each.because
            for each in subject.facts.excuses
            if each.about.startswith(f"{what} ")
        }
        self._used: set[str] = set()
        self._told: list[str] = []
        self._unread = 0
        self._subject = subject

    def tell(self, label: str, found: Difference, reads: bool) -> None:
        """Note a difference; of what the plugin doesn't read, that there is one."""
        about = f"{self._what} {label}: {found.place}"
        if not reads:
            self._unread += 1
        elif about in self._known:
            self._used.add(about)
        else:
            self._told.append(
                f"{about}: {found.sample} in the samples, {found.emulator} in the emulator"
            )

    def judge(self) -> None:
        """Fail where something isn't excused, or an excuse has no use."""
        figures = self._subject.figures.setdefault("the emulator beside the samples", {})
        figures[self._what] = f"{self._unread} differences in what the plugin doesn't read"
        if self._used:
            figures[self._what] += f", {len(self._used)} excused by {FILE}"
        told = self._told + [
            f"{about}: excused in {FILE}, and there is no such difference: remove the excuse"
            for about in self._known
            if about not in self._used
        ]
        if told:
            more = f"\n  … and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            shown = "".join(f"\n  {line}" for line in told[:_SHOWN])
            pytest.fail(
                f"{_HARM}. Where it truly can't be, {FILE} says why: [[excuse]], about = the text "
                f"before the last colon, because = ...:{shown}{more}"
            )


# --- what is read -----------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Frames:
    """Frames in their order, which a fresh codec reads each time."""

    decoder: Callable[[], Callable[[bytes], Sequence[Message]]]
    frames: Sequence[bytes]

    def reads(self, place: str) -> bool:
        """Whether a plugin reads a field: without it the frames say something else."""
        changed = [without(frame, place) for frame in self.frames]
        if changed == list(self.frames):
            return False
        return self._said(self.frames) != self._said(changed)

    def _said(self, frames: Sequence[bytes]) -> list[Any]:
        decode, said = self.decoder(), []
        for frame in frames:
            try:
                said.append(comparable(decode(frame)))
            except (CcrsError, AssertionError):
                said.append(None)  # type: ignore[arg-type]
        return said


def _shown(subject: Subject) -> Mapping[tuple[Market, Channel], list[_Frames]]:
    """The samples' data frames by market and channel."""
    found: dict[tuple[Market, Channel], list[_Frames]] = {}
    for sample in samples_of(subject).streams:
        for topic in dict.fromkeys(sample.topics):
            frames = [
                frame
                for frame, expected in zip(sample.frames, sample.expected, strict=True)
                if any(
                    each.kind in {"Data", "Unchanged"} and each.fields.get("topic") == topic
                    for each in expected
                )
            ]
            for sub, name in zip(sample.subscriptions, sample.topics, strict=True):
                if name == topic and frames:
                    key = sub.instrument.market, sub.channel
                    made = _Frames(lambda s=sample: s.decoder(subject.make()), frames)  # type: ignore[misc]
                    found.setdefault(key, []).append(made)
    return found


def _reads(
    endpoint: Any, request: Request[Any], response: HttpResponse, cursor: str | None, place: str
) -> bool:
    changed = without(response.body, place)
    if changed == response.body:
        return False

    def said(body: bytes) -> Any:
        answer = attrs.evolve(response, body=body)
        try:
            return endpoint.decode(request, answer, RECEIVED_NS, cursor)
        except (CcrsError, AssertionError):
            return None

    return bool(said(response.body) != said(changed))


# --- what the emulator says -------------------------------------------------------------------


_heard: WeakKeyDictionary[Subject, _Emulated] = WeakKeyDictionary()


def _emulated(subject: Subject) -> _Emulated:
    if subject not in _heard:
        _heard[subject] = _Emulated(subject)
    return _heard[subject]


class _Emulated:
    """What the emulator sends of each channel of each market, and what it replies."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.replies: list[bytes] = []
        self.data: dict[tuple[Market, Channel], list[bytes]] = {}
        self._subs: dict[tuple[Market, Channel], list[Subscription]] = {}
        for sub in declared_subscriptions(subject):
            key = sub.instrument.market, sub.channel
            if sub.channel is not Channel.CANDLES or key not in self._subs:
                self._subs.setdefault(key, []).append(sub)
        line = Line(subject.make(), subject.venue(rate=_RATE))
        ears: list[tuple[tuple[Market, Channel], _Ear]] = []
        talkers: list[tuple[_Ear, Subscription]] = []
        for key, subs in self._subs.items():
            for sub in subs:
                ear = _Ear(line.open(line.exchange.route(sub)))
                ear.send(ear.wire.codec.subscribe([sub], "1"))
                ears.append((key, ear))
                talkers.append((ear, sub))
        for _ in range(10):
            line.venue.advance(line.venue.now_ns + round(_SECONDS / 10 * NS_PER_SECOND))
            for _, ear in ears:
                ear.listen()
        for key, ear in ears:
            step = max(1, len(ear.data) // _MOST)
            self.data.setdefault(key, []).extend(ear.data[::step])
        spoken: set[str] = set()
        for ear, sub in talkers:
            if ear.wire.peer.path not in spoken:
                spoken.add(ear.wire.peer.path)
                ear.talk(sub)
        self.replies = [reply for _, ear in ears for reply in ear.replies]

    def reads(self, market: Market, channel: Channel, place: str) -> bool:
        """Whether a plugin reads a field of the emulator's frames of a channel."""
        subject, subs = self._subject, self._subs[market, channel]

        def decoder() -> Callable[[bytes], Sequence[Message]]:
            exchange = subject.make()
            codecs = []
            for sub in subs:
                codec = exchange.codec(exchange.route(sub))
                codec.subscribe([sub], "1")
                codecs.append(codec)

            def decode(frame: bytes) -> list[Message]:
                found: list[Message] = []
                for codec in codecs:
                    found += codec.decode(frame, RECEIVED_NS)
                return found

            return decode

        return _Frames(decoder, self.data[market, channel][:_MOST]).reads(place)


class _Ear:
    """One connection to the emulator, whose replies are told from its data."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.data: list[bytes] = []
        self.replies: list[bytes] = []
        self._answers: set[int] = set()
        peer = wire.peer
        # A greeting comes unasked.
        self._answers |= {id(action) for action in peer.outbox}
        self._kept = list(peer.outbox)
        reply = peer.reply

        def heard(frame: Frame, *, ack: bool = False) -> None:
            before = len(peer.outbox)
            reply(frame, ack=ack)
            self._answers |= {id(action) for action in peer.outbox[before:]}
            self._kept += peer.outbox[before:]

        peer.reply = heard  # type: ignore[method-assign]

    def send(self, frame: str | bytes) -> None:
        self.wire.peer.received(frame, self.wire.line.venue.now_ns)
        self.listen()

    def listen(self) -> None:
        """Take what has come."""
        wire, method = self.wire, self.wire.codec.compression
        for action in wire.peer.take():
            if isinstance(action, Frame):
                payload = action.payload if method is None else inflate(action.payload, method)
                (self.replies if id(action) in self._answers else self.data).append(payload)
            elif isinstance(action, PingAction):
                wire.peer.ponged(action.payload, wire.line.venue.now_ns)

    def talk(self, sub: Subscription) -> None:
        """Ask for all that is answered: a ping, what isn't listed, what is there already."""
        codec = self.wire.codec
        ping = codec.ping("7")
        if ping is not None:
            self.send(ping)
        self.send(codec.subscribe([sub], "8"))
        for native in ("ZZZ", "?!"):
            strange = attrs.evolve(sub.instrument, native=native, symbol="ZZZ/ZZZ")
            self.send(codec.subscribe([attrs.evolve(sub, instrument=strange)], "9"))
        self.send(codec.unsubscribe([sub], "10"))
        notice = self.wire.line.venue.dialect.shutdown_notice(
            self.wire.peer, self.wire.line.venue.now_ns
        )
        if notice is not None:
            self.replies.append(notice.payload)


def _asks(request: Request[Any]) -> str:
    """A question and its market, as a label."""
    name, market = type(request).__name__, request.market
    if isinstance(request, GetActivity):
        name += f" ({request.channel.value})"
    return name if market is None else f"{market.value} {name}"


def _answers(
    subject: Subject, line: Line, like: Request[Any]
) -> list[tuple[Request[Any], HttpResponse]]:
    """The emulator's answers to a question such as this one, with the question to each."""
    found: list[Request[Any]] = []
    for market in subject.markets:
        every = requests_of(subject, subject.instrument(market), 20)
        found += [request for request in every if _asks(request) == _asks(like)]
    if isinstance(like, GetActivity):
        found.append(like)
    pages: list[tuple[Request[Any], HttpResponse]] = []
    for request in found[:1]:
        for page in line.pages(request):
            pages.append((request, page.response))
            if len(pages) > 4:
                break
    return pages


# --- names, which are data --------------------------------------------------------------------


def _of(instrument: Instrument) -> Iterator[str]:
    yield instrument.native
    yield instrument.native.lower()
    for coin in (instrument.base, instrument.quote, instrument.settle):
        if coin:
            yield coin
            yield coin.lower()


def _known(subject: Subject) -> set[str]:
    """Names of the emulator's instruments and coins, and of the samples'."""
    found = {n for listed in subject.instruments.values() for i in listed for n in _of(i)}
    for sample in samples_of(subject).streams:
        found |= {name for i in sample.instruments.values() for name in _of(i)}
    return found


def _named(sample: RequestSample) -> Iterator[str]:
    values = sample.value if isinstance(sample.value, list) else [sample.value]
    for each in values:
        if isinstance(each, Instrument):
            yield from _of(each)
    instrument = getattr(sample.request, "instrument", None)
    if instrument is not None:
        yield from _of(instrument)
