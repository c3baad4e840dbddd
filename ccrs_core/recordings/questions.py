"""What a recorded connection has asked, so that answers in the recording say what they answered.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from ccrs_core.connections.open_requests import chunks
from ccrs_core.connections.pings import Asked
from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.contract.exchange import Route
from ccrs_core.model.subscriptions import Subscription

_ID = "7130571305"
"""A request id that occurs in no other part of a frame."""


class Questions:
    """Reads the frames that one connection has sent.

    It knows those that subscribe to one topic, or to as many at once as a client asks for, and
    pings. Of others, answers that don't name their topics say nothing.
    """

    def __init__(
        self, codec: Callable[[], Codec], route: Route, wanted: Sequence[Subscription]
    ) -> None:
        self._asked = Asked()
        self._topics: dict[str, tuple[str, ...]] = {}
        """Those of each request, by its id."""
        self._pings: list[re.Pattern[bytes]] = []
        self._requests: list[tuple[re.Pattern[bytes], tuple[str, ...]]] | None = None
        self._codec, self._route, self._wanted = codec, route, wanted
        self._ended: set[str] = set()
        """Topics that were unsubscribed from."""
        reading = codec()
        for frame in (reading.ping(_ID), reading.probe(_ID)):
            if frame is not None:
                self._pings.append(_pattern(frame))

    def sent(self, frame: bytes, now: float) -> list[str]:
        """A frame has left; the topics that it subscribes to again after they were ended."""
        for pattern in self._pings:
            found = pattern.fullmatch(frame)
            if found is not None:
                self._asked.add(found[1].decode() if found.re.groups else "", now)
                return []
        for pattern, topics in self._known():
            found = pattern.fullmatch(frame)
            if found is not None and found.re.groups:
                self._topics[found[1].decode()] = topics
                return self._again(topics)
        if topics := self._among(frame, subscribe=False):
            self._ended.update(topics)
            return []
        return self._again(self._among(frame, subscribe=True))

    def _again(self, topics: tuple[str, ...]) -> list[str]:
        again = [name for name in topics if name in self._ended]
        self._ended.difference_update(topics)
        return again

    def _among(self, frame: bytes, *, subscribe: bool) -> tuple[str, ...]:
        """The topics that a request is about, whichever of those wanted they are."""
        asked, codec = _items(frame), self._codec()
        if not asked:
            return ()
        make = codec.subscribe if subscribe else codec.unsubscribe
        found: list[Subscription] = []
        for each in self._wanted:
            own = _items(_raw(make([each], _ID)))
            if own and all(item in asked for item in own):
                found.append(each)
        again = _items(_raw(make(found, _ID))) if found else []
        if len(again) != len(asked) or any(item not in asked for item in again):
            return ()
        if _words(_raw(make(found, _ID))) != _words(frame):
            return ()
        return tuple(dict.fromkeys(map(codec.topic, found)))

    def asks(self, frame: bytes) -> bool:
        """Whether a frame that has left subscribes to what is known."""
        return any(pattern.fullmatch(frame) is not None for pattern, _ in self._known())

    def subscribed(self, request_id: str | None, topics: tuple[str, ...] | None) -> tuple[str, ...]:
        """The topics that an acknowledgement is about."""
        asked = self._topics.get(request_id or "")
        if asked is None:
            # It names them, or answers something else than a request to subscribe.
            return topics or () if request_id is None else ()
        return tuple(name for name in asked if topics is None or name in topics)

    def answered(self, request_id: str | None) -> float | None:
        """When that was asked which is answered, with all that was asked before."""
        return self._asked.answered(request_id)

    def _known(self) -> list[tuple[re.Pattern[bytes], tuple[str, ...]]]:
        if self._requests is None:
            codec, route = self._codec(), self._route
            together = chunks(list(self._wanted), route.topics_per_request, codec.request_kind)
            self._requests = [
                (_pattern(codec.subscribe(asked, _ID)), tuple(map(codec.topic, asked)))
                for asked in [*together, *([each] for each in self._wanted)]
            ]
        return self._requests


def _raw(frame: Outbound) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def _fields(frame: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(frame)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _items(frame: bytes) -> list[Any]:
    """What a request lists, where it is JSON with a list in it."""
    return next((value for value in _fields(frame).values() if isinstance(value, list)), [])


def _words(frame: bytes) -> dict[str, str]:
    """What a request says besides what it lists, and its id."""
    fields = _fields(frame).items()
    return {key: value for key, value in fields if isinstance(value, str) and not value.isdigit()}


def _pattern(frame: Outbound) -> re.Pattern[bytes]:
    """Matches a frame whatever the id of its request."""
    raw = _raw(frame)
    parts = raw.split(_ID.encode())
    if len(parts) == 1:
        return re.compile(re.escape(raw))
    rest = b"".join(rb"\1" + re.escape(part) for part in parts[2:])
    return re.compile(re.escape(parts[0]) + rb"(\d+)" + re.escape(parts[1]) + rest)
