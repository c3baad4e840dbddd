"""Frames to try a codec with: those of the samples and a stretch of each route of the emulator.

Also JSON taken apart and put together again in another spelling, with every digit kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.samples import samples_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.model.subscriptions import Subscription

_SECONDS = 4.0
_MOST_FRAMES = 250


@attrs.frozen(eq=False)
class Capture:
    """Frames of one connection, inflated, and the requests by which they came."""

    name: str
    route: Route
    requests: Sequence[Sequence[Subscription]]
    frames: Sequence[bytes]

    def codec(self, exchange: Exchange) -> Codec:
        """A fresh codec that has made the same requests."""
        codec = exchange.codec(self.route)
        for number, subscriptions in enumerate(self.requests, start=1):
            codec.subscribe(subscriptions, str(number))
        return codec

    def decode(self, exchange: Exchange) -> list[Sequence[Message]]:
        """What each frame says, decoded by one fresh codec."""
        codec = self.codec(exchange)
        return [codec.decode(frame, RECEIVED_NS) for frame in self.frames]


_captures: WeakKeyDictionary[Subject, list[Capture]] = WeakKeyDictionary()


def captures(subject: Subject) -> Sequence[Capture]:
    """The samples' streams, then one stretch of each route of the emulator; never none.

    Skips the test where no channel is declared.
    """
    if subject not in _captures:
        cases = subject.cases()
        found = []
        for sample in samples_of(subject).streams:
            route = sample.route(subject.exchange)
            requests = chunks(sample.subscriptions, route.topics_per_request)
            found.append(Capture(sample.file, route, requests, sample.frames))
        routes: dict[Route, list[Subscription]] = {}
        for case in cases:
            route = subject.exchange.route(case.subscription)
            routes.setdefault(route, []).append(case.subscription)
        for route, subscriptions in routes.items():
            found.append(_emulated(subject, route, subscriptions))
        _captures[subject] = found
    return _captures[subject]


def _emulated(subject: Subject, route: Route, subscriptions: Sequence[Subscription]) -> Capture:
    wire = subject.line().open(route)
    requests = chunks(subscriptions, route.topics_per_request)
    for request in requests:
        wire.subscribe(*request)
    wire.run(_SECONDS)
    method = wire.codec.compression
    frames = [f if method is None else inflate(f, method) for f in wire.frames[:_MOST_FRAMES]]
    return Capture(f"the emulator's {route.url}", route, requests, frames)


def chunks(subscriptions: Sequence[Subscription], size: int) -> list[Sequence[Subscription]]:
    """Parts of at most so many."""
    return [subscriptions[at : at + size] for at in range(0, len(subscriptions), size)]


def comparable(messages: Sequence[Message]) -> list[Message]:
    """Messages without numbers that are made of a frame's bytes, and so vary with its spelling."""
    return [
        attrs.evolve(message, sequence=None)
        if isinstance(message, Data) and isinstance(message.sequence, bytes)
        else message
        for message in messages
    ]


# --- JSON -----------------------------------------------------------------------------------


class RawNumber(str):
    """A JSON number as it is spelled."""

    __slots__ = ()


Place = tuple[str | int, ...]
"""Where in a JSON value something is: keys and indexes, from the outside in."""


def parsed(frame: bytes) -> Any:
    """A frame's JSON with its numbers as :class:`RawNumber`; None where it is none."""
    try:
        return json.loads(frame, parse_float=RawNumber, parse_int=RawNumber)
    except (ValueError, RecursionError):
        return None


def spelled(value: Any, rng: Random | None = None) -> bytes:
    """A value of :func:`parsed` as JSON; with ``rng`` in another order of keys and with spaces."""
    return _spell(value, rng).encode("utf-8", "surrogatepass")


def _spell(value: Any, rng: Random | None) -> str:
    if isinstance(value, RawNumber):
        return str(value)
    blank = "" if rng is None else rng.choice(["", " ", "\n", "\t ", "  "])
    if isinstance(value, dict):
        items = list(value.items())
        if rng is not None:
            rng.shuffle(items)
        inner = [f"{json.dumps(key)}{blank}:{blank}{_spell(item, rng)}" for key, item in items]
        return f"{{{blank}{f'{blank},'.join(inner)}{blank}}}"
    if isinstance(value, list):
        return f"[{blank}{f',{blank}'.join(_spell(item, rng) for item in value)}{blank}]"
    return json.dumps(value, ensure_ascii=False)


def places(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value within a value, itself included, and where it is."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*path, at))


def replaced(value: Any, path: Place, other: Any) -> Any:
    """A copy of a value with another one at a place."""
    if not path:
        return other
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a value in which ``change`` was applied to everything, from the inside out."""
    if isinstance(value, dict):
        value = {key: changed(item, change) for key, item in value.items()}
    elif isinstance(value, list):
        value = [changed(item, change) for item in value]
    return change(value)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def has_named_fields(value: Any) -> bool:
    """Whether a value is an object whose keys name fields, rather than prices or symbols."""
    return isinstance(value, dict) and all(_NAME.fullmatch(key) for key in value)
