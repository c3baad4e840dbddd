"""What mutants of any plugin put around its parts: its codec, or its emulator's dialect.

A mutant that reads wrongly overrides :class:`Through`; one whose exchange says something else
overrides :class:`SpeaksThrough`; one that makes the same mistake in both, both of them::

    class Mistaken(Okx):
        def codec(self, route): return MyThrough(super().codec(route))
        def dialect(self): return MySpeaksThrough(super().dialect())
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs

from ccrs_core.contract.codec import Codec, Data, Message, Outbound
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, HttpResponse, Request
from ccrs_core.emulator import Dialect, Frame, Handshake, HttpRefusal, Listing, Visitor
from ccrs_core.model.subscriptions import Subscription


class Through(Codec):
    """A plugin's codec, all of whose frames and messages pass through here.

    Without ``peek`` and ``shortcut`` where what they say isn't changed along: override those, too,
    where a mutant has to be broken there.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.heartbeat = codec.heartbeat  # type: ignore[misc]
        self.compression = codec.compression  # type: ignore[misc]

    # --- to override ---

    def frame(self, frame: bytes) -> bytes:
        """The frame that is read instead."""
        return frame

    def event(self, event: Any) -> Any:
        """The event that is delivered instead, None for none."""
        return event

    def message(self, message: Message) -> Message | None:
        """The message that is given instead, None for none."""
        if not isinstance(message, Data):
            return message
        events = [e for e in map(self.event, message.events) if e is not None]
        return attrs.evolve(message, events=events) if events else None

    # --- what is passed on ---

    def topic(self, subscription: Subscription) -> str:
        return self._codec.topic(subscription)

    def request_kind(self, subscription: Subscription) -> Hashable:
        return self._codec.request_kind(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._codec.subscribe(subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._codec.unsubscribe(subscriptions, request_id)

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = self._codec.decode(self.frame(frame), received_time_ns)
        return [m for m in map(self.message, messages) if m is not None]

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return self._codec.peek(self.frame(frame))

    def ping(self, request_id: str) -> Outbound | None:
        return self._codec.ping(request_id)

    def probe(self, request_id: str) -> Outbound | None:
        return self._codec.probe(request_id)


class SpeaksThrough(Dialect):
    """A plugin's dialect, all of whose frames and answers pass through here."""

    name = "through"

    def __init__(self, dialect: Dialect | None) -> None:
        assert dialect is not None
        self._dialect = dialect
        for each in ("name", "announces_shutdown", "lacks"):
            setattr(self, each, getattr(dialect, each))

    # --- to override ---

    def said(self, payload: bytes) -> bytes | None:
        """What is sent instead of a frame, data and answers alike; None for nothing."""
        return payload

    def asked(self, frame: str | bytes) -> str | bytes:
        """What is understood instead of a client's frame."""
        return frame

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """What is answered instead."""
        return response

    # --- what is passed on ---

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def attach(self, venue: Any) -> None:
        super().attach(venue)
        self._dialect.attach(venue)

    def checked(self) -> Dialect:
        return type(self)(self._dialect.checked())

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return self._dialect.listings(start_ns)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        session = self._dialect.open(handshake)
        return session if isinstance(session, HttpRefusal) else _VisitorThrough(self, session)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        return self.answered(request, self._dialect.http(request, address, now_ns))

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        return self._dialect.failure(status, now_ns)

    def shutdown_notice(self, peer: Any, now_ns: int) -> Frame | None:
        return self._dialect.shutdown_notice(peer, now_ns)

    def busy(self, peer: Any, request: str | bytes, now_ns: int) -> Frame | None:
        return self._dialect.busy(peer, request, now_ns)

    def recorded(self, raw: bytes) -> tuple[str, int | None] | None:
        return self._dialect.recorded(raw)


class _VisitorThrough(Visitor):
    def __init__(self, dialect: SpeaksThrough, session: Visitor) -> None:
        self._dialect = dialect
        self._session = session
        self.idle_timeout = session.idle_timeout  # type: ignore[misc]
        self.idle_close = session.idle_close  # type: ignore[misc]
        self.ping_interval = session.ping_interval
        self.pong_timeout = session.pong_timeout
        self.largest_frame = session.largest_frame  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "peer":
            self._session.peer = value
            put = value.put

            def say(frame: Frame) -> None:
                said = self._dialect.said(frame.payload)
                if said is not None:
                    put(frame if said == frame.payload else Frame(said, frame.text))

            value.put = say

    def opened(self, now_ns: int) -> None:
        self._session.opened(now_ns)

    def received(self, frame: str | bytes, now_ns: int) -> None:
        self._session.received(self._dialect.asked(frame), now_ns)

    def heartbeat(self, now_ns: int) -> None:
        self._session.heartbeat(now_ns)

    def closed(self, now_ns: int) -> None:
        self._session.closed(now_ns)


def answering(
    plugin: type[Exchange],
    kind: type[Request[Any]],
    change: Callable[[Any, Any], Any],
) -> dict[type[Request[Any]], Any]:
    """A plugin's endpoints, one of which reads other values: ``change(request, value)``."""
    right = plugin.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        return attrs.evolve(answer, value=change(request, answer.value))

    return {**plugin.endpoints, kind: attrs.evolve(right, decode=decode)}
