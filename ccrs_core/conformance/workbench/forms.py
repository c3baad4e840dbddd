"""The form of JSON: which fields there are, and how their values are spelled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from ccrs_core.conformance.workbench.material import RawNumber, parsed, spelled

_ROWS = 16
"""Lists of no more values, and always so many, may be rows whose places mean something."""
_WORDS = 12
"""So many words may be all that there are."""
_OFTEN = 10
"""Values that were seen so often would have shown all of their words."""
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z]+(?:[_ -][A-Za-z]+)*")
_PARTS = re.compile(r"[_ -]")
_WHOLE = re.compile(r"-?\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_UNITS = {10: "seconds", 13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}
"""Of times of our days, by their digits."""
_DAYS = (1_400_000_000, 2_600_000_000)
"""Seconds since 1970 between which times of our days lie."""


@attrs.define
class Spelling:
    """How the values of one field are spelled, as far as they have been seen."""

    kinds: set[str] = attrs.field(factory=set)
    """Of JSON: null, flag, number, text, object, list."""
    units: set[str] = attrs.field(factory=set)
    """Of times; also whether the values are numbers or texts."""
    words: set[str] = attrs.field(factory=set)
    """Texts of letters alone."""
    times: int = 0
    """How many values have been seen."""

    @property
    def cases(self) -> set[str]:
        """Of the words' letters."""
        return {
            "capitals" if word.isupper() else "small letters" if word.islower() else "both"
            for word in self.words
            if len(word) > 1
        }


Form = dict[str, Spelling]
"""By place: ``data[].price``, ``rows[][3]``, or ``""`` for the whole."""


def form_of(texts: Iterable[bytes], names: Iterable[str] = ()) -> Form:
    """The form of JSON texts taken together. Keys among ``names``, such as symbols, are data."""
    found: Form = {}
    known = frozenset(names)
    for text in texts:
        value = parsed(text)
        if value is not None:
            _add(found, "", value, known)
    return found


def kind_of(text: bytes) -> frozenset[str] | None:
    """What kind of message a JSON text is, by its outermost keys; None where it has none."""
    value = parsed(text)
    return frozenset(value) if isinstance(value, dict) else None


def _add(found: Form, place: str, value: Any, names: frozenset[str]) -> None:
    spelling = found.setdefault(place, Spelling())
    spelling.times += 1
    if value is None:
        spelling.kinds.add("null")
    elif isinstance(value, bool):
        spelling.kinds.add("flag")
        spelling.words.add(str(value).lower())
    elif isinstance(value, RawNumber):
        spelling.kinds.add("number")
        _time(spelling, value, "a number")
    elif isinstance(value, str):
        spelling.kinds.add("text")
        if _WORD.fullmatch(value):
            spelling.words.add(value)
        _time(spelling, value, "text")
    elif isinstance(value, dict):
        spelling.kinds.add("object")
        data = any(key in names or not _KEY.fullmatch(key) for key in value) or _alike(value)
        for key, item in value.items():
            _add(found, f"{place}{'.' if place else ''}{'*' if data else key}", item, names)
    else:
        spelling.kinds.add("list")
        row = 1 < len(value) <= _ROWS and not any(isinstance(item, dict | list) for item in value)
        for at, item in enumerate(value):
            _add(found, f"{place}[{at if row else ''}]", item, names)


def _alike(value: Mapping[str, Any]) -> bool:
    """Whether the keys of an object are names: what they lead to are rows of one kind."""
    rows = [frozenset(item) for item in value.values() if isinstance(item, dict)]
    if len(rows) < 2 or len(rows) < len(value):
        return False
    return all(len(row & rows[0]) * 2 > len(rows[0]) for row in rows if row)


def without(text: bytes, place: str) -> bytes:
    """JSON without what is at a place of a form: keys are left out, values of rows null."""
    value = parsed(text)
    if value is None:
        return text
    steps = re.findall(r"[^.\[\]]+|\[\d*\]", place)
    if not steps or not _leave_out(value, steps):
        return text
    return spelled(value)


def _leave_out(value: Any, steps: Sequence[str]) -> bool:
    """Whether something was left out."""
    step, rest = steps[0], steps[1:]
    found: list[tuple[Any, Any]]
    if isinstance(value, dict) and not step.startswith("["):
        found = [(key, item) for key, item in value.items() if step in (key, "*")]
    elif isinstance(value, list) and step.startswith("["):
        at = step[1:-1]
        found = [(n, item) for n, item in enumerate(value) if not at or n == int(at)]
    else:
        return False
    if rest:
        return sum(_leave_out(item, rest) for _, item in found) > 0
    for key, _ in found:
        if isinstance(value, dict):
            del value[key]
        else:
            value[key] = None
    return bool(found)


def _time(spelling: Spelling, value: str, spelled: str) -> None:
    if not _WHOLE.fullmatch(value):
        return
    unit = _UNITS.get(len(value))
    if unit is not None and _DAYS[0] <= int(value[:10]) <= _DAYS[1]:
        spelling.units.add(f"{unit}, {spelled}")


@attrs.frozen
class Difference:
    """What two accounts of the same messages differ in."""

    place: str
    sample: str
    """What the samples show."""
    emulator: str
    """What the emulator says."""


def differences(samples: Form, emulator: Form, names: Iterable[str] = ()) -> Iterator[Difference]:
    """Fields that one of them lacks, and values that are of another kind, unit or spelling."""
    known = frozenset(names)
    for place in sorted({*samples, *emulator}):
        one, other = samples.get(place), emulator.get(place)
        if one is None or other is None:
            if place.endswith("[]"):
                continue  # one of them shows the list empty
            parent = place.rpartition("[" if place.endswith("]") else ".")[0]
            # Of something that one of them lacks altogether the whole is told.
            if parent in samples and parent in emulator:
                yield Difference(
                    place,
                    "missing" if one is None else "there",
                    "missing" if other is None else "there",
                )
            continue
        yield from _unlike(place, one, other, known)


def _unlike(
    place: str, one: Spelling, other: Spelling, names: frozenset[str]
) -> Iterator[Difference]:
    kinds, others = one.kinds - {"null"}, other.kinds - {"null"}
    if kinds and others and (others - kinds or not kinds & others):
        yield Difference(place, _told(kinds), _told(others))
        return
    if one.units and other.units and not one.units & other.units:
        yield Difference(place, _told(one.units), _told(other.units))
    words, theirs = (
        {word for word in each.words if not names.intersection((word, *_PARTS.split(word)))}
        for each in (one, other)
    )
    if words and theirs:
        if not one.cases & other.cases and one.cases and other.cases:
            yield Difference(
                place,
                f"{_told(one.cases)} ({_told(words)})",
                f"{_told(other.cases)} ({_told(theirs)})",
            )
        elif not words & theirs and 2 <= max(len(words), len(theirs)) <= _WORDS:
            yield Difference(place, _told(words), _told(theirs))
        elif words - theirs and len(words) <= _WORDS and other.times >= _OFTEN:
            yield Difference(place, _told(words - theirs), f"only {_told(theirs)}")


def _told(values: Iterable[str]) -> str:
    found = sorted(values)
    return " or ".join(found[:6])
