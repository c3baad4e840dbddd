"""Declared channels: the general decoder and the short ways say the same of every frame (7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from ccrs_core.conformance.workbench.material import (
    Capture,
    captures,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.errors import DecodeError
from ccrs_core.wire.interpreter import frame_reader
from ccrs_core.wire.patterns import always_parsed, taker
from ccrs_core.wire.shapes import Shape
from ccrs_core.wire.spellings import Unspelled
from ccrs_core.wire.table_codec import TableCodec

_FRAMES = 40
"""Frames of each capture that are broken, far from each other."""
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[A-Za-z]")


class ShapeProperties:
    """What is declared once is read in several ways, which agree."""

    @proves(7, against=Against.NOTHING)
    def test_a_shapes_own_usual_frames_go_the_short_way(self, subject: Subject) -> None:
        """Each usual frame of a declared channel (:class:`~ccrs_core.wire.Shape`) is taken by the
        pattern that follows from it, which says of it what the general decoder says."""
        declared = _declared(subject)
        wrong = [
            problem
            for case, codec in declared
            for shape in _shapes(codec, case)
            if not always_parsed(shape)
            for text in shape.usual
            if (problem := _usual(codec, case, shape, text))
        ]
        assert not wrong, "; ".join(wrong)

    @proves(7)
    def test_short_ways_judge_broken_frames_as_the_general_decoder_does(
        self, subject: Subject
    ) -> None:
        """Of frames of the samples and of the emulator, with other digits, with keys left out,
        in another order and twice, with escapes and spaces, a codec of declared channels says the
        same on its short ways (those that it has learned, too) as on the general one."""
        _declared(subject)
        tried = 0
        for capture in captures(subject):
            quick, general = (capture.codec(subject.exchange) for _ in range(2))
            if not isinstance(quick, TableCodec) or not isinstance(general, TableCodec):
                continue
            rng = Random(subject.seed)
            for frame in _with_broken(capture, rng):
                said, expected = _verdict(quick.decode, frame), _verdict(general.read, frame)
                assert said == expected, (
                    f"a short way says {said} of a frame of which the general decoder says "
                    f"{expected}: {frame[:400]!r}"
                )
                tried += 1
        assert tried


def _declared(subject: Subject) -> list[tuple[Case, TableCodec]]:
    codecs = [
        (case, subject.exchange.codec(subject.exchange.route(case.subscription)))
        for case in subject.cases()
    ]
    found = [(case, codec) for case, codec in codecs if isinstance(codec, TableCodec)]
    return found or subject.undeclared("channel by a shape (ccrs_core.wire.TableCodec)")


def _shapes(codec: TableCodec, case: Case) -> Iterator[Shape]:
    stream = codec.stream(case.subscription)
    for reads in (stream.reads, *(reads for _, reads in stream.also)):
        shape = reads if isinstance(reads, Shape) else reads.shape
        if shape is not None:
            yield shape


def _usual(codec: TableCodec, case: Case, shape: Shape, text: str) -> str | None:
    """What is wrong with a usual frame, where anything is."""
    where = f"{case.market.value} {case.channel.value}, usual frame {text[:120]}"
    head = codec.head
    if head is None:
        return None
    topic, start = codec.topic(case.subscription), head.end(text)
    try:
        take = taker(shape, text, start, topic, case.subscription)
        short = take(text.encode(), start, RECEIVED_NS)
    except Unspelled as error:
        return f"{where}: no pattern can be made of it: {error}"
    if short is None:
        return f"{where}: its own pattern doesn't take it"
    said = frame_reader(shape, topic, case.subscription)(orjson.loads(text), RECEIVED_NS)
    if repr([*short]) != repr([*said]):
        return f"{where}: its pattern says {short}, its reader {said}"
    return None


def _verdict(decode: Any, frame: bytes) -> str:
    """All that is said of a frame, with the values of its events read."""
    try:
        return repr([*decode(frame, RECEIVED_NS)])
    except DecodeError:
        return "malformed"


# --- broken frames --------------------------------------------------------------------------


def _with_broken(capture: Capture, rng: Random) -> Iterator[bytes]:
    """The frames of a capture, each with some that are broken after it: the first ones, of which
    spellings are learned, whole."""
    every = max(1, len(capture.frames) // _FRAMES)
    for place, frame in enumerate(capture.frames):
        yield frame
        if place % every == 0:
            yield from _broken(frame, rng)


def _broken(frame: bytes, rng: Random) -> Iterator[bytes]:
    try:
        text = frame.decode()
    except UnicodeDecodeError:
        return
    for _ in range(2):
        yield _exchanged(text, rng, _DIGIT, "0123456789.-e ").encode()
    yield _exchanged(text, rng, _LETTER, "xA\\é").encode(errors="surrogatepass")
    found = [*_LETTER.finditer(text)]
    if found:
        at = rng.choice(found).start()
        yield f"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1 :]}".encode()
    value = parsed(frame)
    if not isinstance(value, dict):
        return
    yield spelled(value, rng)
    objects = [(path, each) for path, each in places(value) if isinstance(each, dict) and each]
    path, chosen = rng.choice(objects)
    key = rng.choice([*chosen])
    yield spelled(replaced(value, path, {k: v for k, v in chosen.items() if k != key}))
    yield spelled(replaced(value, path, {**chosen, key: rng.choice([None, "", "0", [], True])}))
    shuffled = rng.sample([*chosen.items()], len(chosen))
    yield spelled(replaced(value, path, dict(shuffled)))
    name = f'"{key}":'
    for other in (b"1,", b'"1",'):
        yield frame.replace(name.encode(), name.encode() + other + name.encode(), 1)


def _exchanged(text: str, rng: Random, what: re.Pattern[str], others: str) -> str:
    """A text with one sign of a kind exchanged for another."""
    found = [*what.finditer(text)]
    if not found:
        return text
    at = rng.choice(found).start()
    return text[:at] + rng.choice(others) + text[at + 1 :]
