"""What a recorded connection has asked, so that answers in the recording say what they answered.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ccrs_core.codec import Codec, Outbound
from ccrs_core.exchange import Route
from ccrs_core.model import Subscription
from ccrs_core.outstanding import Asked, chunks

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
        reading = codec()
        for frame in (reading.ping(_ID), reading.probe(_ID)):
            if frame is not None:
                self._pings.append(_pattern(frame))

    def sent(self, frame: bytes, now: float) -> None:
        """A frame has left."""
        for pattern in self._pings:
            found = pattern.fullmatch(frame)
            if found is not None:
                self._asked.add(found[1].decode() if found.re.groups else "", now)
                return
        for pattern, topics in self._known():
            found = pattern.fullmatch(frame)
            if found is not None and found.re.groups:
                self._topics[found[1].decode()] = topics
                return

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


def _pattern(frame: Outbound) -> re.Pattern[bytes]:
    """Matches a frame whatever the id of its request."""
    raw = frame.encode() if isinstance(frame, str) else frame
    parts = raw.split(_ID.encode())
    if len(parts) == 1:
        return re.compile(re.escape(raw))
    rest = b"".join(rb"\1" + re.escape(part) for part in parts[2:])
    return re.compile(re.escape(parts[0]) + rb"(\d+)" + re.escape(parts[1]) + rest)
