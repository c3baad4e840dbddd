"""Properties 2, 4, 5 and 7: frames say what samples state, however spelled, to pure functions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from ccrs_core.conformance.workbench.material import (
    Capture,
    Place,
    RawNumber,
    captures,
    changed,
    comparable,
    has_named_fields,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.purity import impurities
from ccrs_core.conformance.workbench.reading import RECEIVED_NS, differences
from ccrs_core.conformance.workbench.samples import (
    KNOWN_REQUESTS,
    Expected,
    RequestSample,
    StreamSample,
    samples_of,
)
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.codec import Data, Message, Unrecognised
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel

_SHOWN = 12
"""Differences that a failure lists."""

_seeds = st.integers(0, 2**32 - 1)


class DecodingProperties:
    """Properties 2 (the samples' half), 4, 5 and 7."""

    # --- 2 ---

    @proves(2, against=Against.SAMPLES)
    def test_every_sample_frame_says_what_is_expected_of_it(self, subject: Subject) -> None:
        """Every frame of the samples decodes to exactly the messages that are expected of it."""
        if not samples_of(subject).streams:
            subject.cases()
            pytest.fail(
                "there are no sample frames: write samples/streams/NAME.jsonl, one received frame "
                "a line, and samples/streams/NAME.expected.json with what they say"
            )
        wrong = [line for sample in samples_of(subject).streams for line in _wrong(subject, sample)]
        _report(wrong, "the codec reads sample frames otherwise than the samples say")

    @proves(2, against=Against.SAMPLES)
    def test_every_declared_channel_has_a_sample_frame(self, subject: Subject) -> None:
        """Every declared channel of every market is shown by a frame of the samples."""
        subject.cases()
        declared = {(m, c) for m, channels in subject.channels.items() for c in channels}
        shown: set[tuple[Market, Channel]] = set()
        for sample in samples_of(subject).streams:
            for message in itertools.chain.from_iterable(sample.expected):
                for event in message.fields.get("events", ()):
                    shown.add((sample.instruments[event.symbol].market, event.channel))
        missing = [
            f"no frame shows {channel.value} of a {market.value} instrument: add one to a file "
            f"samples/streams/NAME.jsonl (such as streams/{market.value}.jsonl), and its event to "
            "NAME.expected.json beside it, from the exchange's documents"
            for market, channel in sorted(declared - shown)
        ]
        _report(missing, "declared channels without a sample")

    @proves(2, against=Against.SAMPLES)
    def test_every_declared_request_has_a_sample(self, subject: Subject) -> None:
        """Every declared request is shown by a sample of its question, HTTP request and answer."""
        # A plugin's own questions, for a token say, are nobody's but its own.
        kinds = [each for each in subject.exchange.endpoints if each in KNOWN_REQUESTS]
        if not kinds:
            subject.undeclared("request")
        shown = {type(sample.request) for sample in samples_of(subject).requests}
        missing = [
            f"no sample shows {kind.__name__}: write samples/requests/NAME.json (the question, the "
            "HTTP request, the value of the answer) and samples/requests/NAME.body (the response)"
            for kind in kinds
            if kind not in shown
        ]
        _report(missing, "declared requests without a sample")

    @proves(2, against=Against.SAMPLES)
    def test_every_sample_request_is_asked_and_answered_as_expected(self, subject: Subject) -> None:
        """Every question of the samples becomes its HTTP request, and its response the value."""
        if not subject.exchange.endpoints:
            subject.undeclared("request")
        wrong = [
            line for sample in samples_of(subject).requests for line in _answered(subject, sample)
        ]
        _report(wrong, "requests are encoded or answers read otherwise than the samples say")

    # --- 4 ---

    @proves(4, against=Against.NOTHING)
    def test_the_codec_is_pure(self, subject: Subject) -> None:
        """The codec does no I/O, reads no clock and draws nothing at random: the same frames, times
        and requests give the same output."""
        for capture in captures(subject):
            subscriptions = list(itertools.chain.from_iterable(capture.requests))

            def use(capture: Capture = capture, subs: Sequence[Any] = subscriptions) -> list[Any]:
                exchange = subject.make()
                codec = capture.codec(exchange)
                said: list[Any] = [exchange.route(sub) for sub in subs]
                for sub in subs:
                    said += [codec.topic(sub), codec.subscribe([sub], "7")]
                for frame in capture.frames:
                    said += [codec.peek(frame), codec.decode(frame, RECEIVED_NS)]
                said += [codec.unsubscribe([sub], "8") for sub in subs]
                return [*said, codec.ping("9")]

            _is_pure(use, f"the codec, on {capture.name},")

    @proves(4, against=Against.NOTHING)
    def test_requests_are_pure(self, subject: Subject) -> None:
        """Building REST requests and reading their answers does no I/O, reads no clock and draws
        nothing at random."""
        if not subject.exchange.endpoints:
            subject.undeclared("request")
        line = subject.line()
        for market in subject.markets:
            for request in requests_of(subject, subject.instrument(market)):
                endpoint = subject.exchange.endpoints[type(request)]
                response = line.http(endpoint.encode(request, None))

                def use(request: Any = request, response: Any = response) -> list[Any]:
                    exchange = subject.make()
                    endpoint = exchange.endpoints[type(request)]
                    error = exchange.error_of(response)
                    assert error is None, f"the emulator answers {request} with {error!r}"
                    return [
                        endpoint.encode(request, None),
                        endpoint.decode(request, response, RECEIVED_NS, None),
                    ]

                _is_pure(use, type(request).__name__)

    # --- 5 ---

    @proves(5, against=Against.NOTHING)
    def test_unknown_fields_change_no_event(self, subject: Subject) -> None:
        """A field that the exchange adds one day, anywhere in a frame, changes no event."""
        found = captures(subject)
        before = [capture.decode(subject.make()) for capture in found]

        def check(seed: int) -> None:
            rng = Random(seed)
            at = rng.randrange(len(found))
            capture, messages = found[at], before[at]
            codec = capture.codec(subject.make())
            outermost = rng.random() < 0.4
            for frame, expected in zip(capture.frames, messages, strict=True):
                new = _with_unknown_fields(frame, rng, outermost)
                decoded = codec.decode(new, RECEIVED_NS)
                # Keys may be data further in; there the frame may be taken for an unknown one.
                if not outermost and all(isinstance(m, Unrecognised) for m in decoded):
                    return
                assert comparable(decoded) == comparable(expected), (
                    f"unknown fields change what a frame of {capture.name} says: ignore them\n"
                    f"  frame:   {frame[:500]!r}\n  changed: {new[:500]!r}\n"
                    f"  said:    {_shown(expected)}\n  says:    {_shown(decoded)}"
                )

        subject.check(check, _seeds, examples=120)

    @proves(5, against=Against.NOTHING)
    def test_new_values_of_fields_are_never_errors(self, subject: Subject) -> None:
        """A word that the exchange has never used before makes a frame ``Unrecognised``, or is
        ignored: it is no error, and nothing is made of it."""
        found = list(_words(subject).values())
        if not found:
            subject.undeclared("frames with words in them")
        rng = Random(subject.seed)
        rng.shuffle(found)
        chosen = [
            rng.choice(words) for words in found[:_MOST_WORDS] for _ in range(_TRIES_OF_A_WORD)
        ]
        for capture, at, place in chosen:
            codec, twin = capture.codec(subject.make()), capture.codec(subject.make())
            for frame in capture.frames[:at]:
                codec.decode(frame, RECEIVED_NS)
                twin.decode(frame, RECEIVED_NS)
            frame = capture.frames[at]
            new = spelled(replaced(parsed(frame), place, _NEW_WORD))
            before = _events(twin.decode(frame, RECEIVED_NS))
            where = "".join(f"[{step!r}]" for step in place)
            try:
                after = _events(codec.decode(new, RECEIVED_NS))
            except DecodeError as error:
                pytest.fail(
                    f"a new value at {where} of a frame of {capture.name} is an error ({error}): "
                    f"return Unrecognised, or leave the item out\n  frame: {new[:500]!r}"
                )
            for event in after:
                assert event in before or _NEW_WORD in repr(event), (
                    f"a new value at {where} of a frame of {capture.name} is taken for one that is "
                    "known: return Unrecognised, or leave the item out\n"
                    f"  frame: {new[:500]!r}\n  event: {event}"
                )

    @proves(5, against=Against.NOTHING)
    def test_unknown_messages_are_unrecognised(self, subject: Subject) -> None:
        """Messages of a kind that the exchange adds one day are ``Unrecognised`` or bring nothing,
        and disturb nothing."""
        unknown = [
            b"{}",
            b'{"zzUnknown":1}',
            b'{"zzUnknown":{"zz":[1,"2",null,true]},"zzMore":"ZzNew"}',
        ]
        for capture in captures(subject):
            exchange = subject.make()
            if not any(parsed(frame) is not None for frame in capture.frames):
                continue
            codec, twin = capture.codec(exchange), capture.codec(exchange)
            for frame in capture.frames:
                for other in unknown:
                    messages = codec.decode(other, RECEIVED_NS)
                    assert all(isinstance(message, Unrecognised) for message in messages), (
                        f"{other.decode()} says {_shown(messages)}: return Unrecognised for "
                        "messages that the codec doesn't know"
                    )
                assert codec.decode(frame, RECEIVED_NS) == twin.decode(frame, RECEIVED_NS), (
                    f"after an unknown message {frame!r} is read otherwise than without it"
                )

    # --- 7 ---

    @proves(7, against=Against.NOTHING)
    def test_the_order_of_keys_and_white_space_change_no_event(self, subject: Subject) -> None:
        """JSON with its keys in another order, or with white space, says the same, digit by
        digit."""

        def respell(value: Any, rng: Random) -> bytes:
            return spelled(value, rng)

        _respelled(subject, respell, exact=True)

    @proves(7, against=Against.NOTHING)
    def test_the_spelling_of_numbers_changes_no_value(self, subject: Subject) -> None:
        """``1.5``, ``1.50`` and ``"1.50"`` where it was ``"1.5"`` have the same value."""
        fractional = {
            (capture.name, _pattern(place))
            for capture in captures(subject)
            for frame in capture.frames
            for place, value in places(parsed(frame))
            if isinstance(value, RawNumber) and _FRACTION.fullmatch(value)
        }

        def respell(value: Any, rng: Random, name: str) -> bytes:
            for place, item in list(places(value)):
                if not isinstance(item, str) or not place or rng.random() < 0.3:
                    continue
                kind = type(item)
                if _FRACTION.fullmatch(item):
                    value = replaced(value, place, kind(item + "0" * rng.randint(1, 3)))
                elif kind is RawNumber and (name, _pattern(place)) in fractional:
                    # Other frames have fractions here: it is no count and no id.
                    value = replaced(value, place, kind(item + ".0"))
            return spelled(value)

        _respelled(subject, respell, exact=False)


_NEW_WORD = "ZzNew"
_MOST_WORDS = 400
_TRIES_OF_A_WORD = 3
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
_FRACTION = re.compile(r"-?\d+\.\d+")


# --- samples --------------------------------------------------------------------------------


def _wrong(subject: Subject, sample: StreamSample) -> Iterator[str]:
    """What the codec reads otherwise than a sample says."""
    exchange = subject.make()
    codec = exchange.codec(sample.route(exchange))
    for subscription, topic in zip(sample.subscriptions, sample.topics, strict=True):
        found = codec.topic(subscription)
        if found != topic:
            yield f"{sample.file}: the topic of {subscription} is {found!r}, {topic!r} expected"
    decode = sample.decoder(exchange)
    for at, (frame, expected) in enumerate(zip(sample.frames, sample.expected, strict=True)):
        where = sample.where(at)
        try:
            messages = decode(frame)
        except DecodeError as error:
            yield f"{where}: {error}"
            continue
        kinds, wanted = [type(m).__name__ for m in messages], [e.kind for e in expected]
        if kinds != wanted:
            yield f"{where}: {_kinds(wanted)} expected, {_shown(messages)} decoded"
            continue
        for number, (message, want) in enumerate(zip(messages, expected, strict=True)):
            yield from _unequal(message, want, f"{where}: message {number}")


def _unequal(message: Message, want: Expected, where: str) -> Iterator[str]:
    for name, value in want.fields.items():
        yield from differences(value, getattr(message, name), f"{where} ({want.kind}) {name}")


def _kinds(kinds: Sequence[str]) -> str:
    return ", ".join(kinds) or "no message"


def _answered(subject: Subject, sample: RequestSample) -> Iterator[str]:
    """What of a request sample comes out otherwise."""
    exchange, request, want = subject.make(), sample.request, sample.http
    endpoint = exchange.endpoints.get(type(request))
    if endpoint is None:
        yield (
            f"{sample.file}: {subject.name} declares no {type(request).__name__}: declare its "
            "endpoint, or remove the sample"
        )
        return
    http = endpoint.encode(request, sample.cursor)
    for name in ("method", "path", "body"):
        yield from differences(getattr(want, name), getattr(http, name), f"{sample.file}: {name}")
    # Servers read parameters by their names.
    yield from differences(sorted(want.query), sorted(http.query), f"{sample.file}: query")
    error = exchange.error_of(sample.response)
    if error is not None:
        yield f"{sample.file}: error_of takes the response for {error!r}"
        return
    try:
        answer = endpoint.decode(request, sample.response, RECEIVED_NS, sample.cursor)
    except DecodeError as failure:
        yield f"{sample.file}: {failure}"
        return
    yield from differences(sample.value, answer.value, f"{sample.file}: value")
    yield from differences(sample.next_cursor, answer.cursor, f"{sample.file}: next_cursor")


def _report(lines: Sequence[str], what: str) -> None:
    if lines:
        more = f"\n… and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        pytest.fail(f"{what}:\n" + "\n".join(lines[:_SHOWN]) + more, pytrace=False)


# --- purity ---------------------------------------------------------------------------------


def _is_pure(use: Callable[[], list[Any]], what: str) -> None:
    first = use()  # imports may happen now
    second, found = impurities(use)
    assert not found, (
        f"{what} calls {', '.join(sorted(found))}: the core hands in the time, and does all I/O; "
        "nothing may depend on chance"
    )
    assert first == second, (
        f"{what} gives another output for the same input:\n"
        + next(f"  {a}\n  {b}" for a, b in zip(first, second, strict=True) if a != b)[:2000]
    )


# --- other spellings ------------------------------------------------------------------------


def _with_unknown_fields(frame: bytes, rng: Random, outermost: bool) -> bytes:
    value = parsed(frame)
    if value is None:
        return frame
    unknown: list[Any] = [
        None,
        True,
        RawNumber("12345"),
        "ZzNew",
        [],
        {"zzInner": RawNumber("0.1")},
    ]

    def add(item: Any) -> Any:
        if not has_named_fields(item):
            return item
        more = {"zzUnknownField": rng.choice(unknown)}
        return {**more, **item} if rng.random() < 0.5 else {**item, **more}

    return spelled(add(value) if outermost else changed(value, add))


def _words(subject: Subject) -> dict[object, list[tuple[Capture, int, Place]]]:
    """Where frames have a word for a value: the frame's number and the place in it, for each word
    of each kind of place in each kind of frame."""
    words: dict[object, list[tuple[Capture, int, Place]]] = {}
    for capture in captures(subject):
        said = capture.decode(subject.make())
        for at, (frame, messages) in enumerate(zip(capture.frames, said, strict=True)):
            kinds = tuple(map(_kind, messages))
            for place, value in places(parsed(frame)):
                if type(value) is str and place and _WORD.fullmatch(value):
                    key = (capture.route, kinds, _pattern(place), value)
                    words.setdefault(key, []).append((capture, at, place))
    return words


def _kind(message: Message) -> tuple[object, ...]:
    first = message.events[0] if isinstance(message, Data) else message
    return type(first), getattr(first, "snapshot", None)


def _respelled(subject: Subject, respell: Callable[..., bytes], *, exact: bool) -> None:
    found = [c for c in captures(subject) if any(parsed(f) is not None for f in c.frames)]
    if not found:
        subject.undeclared("JSON frames")
    before = [capture.decode(subject.make()) for capture in found]

    def check(seed: int) -> None:
        rng = Random(seed)
        at = rng.randrange(len(found))
        capture, messages = found[at], before[at]
        codec, twin = capture.codec(subject.make()), capture.codec(subject.make())
        for frame, expected in zip(capture.frames, messages, strict=True):
            value = parsed(frame)
            arguments = (value, rng) if exact else (value, rng, capture.name)
            new = frame if value is None else respell(*arguments)
            told, copy = twin.peek(frame), codec.peek(new)
            decoded = codec.decode(new, RECEIVED_NS)
            advice = (
                f"another spelling of a frame of {capture.name} says something else\n"
                f"  frame:   {frame[:500]!r}\n  changed: {new[:500]!r}\n"
            )
            said = f"  said:    {_shown(expected)}\n  says:    {_shown(decoded)}"
            assert comparable(decoded) == comparable(expected), advice + said
            if exact:
                same = str(comparable(decoded)) == str(comparable(expected))
                assert same, "digits are lost: " + advice + said
            if copy is not None and told is not None and type(told[1]) is int:
                assert copy == told, f"peek() {advice}  said:    {told}\n  says:    {copy}"
            twin.decode(frame, RECEIVED_NS)

    subject.check(check, _seeds, examples=120)


def _pattern(place: Place) -> tuple[str, ...]:
    return tuple("#" if isinstance(step, int) else step for step in place)


def _events(messages: Sequence[Message]) -> list[Any]:
    return [event for m in messages if isinstance(m, Data) for event in m.events]


def _shown(messages: Sequence[Message]) -> str:
    text = ", ".join(map(str, messages)) or "nothing"
    return text if len(text) < 800 else text[:800] + "…"
