"""A transport around another one, which records what passes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import ConnectionLost, TransportError
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import ABORTED, Closed, Http, Opened, Received, Sent
from ccrs_core.transport.base import (
    SYSTEM_CLOCK,
    Clock,
    Connection,
    Transport,
    TransportOptions,
    along,
)
from ccrs_core.transport.masking import MASK, UNSHOWN, shown_url

_LOGIN = re.compile(
    rb'"(?:op|method|event|action)"\s*:\s*"'
    rb'(?:auth\w*|log[io]n|session\.log[io]n|signin|userDataStream[^"]*|user\.auth\w*)"'
    rb'|"(?:jwt|sign|signature|[\w-]*token|listenkey|api_?key|passphrase|auth)"\s*:',
    re.IGNORECASE,
)


class RecordingTransport:
    """Hands everything through to another transport, and writes down what passes."""

    def __init__(
        self, transport: Transport, writer: RecordingWriter, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._clock = clock
        self._connections = itertools.count(1)

    def along(self, options: TransportOptions) -> RecordingTransport:
        """Another one that writes into the same recording."""
        other = RecordingTransport(along(self._transport, options), self._writer, clock=self._clock)
        other._connections = self._connections
        return other

    def hide(self, secret: str) -> None:
        """See :meth:`RecordingWriter.hide`."""
        self._writer.hide(secret)

    async def connect(
        self, url: str, headers: Sequence[tuple[str, str]] = ()
    ) -> RecordingConnection:
        connection = await self._transport.connect(url, headers)
        number = next(self._connections)
        shown = self._writer.cleaned(shown_url(url).encode()).decode()
        self._writer.write(Opened(self._clock.time_ns(), number, shown))
        return RecordingConnection(connection, number, self._writer, self._clock)

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        response = await self._transport.request(base_url, request)
        texts = [value.encode() for value in request.headers.values()]
        texts += [request.query_string.encode(), request.path.encode(), request.body]
        secret = UNSHOWN.get() or self._writer.holds_secret(*texts)
        query = request.query_string
        url = f"{base_url}{request.path}" + (f"?{query}" if query else "")
        if secret:
            url = f"{base_url}{MASK}"
        self._writer.write(
            Http(
                self._clock.time_ns(),
                request.method,
                shown_url(url),
                response.status,
                MASK.encode() if secret else self._writer.cleaned(response.body),
                secret,
            )
        )
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class RecordingConnection:
    """A connection whose frames are written down, in both directions."""

    def __init__(
        self, connection: Connection, number: int, writer: RecordingWriter, clock: Clock
    ) -> None:
        self._connection = connection
        self._number = number
        self._writer = writer
        self._clock = clock
        self._ended = False

    @property
    def last_heard(self) -> float:
        return self._connection.last_heard

    async def receive(self) -> Sequence[bytes]:
        try:
            frames = await self._connection.receive()
        except TransportError as error:
            self._end(str(error), error.code if isinstance(error, ConnectionLost) else None)
            raise
        now_ns, writer, number = self._clock.time_ns(), self._writer, self._number
        writer.write(*(Received(now_ns, number, writer.cleaned(frame)) for frame in frames))
        return frames

    async def send(self, frame: Outbound) -> None:
        await self._connection.send(frame)
        raw = frame.encode() if isinstance(frame, str) else frame
        masked = self._writer.holds_secret(raw) or _LOGIN.search(raw) is not None
        shown = MASK.encode() if masked else raw
        self._writer.write(Sent(self._clock.time_ns(), self._number, shown, masked))

    async def ping(self) -> None:
        await self._connection.ping()

    async def close(self, code: int = 1000) -> None:
        self._end("closed by the client", code)
        await self._connection.close(code)

    def abort(self) -> None:
        self._end(ABORTED, None)
        self._connection.abort()

    def _end(self, reason: str, code: int | None) -> None:
        if not self._ended:
            self._ended = True
            self._writer.write(Closed(self._clock.time_ns(), self._number, reason, code))
