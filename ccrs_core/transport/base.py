"""What the core asks of a transport. Users may hand in their own."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import attrs

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import UsageError
from ccrs_core.model import checks


@attrs.frozen(kw_only=True)
class TransportOptions:
    """Network settings, the same for REST and WebSocket.

    ``proxy`` is ``http://[user:password@]host:port`` (CONNECT) or ``socks5://…`` (needs the extra
    ``ccrs-core[socks]``). With ``trust_env``, and without ``proxy``, it is what the environment
    says (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) when the transport is made;
    this machine itself is then reached directly. ``ssl`` replaces the default verification.
    ``source_address`` is the local IP address to connect from. ``compression`` offers
    permessage-deflate. Times are seconds.
    """

    proxy: str | None = attrs.field(default=None, repr=False)
    trust_env: bool = attrs.field(default=False, validator=checks.of(bool))
    ssl: ssl.SSLContext | None = None
    source_address: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.of(str))
    )
    compression: bool = attrs.field(default=False, validator=checks.of(bool))
    max_frame_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=checks.count)
    connect_timeout: float = attrs.field(default=10.0, validator=checks.positive_seconds)
    request_timeout: float = attrs.field(default=10.0, validator=checks.positive_seconds)
    close_timeout: float = attrs.field(default=2.0, validator=checks.seconds)


class Clock(Protocol):
    """The only source of time. Waiting is asyncio's, whose loop must keep ``monotonic``'s time."""

    def time_ns(self) -> int:
        """Now, nanoseconds UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds from some fixed point; never goes back."""


class SystemClock:
    """The machine's clocks."""

    def time_ns(self) -> int:
        return time.time_ns()

    monotonic = staticmethod(time.monotonic)


SYSTEM_CLOCK = SystemClock()
"""The one that clients share, and with it the budgets per host."""


Sink = Callable[[Sequence[bytes], int], bool]
"""Takes frames that have arrived together, in order and at least one, and the moment at which the
first was read off the socket (``time.monotonic_ns``), 0 where that isn't known; True: enough for
now."""


class Connection(Protocol):
    """One open WebSocket. Only one task may be in ``receive``, only one in ``send``."""

    @property
    def last_heard(self) -> float:
        """When a protocol-level ping or pong last came, by ``Clock.monotonic``; 0.0: never.

        A connection without data lives by it, where ``Codec.ping`` writes no frame.
        """

    async def receive(self) -> Sequence[bytes]:
        """All frames that have arrived, in order; waits for the first. Never empty.

        Text frames come as their UTF-8 bytes. Protocol pings are answered before this returns.

        :raises ConnectionLost: once the connection has ended, after its last frames.
        """

    async def send(self, frame: Outbound) -> None:
        """Send a text (str) or binary (bytes) frame.

        :raises ConnectionLost: where the connection has ended.
        """

    async def ping(self) -> None:
        """Send a protocol-level ping."""

    async def close(self, code: int = 1000) -> None:
        """Close in good order, within the options' ``close_timeout``. Never raises."""

    def abort(self) -> None:
        """Drop the connection at once; ``receive`` then raises ``ConnectionLost``."""


@runtime_checkable
class ServingConnection(Connection, Protocol):
    """A connection that hands frames over from within its own callbacks: no task has to wake up."""

    async def serve(self, sink: Sink) -> None:
        """Call ``sink`` with all frames, as they arrive, until it returns True; then return.

        What waits already is handed over first. Frames that arrive while nobody serves or receives
        wait, as between two calls of ``receive``, which must not run at the same time. What
        ``sink`` raises is raised here; its frames count as taken. Cancelled, nothing is lost.

        :raises ConnectionLost: once the connection has ended, after its last frames.
        """


async def serve(connection: Connection, sink: Sink) -> None:
    """:meth:`ServingConnection.serve`, for connections that have only ``receive`` as well."""
    if isinstance(connection, ServingConnection):
        await connection.serve(sink)
        return
    while True:
        frames = await connection.receive()
        if sink(frames, 0):
            return


@runtime_checkable
class Discreet(Protocol):
    """A transport that shows others what passes, but for what it is told to hide."""

    def hide(self, secret: str) -> None:
        """Show this no more, in whatever spelling, from now on."""


@runtime_checkable
class Reroutable(Protocol):
    """A transport of which another one can be made that goes another way."""

    def along(self, options: TransportOptions) -> Transport:
        """The same with these options, to be closed by whoever asks.

        :raises UsageError: where it can't do what they ask for.
        """


def along(transport: object, options: TransportOptions) -> Transport:
    """A transport's :meth:`Reroutable.along`.

    :raises UsageError: where it has none.
    """
    if not isinstance(transport, Reroutable):
        raise UsageError(
            f"{type(transport).__name__} can't be told which way to go: it has no method along"
        )
    return transport.along(options)


class Transport(Protocol):
    """Opens WebSockets and makes HTTP requests."""

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> Connection:
        """Open a WebSocket, with these HTTP headers (names and values) in its handshake.

        :raises ConnectFailed: where none comes about within the ``connect_timeout``.
        """

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        """Make one HTTP request; every status is an answer.

        :raises TransportError: where no complete answer comes; ``nothing_sent`` where no byte of
            the request can have left. It is never sent a second time.
        """

    async def aclose(self) -> None:
        """Release everything. Connections still open are aborted."""
