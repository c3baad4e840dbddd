"""Property 1: whatever bytes arrive, decoding them raises ``DecodeError`` or nothing, in bounds."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from random import Random
from types import UnionType
from typing import Any, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.material import (
    Capture,
    RawNumber,
    captures,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.samples import samples_of
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.rest import HttpResponse, Request
from ccrs_core.emulator import Frame
from ccrs_core.errors import CcrsError, DecodeError
from ccrs_core.model.events import Event

_MESSAGES = get_args(Message)

_BYTES_PER_BYTE = 120
_SPARE_BYTES = 4 * 1024 * 1024
"""Memory that decoding may take: so much for each byte of a frame (an empty object of two bytes
takes 64 and a place in its list), and so much in any case."""
_SECONDS_PER_MEGABYTE = 5.0
_SPARE_SECONDS = 2.0

_ODDITIES: Sequence[Any] = [
    None, True, False, *map(RawNumber, ("0", "-1", "1.5", "1e400", "-0.0", "9" * 400, "1e-400")),
    RawNumber(2**63), RawNumber(2**64), RawNumber(10**30), "", " ", "x", "NaN", "sNaN", "Infinity",
    "-1", "1e999999", "1e-999999", "\u0661", "1" * 400, "1_0", " 1", "\x00", "é\U0001f4a9", [],
    [[]], [["1"]], [["1", "2", "3"]], [[None, None]], {}, {"b": []}, {"zz": {"zz": {}}},
]  # fmt: skip
"""What no exchange means to send in the place of a value."""


class RobustnessProperties:
    """Property 1."""

    @proves(1, against=Against.NOTHING)
    def test_arbitrary_bytes_are_decoded_or_refused(self, subject: Subject) -> None:
        """Decoding arbitrary bytes, texts and JSON raises nothing but ``DecodeError``."""
        codecs = [capture.codec(subject.make()) for capture in captures(subject)]
        values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from(_keys(subject)), inner, max_size=6)
            ),
            max_leaves=12,
        )
        texts = st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
        frames = st.binary(max_size=80) | texts | values.map(lambda v: json.dumps(v).encode())

        def check(frame: bytes, at: int) -> None:
            _survives(codecs[at], frame)

        subject.check(check, frames, st.integers(0, len(codecs) - 1), examples=800)

    @proves(1, against=Against.NOTHING)
    def test_damaged_frames_are_decoded_or_refused(self, subject: Subject) -> None:
        """Decoding frames with bytes cut off, replaced, inserted, removed or doubled raises nothing
        but ``DecodeError``."""
        found = captures(subject)

        def check(seed: int) -> None:
            rng = Random(seed)
            capture = rng.choice(found)
            codec = capture.codec(subject.make())
            for frame in rng.sample(capture.frames, min(6, len(capture.frames))):
                _survives(codec, _damaged(frame, rng))

        subject.check(check, st.integers(0, 2**32 - 1), examples=1500)

    @proves(1, against=Against.NOTHING)
    def test_any_value_of_a_frame_may_be_of_the_wrong_kind(self, subject: Subject) -> None:
        """Decoding frames in which any value is of another type, NaN, huge or nonsense raises
        nothing but ``DecodeError``, and makes no event with such a number."""
        found = [(c, parsed(frame)) for c in captures(subject) for frame in c.frames]
        trees = [(c, tree, list(places(tree))) for c, tree in found if tree is not None]
        if not trees:
            subject.undeclared("JSON frames")

        def check(seed: int) -> None:
            rng = Random(seed)
            capture, tree, where = rng.choice(trees)
            codec = capture.codec(subject.make())
            place, _ = rng.choice(where)
            for oddity in _ODDITIES:
                _survives(codec, spelled(replaced(tree, place, oddity)))
            if isinstance(place[-1] if place else None, str):
                _survives(codec, spelled(_without(tree, place)))

        subject.check(check, st.integers(0, 2**32 - 1), examples=900)

    @proves(1, against=Against.NOTHING, quick=False)
    def test_hostile_frames_take_bounded_time_and_memory(self, subject: Subject) -> None:
        """Frames that are nested deeply, hold huge numbers, duplicate keys or invalid UTF-8, or are
        very large are refused or decoded within bounds of time and memory."""
        rng = Random(subject.seed)
        shapes = [(c, tree) for c in captures(subject) for tree in _shapes(c)]
        codecs = {c: c.codec(subject.make()) for c in captures(subject)}
        frames = [(codec, frame) for codec in codecs.values() for frame in _NONSENSE]
        for _ in range(subject.profile.examples(80) if shapes else 0):
            capture, tree = rng.choice(shapes)
            frames.append((codecs[capture], _hostile(tree, rng)))
        for codec, frame in frames:
            _bounded(partial(_survives, codec, frame), frame)

    @proves(1, against=Against.NOTHING, quick=False)
    def test_damaged_answers_are_read_or_refused(self, subject: Subject) -> None:
        """Reading REST answers, whatever their bytes, raises nothing but ``DecodeError`` or says
        which typed error they stand for."""
        found = list(_answers(subject))
        if not found:
            subject.undeclared("request")

        def damage(rng: Random, request: Request[Any], response: HttpResponse) -> None:
            exchange = subject.make()
            endpoint = exchange.endpoints[type(request)]

            def read(body: bytes) -> None:
                changed = attrs.evolve(response, body=body)
                value = None
                try:
                    error = exchange.error_of(changed)
                    if error is None:
                        value = endpoint.decode(request, changed, RECEIVED_NS, None).value
                except DecodeError:
                    return
                except Exception as failure:
                    raise _advice(
                        failure, f"the answer to {type(request).__name__}", body
                    ) from None
                assert error is None or isinstance(error, CcrsError), f"error_of gives {error!r}"
                _plausible(value, body, type(request).__name__)

            read(_damaged(response.body, rng))
            tree = parsed(response.body)
            if tree is not None:
                place, _ = rng.choice(list(places(tree)))
                for oddity in _ODDITIES:
                    read(spelled(replaced(tree, place, oddity)))

        def check(seed: int) -> None:
            rng = Random(seed)
            damage(rng, *rng.choice(found))

        # Each at least once, however few examples there are.
        for number, (request, response) in enumerate(found):
            damage(Random(number), request, response)
        subject.check(check, st.integers(0, 2**32 - 1), examples=200)

    @proves(1, against=Against.NOTHING, quick=False)
    def test_hostile_answers_take_bounded_time_and_memory(self, subject: Subject) -> None:
        """REST answers that are nested deeply, huge or no text at all are refused or read within
        bounds of time and memory."""
        asked = {type(request): request for request, _ in _answers(subject)}
        if not asked:
            subject.undeclared("request")
        exchange = subject.make()
        for kind, request in asked.items():
            for body in _NONSENSE:
                response = HttpResponse(200, {}, body)

                def read(request: Any = request, response: HttpResponse = response) -> None:
                    endpoint = exchange.endpoints[type(request)]
                    try:
                        if exchange.error_of(response) is None:
                            endpoint.decode(request, response, RECEIVED_NS, None)
                    except DecodeError:
                        return
                    except Exception as failure:
                        what = f"the answer to {type(request).__name__}"
                        raise _advice(failure, what, response.body) from None

                _bounded(read, body)
            assert kind in exchange.endpoints, (
                f"reading damaged answers took {kind.__name__} from Exchange.endpoints"
            )

    @proves(1, against=Against.NOTHING)
    def test_strange_values_name_the_topic_that_they_are_of(self, subject: Subject) -> None:
        """Where a number in a frame of data is none, ``DecodeError.topics`` names the topics of the
        frame, or ``peek`` does: only they are doubted, and the connection goes on."""
        found, rng = False, Random(subject.seed)
        for capture in captures(subject):
            for frame, topics in _shown(subject, capture):
                tree = parsed(frame)
                numbers = [place for place, value in places(tree) if _is_number(value)]
                for place in rng.sample(numbers, min(len(numbers), 8)):
                    strange = spelled(replaced(tree, place, "x"))
                    found |= _names_topics(subject, capture, strange, topics)
        if not found:
            subject.undeclared("JSON frames with numbers")

    @proves(1, against=Against.NOTHING)
    def test_an_unreadable_frame_is_counted_and_survived(self, subject: Subject) -> None:
        """A frame that can't be read is counted, and the connection goes on delivering."""
        case = subject.cases()[0]

        async def scenario(world: World) -> None:
            async with world.client.subscribe(case.interest) as feed:
                await subscribed(feed)
                await settle(1.0)
                before = world.client.status().connections[0]
                for peer in world.venue.peers:
                    peer.put(Frame(b"\xff\xfe no frame of any exchange \x00", text=False))
                await settle(60.0)
                (after,) = world.client.status().connections
                assert after.unreadable == before.unreadable + 1, (
                    f"a frame of nonsense is counted as {after}: decode() must raise DecodeError"
                )
                assert after.epoch == before.epoch, "one unreadable frame ended the connection"
                assert after.data > before.data, "after an unreadable frame nothing is delivered"

        subject.world().run(scenario)


def _shown(subject: Subject, capture: Capture) -> Iterator[tuple[bytes, frozenset[str]]]:
    """A frame of each set of topics and fields that a capture brings, and these topics."""
    codec, seen = capture.codec(subject.make()), set()
    for frame in capture.frames:
        messages = codec.decode(frame, RECEIVED_NS)
        topics = frozenset(m.topic for m in messages if isinstance(m, Data))
        tree = parsed(frame)
        kind = topics, frozenset(str(place[-1]) for place, _ in places(tree) if place)
        if topics and tree is not None and kind not in seen:
            seen.add(kind)
            yield frame, topics


def _is_number(value: Any) -> bool:
    if isinstance(value, RawNumber):
        return True
    return isinstance(value, str) and _SPELLED.fullmatch(value) is not None


_SPELLED = re.compile(r"-?[0-9]+\.[0-9]+")


def _names_topics(subject: Subject, capture: Capture, frame: bytes, topics: frozenset[str]) -> bool:
    """Whether a frame can't be read; then it fails unless its topics are named."""
    codec = capture.codec(subject.make())
    try:
        codec.decode(frame, RECEIVED_NS)
    except DecodeError as error:
        failure = error
    else:
        return False
    told = codec.peek(frame)
    named = set(failure.topics) or ({told[0]} if told else set())
    assert named & topics, (
        f"a strange value makes {failure!r}, which names {sorted(named) or 'no topic'}: give "
        f"DecodeError the topics of the frame ({', '.join(sorted(topics))}), or three such frames "
        f"cost the connection\n  it was: {frame[:500]!r}"
    )
    return True


def _keys(subject: Subject) -> list[str]:
    """The keys that frames have."""
    found: dict[str, None] = {"zz": None}
    for capture in captures(subject):
        for frame in capture.frames:
            for _, value in places(parsed(frame)):
                if isinstance(value, dict):
                    found.update(dict.fromkeys(value))
    return list(found)[:60]


def _survives(codec: Codec, frame: bytes) -> None:
    """Peek and decode; what comes out must be plausible."""
    try:
        codec.peek(frame)
        messages = codec.decode(frame, RECEIVED_NS)
    except DecodeError:
        return
    except Exception as failure:
        raise _advice(failure, "a frame", frame) from None
    for message in messages:
        assert isinstance(message, _MESSAGES), f"decode gives {message!r}, which is no message"
        if isinstance(message, Data):
            assert message.events, f"Data without events from {frame[:300]!r}: give no message"
            for event in message.events:
                assert isinstance(event, Event), f"{event!r} is no event"
                _plausible(event, frame, event.type)


def _plausible(value: Any, source: bytes, where: str) -> None:
    """Every field is of the type that its class states, and no number is NaN or infinite."""
    came = f"\n  it was: {source[:500]!r}"
    if isinstance(value, Decimal):
        assert value.is_finite(), f"{where} is {value}: read it by ccrs_core.wire.decimal{came}"
    elif attrs.has(type(value)):
        kind: Any = type(value)
        for name, kinds in _fields(kind):
            inner = getattr(value, name)
            named = isinstance(inner, Mapping) and Mapping in kinds
            told = isinstance(inner, Exception) and isinstance(inner, kinds)  # whichever error
            assert named or told or type(inner) in kinds, (
                f"{where}.{name} is {inner!r}, no {' or '.join(k.__name__ for k in kinds)}: raise "
                f"DecodeError where a value is of another type{came}"
            )
            _plausible(inner, source, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            _plausible(item, source, f"{where}[{at}]")
    else:
        assert not isinstance(value, float), f"{where} is the float {value}{came}"


@cache
def _fields(kind: type[Any]) -> list[tuple[str, tuple[type, ...]]]:
    """The fields of a class and the types that each may have."""
    found = []
    for field in attrs.fields(attrs.resolve_types(kind)):
        hint: Any = field.type
        union = isinstance(hint, UnionType) or get_origin(hint) is Union
        kinds = get_args(hint) if union else (hint,)
        found.append((field.name, tuple(get_origin(k) or k for k in kinds)))
    return found


def _advice(failure: Exception, what: str, content: bytes) -> AssertionError:
    return AssertionError(
        f"{what} raises {failure!r}: turn what malformed input raises (ccrs_core.wire.MALFORMED) "
        f"into DecodeError\n  it was: {content[:500]!r}"
    )


def _bounded(use: Callable[[], None], content: bytes) -> None:
    """Time is the processor's, of a use of its own: being watched costs many times as much, and
    how busy the machine is says nothing of the plugin."""
    started = time.thread_time()
    use()
    taken = time.thread_time() - started
    limit = _SPARE_SECONDS + _SECONDS_PER_MEGABYTE * len(content) / 1e6
    assert taken < limit, f"{len(content)} bytes such as {content[:80]!r} take {taken:.1f} s"
    tracemalloc.start()
    try:
        use()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = _SPARE_BYTES + _BYTES_PER_BYTE * len(content)
    assert peak < most, f"{len(content)} bytes such as {content[:80]!r} take {peak} bytes of memory"


# --- what to try ----------------------------------------------------------------------------


_DEEP = 50_000
_NONSENSE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"NaN",
    b"0",
    b"\xff\xfe",
    b"\x00" * 1000,
    b"\xef\xbb\xbf{}",
    b"9" * 10_000,
    b"[" * _DEEP,
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP,
    b"[" + b"{}," * 30_000 + b"{}]",
    b"<html><body>502 Bad Gateway</body></html>",
]


def _shapes(capture: Capture) -> list[dict[str, Any]]:
    """One frame of each shape."""
    found: dict[object, dict[str, Any]] = {}
    for frame in capture.frames:
        tree = parsed(frame)
        if isinstance(tree, dict) and tree:
            found.setdefault((*tree, str(next(iter(tree.values())))[:20]), tree)
    return list(found.values())


def _hostile(tree: dict[str, Any], rng: Random) -> bytes:
    """A frame made hostile in one way."""
    text = spelled(tree)
    place, value = rng.choice(list(places(tree))[1:])
    if isinstance(value, dict):
        ways = [
            b" " * 200_000 + text,
            text[:-1] + b',"zz":"' + b"z" * 300_000 + b'"}',
            text[:-1] + b"," + text[1:],  # every key twice
            text.replace(b'":"', b'":"\xff\xc0'),
        ]
        return rng.choice(ways)
    if isinstance(value, list):
        many = value * (10_000 // (len(value) or 1))
        return spelled(replaced(tree, place, rng.choice([many, [[["1"] * 100] * 50] * 5])))
    others: list[Any] = [
        RawNumber("9" * 20_000),
        RawNumber("1e" + "9" * 20),
        "9" * 100_000,
        "1e" + "9" * 18,
        RawNumber("[" * 20_000 + "]" * 20_000),
    ]
    return spelled(replaced(tree, place, rng.choice(others)))


def _damaged(frame: bytes, rng: Random) -> bytes:
    content = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(content))
        match rng.randrange(5):
            case 0:
                del content[at:]
            case 1:
                content[at : at + 1] = rng.randbytes(rng.randint(0, 3))
            case 2:
                content[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                del content[at : at + rng.randint(1, 20)]
            case _:
                content[at:at] = content[at : at + 40]
    return bytes(content)


def _without(tree: Any, place: Any) -> Any:
    """A copy of a value without the field at a place."""
    parent = tree
    for step in place[:-1]:
        parent = parent[step]
    less = {key: value for key, value in parent.items() if key != place[-1]}
    return replaced(tree, place[:-1], less)


def _answers(subject: Subject) -> Iterator[tuple[Request[Any], HttpResponse]]:
    """Questions and good answers to them: the samples', and the emulator's."""
    endpoints = subject.exchange.endpoints
    for sample in samples_of(subject).requests:
        if type(sample.request) in endpoints:
            yield sample.request, sample.response
    line = subject.line() if endpoints else None
    for market in subject.markets if line is not None else ():
        for request in requests_of(subject, subject.instrument(market)):
            assert line is not None
            response = line.http(endpoints[type(request)].encode(request, None))
            if len(response.body) < 20_000:
                yield request, response
