"""Numbers as JSON and careless servers spell them (7): with exponents, negative zeros."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from ccrs_core.conformance.workbench.line import events_of
from ccrs_core.conformance.workbench.material import (
    Capture,
    Place,
    RawNumber,
    captures,
    comparable,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.errors import DecodeError

_FRACTION = re.compile(r"-?\d+\.\d+")
_ZERO = re.compile(r"0(?:\.0+)?")


class ExponentProperties:
    """Of spellings that exchanges use without saying so."""

    @proves(7, against=Against.NOTHING)
    def test_numbers_with_exponents_are_read_exactly_or_refused(self, subject: Subject) -> None:
        """``0.0000001`` spelled ``1E-7``, ``1000.0`` spelled ``1.0000E+3``, and ``0`` spelled
        ``-0``: numbers of JSON have the same value, those in texts the same value or the frame is
        refused; never another value, nor an error that isn't typed."""
        found = [c for c in captures(subject) if any(parsed(f) is not None for f in c.frames)]
        if not found:
            subject.undeclared("JSON frames")
        for capture in found:
            _exponents(subject, capture)


def _exponents(subject: Subject, capture: Capture) -> None:
    fractional = set(_fractional(capture.frames))
    expected = capture.decode(subject.make()) if _readable(capture, subject) else None
    if expected is None:
        return  # a sample of what can't be read
    rng = Random(subject.seed)
    codecs = {kind: capture.codec(subject.make()) for kind in (RawNumber, str)}
    refused = False
    for frame, said in zip(capture.frames, expected, strict=True):
        tree = parsed(frame)
        for kind, codec in codecs.items():
            if kind is str and refused:
                continue  # what builds on a refused frame says something else
            new = frame if tree is None else spelled(_respelled(tree, kind, fractional, rng))
            advice = f"\n  frame:   {frame[:500]!r}\n  changed: {new[:500]!r}"
            try:
                told = codec.decode(new, RECEIVED_NS)
            except DecodeError as error:
                if kind is str or new == frame:
                    refused = True
                    continue
                raise AssertionError(
                    f"a number of JSON with an exponent isn't read ({error}): servers spell small "
                    f"ones so. Read them with ccrs_core.wire{advice}"
                ) from error
            except Exception as error:
                raise AssertionError(
                    f"a number with an exponent, or a negative zero, is answered by {error!r} "
                    f"instead of DecodeError{advice}"
                ) from error
            assert comparable(told) == comparable(said), (
                f"a frame whose numbers have exponents says {events_of(told)[:1]} instead of "
                f"{events_of(said)[:1]}: a price or a size that is wrong by powers of ten{advice}"
            )


def _readable(capture: Capture, subject: Subject) -> bool:
    try:
        capture.decode(subject.make())
    except DecodeError:
        return False
    return True


def _pattern(place: Place) -> tuple[str, ...]:
    """Alike for all rows of a list, not for all columns of a row."""
    *rows, column = map(str, place)
    return (*("#" if step.isdecimal() else step for step in rows), column)


def _fractional(frames: Sequence[bytes]) -> Iterator[tuple[str, ...]]:
    """Places of numbers that have fractions: no counts, ids or times."""
    for frame in frames:
        for place, value in places(parsed(frame)):
            if place and isinstance(value, str) and _FRACTION.fullmatch(value):
                yield _pattern(place)


def _respelled(tree: Any, kind: type[str], fractional: set[tuple[str, ...]], rng: Random) -> Any:
    for place, item in list(places(tree)):
        if type(item) is not kind or not place or _pattern(place) not in fractional:
            continue
        if _FRACTION.fullmatch(item) and rng.random() < 0.7:
            new = f"{Decimal(item):E}"
            if "E" not in new:
                new = f"{new}E+0"
        elif _ZERO.fullmatch(item):
            new = f"-{item}"
        else:
            continue
        tree = replaced(tree, place, kind(new))
    return tree
