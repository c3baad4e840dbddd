"""Copies told and bursts judged without decoding, by a shape: for racing and conflation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter

import attrs

from ccrs_core.wire.kinds import NEEDED, By, Choice, Count, Digits, Kind, Ms, Text, paths_of
from ccrs_core.wire.shapes import ROWS, Shape
from ccrs_core.wire.spellings import Token, Unspelled, tokens

Peek = Callable[[bytes], tuple[str, int | bytes, bool] | None]
"""See :meth:`~ccrs_core.Codec.peek`."""
Burst = Callable[[Sequence[bytes]], bool]
"""Whether frames are all of one topic, whole, spelled alike, and have numbers that don't
fall. False where that can't be told in a cheap way."""

_LONGEST_IDENTITY = 512
_MOST_DIGITS = 18


# --- copies ---------------------------------------------------------------------------------


def peek_of(shape: Shape, topic: str) -> Peek | None:
    """How to look at a topic's frames; None where they must be decoded.

    A key that comes twice is none: it might be the wrong one. What must stand in a frame for it to
    be an event must be there, spelled compactly; and it must end as usual frames end.
    """
    if shape.told_apart_by == ROWS:
        return _by_rows(shape, topic)
    by = shape.numbered_by if isinstance(shape.numbered_by, str) else shape.told_apart_by
    kind = None if by is None else shape.kind(by)
    if kind is None or not shape.usual:
        return None
    path, _ = paths_of(kind)[0]
    leaf = path.rpartition(".")[2]
    if leaf.isdigit():
        return None
    key, ending, known = f'"{leaf}":'.encode(), _ending(shape, path), _needed(shape)
    musts = tuple(text for text, *others in known if not others)
    others = tuple(texts for texts in known if len(texts) > 1)
    width, value = len(key), _value_of(kind)
    numbered, first = shape.numbered_by is not None, shape.restart

    def peek(frame: bytes) -> tuple[str, int | bytes, bool] | None:
        place = frame.rfind(key)
        if place < 0 or frame.find(key, 0, place) >= 0 or not frame.endswith(ending):
            return None
        digits = value(frame, place + width)
        if digits is None:
            return None
        for text in musts:
            if text not in frame:
                return None
        for texts in others:
            for text in texts:
                if text in frame:
                    break
            else:
                return None
        if numbered:
            number = int(digits)
            return topic, number, number == first
        return topic, digits, False

    return peek


@lru_cache(maxsize=256)
def _value_of(kind: Kind) -> Callable[[bytes, int], bytes | None]:
    """What tells the digits, or the text, that begin at a place in a frame."""
    match kind:
        case Count() | Digits():
            return _digits
        case Ms():
            told = re.compile(rb'"?(\d{1,18})"?[,}]').match
        case Text():
            told = re.compile(rb'"([^"\\]{1,64})"[,}]').match
        case _:
            raise TypeError(f"{kind} tells no frames apart")

    def value(frame: bytes, place: int) -> bytes | None:
        found = told(frame, place)
        return None if found is None else found[1]

    return value


def _digits(frame: bytes, place: int) -> bytes | None:
    end = frame.find(b",", place)
    digits = frame[place:end]
    if end < 0 or not digits.isdigit():
        digits, stop, _ = frame[place : place + _MOST_DIGITS + 1].partition(b"}")
        if not stop or not digits.isdigit():
            return None
    return digits if len(digits) <= _MOST_DIGITS else None


@lru_cache(maxsize=256)
def _needed(shape: Shape) -> tuple[tuple[bytes, ...], ...]:
    """For each member that must say something known, all that it may say."""
    found = [((path, (value,))) for path, value in shape.only]
    found += [
        (kind.path, tuple(key for key, _ in kind.table))
        for kind in _each(kind for _, kind in shape.fields)
        if isinstance(kind, Choice) and kind.absent is NEEDED and not kind.of_flags
    ]
    texts = []
    for path, values in found:
        leaf = path.rpartition(".")[2].removeprefix("/")
        spelled = (f'"{v}"' if isinstance(v, str) else str(v).lower() for v in values)
        texts.append(tuple(f'"{leaf}":{value}'.encode() for value in spelled))
    return tuple(texts)


def _each(kinds: Iterable[Kind]) -> Iterator[Kind]:
    for kind in kinds:
        yield from _each(kind.arguments) if isinstance(kind, By) else [kind]


@lru_cache(maxsize=256)
def _ending(shape: Shape, path: str) -> bytes:
    """What closes the usual frames, of what a path leads through."""
    parts = [*([] if shape.rows is None else [*shape.rows.split("."), "0"]), *path.split(".")]
    closing = "".join("]" if part.isdigit() else "}" for part in reversed(parts))
    while not all(text.endswith(closing) for text in shape.usual):
        closing = closing[1:]
    return closing.encode()


def _by_rows(shape: Shape, topic: str) -> Peek:
    """Rows are told by their bytes: the numbers and times around them may repeat, or differ."""
    key = f'"{(shape.rows or "").rpartition(".")[2]}":['.encode()

    def peek(frame: bytes) -> tuple[str, int | bytes, bool] | None:
        start = frame.find(key) + len(key)
        end = frame.find(b"]", start)
        rows = frame[start:end]
        if start < len(key) or end < 0 or not rows or b"[" in rows or frame[-1] != 125:
            return None
        if len(rows) > _LONGEST_IDENTITY:
            rows = hashlib.blake2b(rows, digest_size=16).digest()
        return topic, rows, False

    return peek


# --- bursts ---------------------------------------------------------------------------------

_TIMES = re.compile(r"[1-4]\d{12}").fullmatch
_TELLING = re.compile(rb"\d{1,18}[,}\]]").match


def burst_of(shape: Shape, text: str, start: int, head: bytes) -> Burst | None:
    """How to judge bursts of frames that begin with ``head`` and go on as ``text`` does from
    character ``start`` on; None where each must be looked at.

    Looks only where things stand: as far from the head, or from the end, as in the last frame.
    """
    plan = _plan(shape, text, start)
    return None if plan is None else _judge(plan, head, shape.restart or -1)


@attrs.frozen
class _Plan:
    """What must be alike in all frames of a burst, and whether it is as far from the head."""

    number: tuple[bytes, bool]
    """The key of the number."""
    literals: tuple[tuple[bytes, bool], ...]
    ending: bytes


@lru_cache(maxsize=256)
def _plan(shape: Shape, text: str, start: int) -> _Plan | None:
    if not shape.whole or not isinstance(shape.numbered_by, str):
        return None
    try:
        leaves = [t for t in tokens(text) if t.kind not in ("object", "list") and t.start >= start]
    except Unspelled:
        return None
    prefix = "" if shape.rows is None else f"{shape.rows}.0."
    (path, _), *_ = paths_of(shape.kind(shape.numbered_by) or Kind())
    known = dict(shape.only)
    number, literals = None, []
    for place, leaf in enumerate(leaves):
        ahead = all(_stays(text, other, known) for other in leaves[:place])
        if not ahead and not all(_stays(text, other, known) for other in leaves[place + 1 :]):
            continue
        name = f'"{leaf.path.rpartition(".")[2]}":'
        if leaf.path == prefix + path and leaf.kind == "number":
            number = name.encode(), ahead
        elif leaf.path in known:
            literals.append(((name + text[leaf.start : leaf.end]).encode(), ahead))
    if number is None or len(literals) != len(known) or re.search(rb"\d", number[0]):
        return None
    return _Plan(number, tuple(literals), _ending(shape, path))


def _stays(text: str, leaf: Token, known: dict[str, object]) -> bool:
    """Whether a value has the same length in most frames that are spelled alike: numbers have,
    until they have another digit."""
    if leaf.path in known or leaf.kind == "number":
        return True
    return _TIMES(text[leaf.start : leaf.end].strip('"')) is not None


def _judge(plan: _Plan, head: bytes, restart: int) -> Burst:
    (key, ahead), literals, ending = plan.number, plan.literals, plan.ending

    def judge(frames: Sequence[bytes]) -> bool:
        last = frames[-1]
        size = len(last)

        def column(start: int, end: int, ahead: bool) -> slice:
            return slice(start, end) if ahead else slice(start - size, end - size or None)

        begin = last.rfind(key)
        told = _TELLING(last, begin + len(key))
        if begin < 0 or told is None:
            return False
        expected, columns = [head, ending], [slice(0, len(head)), slice(-len(ending), None)]
        for literal, from_head in literals:
            place = last.find(literal)
            expected.append(literal)
            columns.append(column(place, place + len(literal), from_head))
        columns.append(column(begin, told.end(), ahead))
        *others, numbers = zip(*map(itemgetter(*columns), frames), strict=True)
        count, width = len(frames), told.end() - begin
        for found, text in zip(others, expected, strict=True):
            if found.count(text) != count:
                return False
        # As many digits in each, between the key and what ends it: so that the texts compare as the
        # numbers do, and what stands between two that begin with the key does so too.
        joined, stop = b"".join(numbers), last[told.end() - 1 : told.end()]
        digits = joined.translate(None, key + stop)
        return (
            len(joined) == width * count
            and joined[width - 1 :: width] == stop * count
            and len(digits) == (width - len(key) - 1) * count
            and digits.isdigit()
            and numbers[0].startswith(key)
            and numbers[-1].startswith(key)
            and list(numbers) == sorted(numbers)
            and int(numbers[0][len(key) : -1]) > restart
        )

    return judge


__all__ = ["Burst", "Peek", "burst_of", "peek_of"]
