"""One WebSocket that picows reads: frames, control frames, backpressure and every way to end."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import picows
from picows import WSFrame, WSMsgType, WSTransport

from ccrs_core import ConnectionLost, Outbound, TransportOptions
from ccrs_core.transport import Deadline, Sink
from ccrs_picows.bounded import BoundedReads

_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_PING, _PONG, _CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE

_PAUSE_ABOVE = 4 * 1024 * 1024
"""Bytes that nobody has taken yet, above which the socket isn't read for a while."""

_PROTOCOL_ERROR, _TOO_BIG = 1002, 1009

_Waiter = asyncio.Future[None]


class PicowsConnection(picows.WSListener):
    """A :class:`~ccrs_core.transport.base.ServingConnection`, and picows's listener at once."""

    def __init__(
        self, options: TransportOptions, registry: set[PicowsConnection], watch: Watch
    ) -> None:
        self.last_heard = 0.0
        self._options = options
        self._registry = registry
        self._transport: WSTransport | None = None
        watch.connection = weakref.ref(self)

        self._read_at = [0]
        """When what came last was read."""
        self._frames: list[bytes] = []
        """What waits; of a connection that has ended, what is never to be seen."""
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._counted = 0
        """How many of the waiting frames are part of ``_waiting``, their bytes."""
        self._waiting = 0
        self._paused = False

        self._receiver: _Waiter | None = None
        self._sink: Sink | None = None
        self._served: asyncio.Future[BaseException | None] | None = None

        self._full = False
        """The socket takes no more for now."""
        self._pong: bytes | None = None
        """The answer to the last ping, where the socket took no more."""
        self._writers: set[_Waiter] = set()
        self._closers: set[_Waiter] = set()
        self._parted = False
        """Our close frame has been sent."""
        self._flushing: asyncio.TimerHandle | None = None
        """The connection has ended, but for what the socket hasn't taken yet."""
        self._last: list[bytes] = []
        """What still waited when the connection ended."""
        self._failure: tuple[str, int] | None = None
        """How the other side broke the protocol, as picows found."""
        self._ended: tuple[str, int | None] | None = None

    # --- called by picows ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._registry.add(self)
        socket = transport.underlying_transport
        socket.set_protocol(BoundedReads(socket.get_protocol(), self._read_at))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # A million times a second: every attribute counts.
        if (
            frame.msg_type is _TEXT
            and frame.fin
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3 or self._parts)
        ):
            self._frames.append(frame.get_payload_as_bytes())
            if frame.last_in_buffer:
                self._deliver()
            return
        if self._ended is None:
            self._rarer(frame)
        if frame.last_in_buffer and self._frames:
            self._deliver()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        closing: Any = transport.close_handshake  # None where neither side has closed
        sent: Any = None if closing is None else closing.sent
        if self._failure is None and sent is not None and not self._parted:
            self._failure = ("the exchange broke the protocol", int(sent.code))
        self._end(*(self._failure or ("the connection ended without a close frame", None)))
        self._registry.discard(self)
        if self._flushing is not None:
            self._flushing.cancel()
        asyncio.get_running_loop().call_soon(_forget_failure, transport)
        self._transport = None

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._pong is not None and self._transport is not None and not self._parted:
            self._transport.send_pong(self._pong)
        self._pong = None
        if not self._full:
            _wake(self._writers)

    def fail(self, code: int, text: str) -> None:
        """Something has come in that picows can't read; it is about to send a close frame.

        The frame before that one is still to come.
        """
        if self._failure is None:
            self._failure = (text, code)
            asyncio.get_running_loop().call_soon(self._fail_now)

    def _fail_now(self) -> None:
        if self._failure is not None:
            self._parted = True
            self._end(*self._failure)

    # --- frames in ---

    def _rarer(self, frame: WSFrame) -> None:
        """Everything but whole text frames."""
        kind = frame.msg_type
        payload: bytes = frame.get_payload_as_bytes()
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(_PROTOCOL_ERROR, "a frame has reserved bits set")
        elif kind is _PING:
            self.last_heard = time.monotonic()
            self._answer(payload)
        elif kind is _CLOSE:
            self._closed_by_peer(payload)
        elif kind is _PONG:
            self.last_heard = time.monotonic()
        else:
            self._data(kind, payload, bool(frame.fin))

    def _data(self, kind: WSMsgType, payload: bytes, fin: bool) -> None:
        parts = self._parts
        if (kind is _CONTINUATION) is not bool(parts):
            wrong = "a continuation of nothing" if not parts else "a message within another"
            self._refuse(_PROTOCOL_ERROR, wrong)
            return
        if parts or not fin:
            self._parts_size += len(payload)
            if self._parts_size > self._options.max_frame_bytes:
                limit = self._options.max_frame_bytes
                self._refuse(_TOO_BIG, f"a message is larger than {limit} bytes")
                return
            if payload or not parts:
                parts.append(payload)
            if not fin:
                return
            payload = b"".join(parts)
            self._parts, self._parts_size = [], 0
        self._frames.append(payload)

    def _deliver(self) -> None:
        """Everything of one read has come."""
        if self._ended is not None:
            self._frames.clear()
            return
        if self._failure is not None:
            # picows may hand over what it has refused as too large, once it is complete.
            limit = self._options.max_frame_bytes
            self._frames = [frame for frame in self._frames if len(frame) <= limit]
            if not self._frames:
                return
        sink, served = self._sink, self._served
        if sink is not None and served is not None and not served.done():
            frames, self._frames = self._frames, []
            try:
                if sink(frames, self._read_at[0]):
                    _settle(served, None)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                _settle(served, error)
        elif self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        elif self._parted and self._receiver is None:
            self._frames.clear()  # nobody reads what comes while we close
        else:
            self._hold()

    def _hold(self) -> None:
        frames = self._frames
        self._waiting += sum(map(len, frames[self._counted :]))
        self._counted = len(frames)
        if self._waiting > _PAUSE_ABOVE and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.underlying_transport.pause_reading()

    def _take(self) -> list[bytes]:
        """All that waits."""
        if self._ended is not None:
            frames, self._last = self._last, []
            return frames
        frames, self._frames = self._frames, []
        self._read_on()
        return frames

    def _read_on(self) -> None:
        self._counted = self._waiting = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.underlying_transport.resume_reading()

    async def receive(self) -> Sequence[bytes]:
        while True:
            if frames := self._take():
                return frames
            self._check_open()
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None

    async def serve(self, sink: Sink) -> None:
        frames = self._take()
        if frames and sink(frames, self._read_at[0]):
            return
        self._check_open()
        self._sink, self._served = sink, asyncio.get_running_loop().create_future()
        try:
            error = await self._served
        finally:
            self._sink = self._served = None
        if error is not None:
            raise error

    # --- frames out ---

    async def send(self, frame: Outbound) -> None:
        transport = self._writable()
        try:
            if isinstance(frame, str):
                transport.send(_TEXT, frame.encode())
            else:
                transport.send(_BINARY, frame)
        except (OSError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {error}") from error
        await self._drained()

    async def ping(self) -> None:
        transport = self._writable()
        try:
            transport.send_ping()
        except (OSError, RuntimeError) as error:
            raise ConnectionLost(f"can't send: {error}") from error
        await self._drained()

    def _writable(self) -> WSTransport:
        try:
            self._check_open("can't send: ")
            if self._parted or self._transport is None:
                raise ConnectionLost("can't send: the connection is being closed")
        except ConnectionLost as error:
            error.nothing_sent = True
            raise
        return self._transport

    async def _drained(self) -> None:
        while self._full:
            self._check_open("can't send: ")
            await _wait(self._writers)

    def _answer(self, payload: bytes) -> None:
        if self._full:
            self._pong = payload  # RFC 6455 (5.5.3): the last of several will do
        elif self._transport is not None and not self._parted:
            self._transport.send_pong(payload)

    # --- the end ---

    def _check_open(self, doing: str = "") -> None:
        if self._ended is not None:
            reason, code = self._ended
            raise ConnectionLost(doing + reason, code)

    def _over(self) -> bool:
        return self._ended is not None

    def _closed_by_peer(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) or None
        text = payload[2:].decode(errors="replace")
        said = f" with code {code}" if code else " without a code"
        self._part(code or 1000)
        self._end(f"closed by the exchange{said}" + (f": {text}" if text else ""), code)

    def _refuse(self, code: int, reason: str) -> None:
        self._part(code)
        self._end(reason, code)

    def _part(self, code: int) -> None:
        """Send our close frame, once."""
        if not self._parted and self._transport is not None:
            self._parted = True
            with contextlib.suppress(OSError, RuntimeError):
                self._transport.send(_CLOSE, code.to_bytes(2))

    async def close(self, code: int = 1000) -> None:
        try:
            if self._ended is None:
                self._part(code)
                if self._receiver is None and self._sink is None:
                    self._frames.clear()
                self._read_on()
                with contextlib.suppress(TimeoutError):
                    async with Deadline(self._options.close_timeout):
                        while self._ended is None:
                            await _wait(self._closers)
        finally:
            self._drop("closed")

    def abort(self) -> None:
        self._drop("aborted")

    def _drop(self, reason: str) -> None:
        """The end, at once; what waits is dropped."""
        self._frames.clear()
        self._end(reason, flush=False)
        if self._flushing is not None and self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _end(self, reason: str, code: int | None = None, *, flush: bool = True) -> None:
        if self._ended is not None:
            return
        if self._frames and self._sink is not None:
            self._deliver()
            if self._over():  # the sink has seen to it
                return
        self._ended = (reason, code)
        self._last, self._frames = self._frames, []
        self._parts = []
        if self._transport is not None:
            self._leave(self._transport, flush)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        if self._served is not None:
            _settle(self._served, ConnectionLost(reason, code))
        _wake(self._writers)
        _wake(self._closers)

    def _leave(self, transport: WSTransport, flush: bool) -> None:
        socket = transport.underlying_transport
        if flush and socket.get_write_buffer_size():
            # Among it our close frame. The registry keeps hold of us until it is over.
            transport.disconnect()
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_later(self._options.close_timeout, socket.abort)
        else:
            self._registry.discard(self)
            transport.disconnect(graceful=False)


class Watch:
    """Stands in for picows's logger, and so hears at once of bytes that picows can't read.

    A listener would hear of it once the connection is gone, and not what it was.
    """

    connection: Callable[[], PicowsConnection | None] | None = None

    def error(self, message: str, *details: object, **_: object) -> None:
        what = details[0] if details else None
        if isinstance(what, tuple) and len(what) == 2 and isinstance(what[0], int):
            self._tell(int(what[0]), str(what[1]))

    def exception(self, message: str, *_: object, **__: object) -> None:
        self._tell(_PROTOCOL_ERROR, "the exchange broke the protocol")

    def _tell(self, code: int, text: str) -> None:
        connection = self.connection() if self.connection is not None else None
        if connection is not None:
            connection.fail(code, text)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (logging's name)
        return False

    def log(self, *_: object, **__: object) -> None:
        """Not told: what is worth telling becomes an error."""

    debug = info = warning = log


async def _wait(waiters: set[_Waiter]) -> None:
    """Wait for :func:`_wake`."""
    waiter: _Waiter = asyncio.get_running_loop().create_future()
    waiters.add(waiter)
    try:
        await waiter
    finally:
        waiters.discard(waiter)


def _wake(waiters: set[_Waiter]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _settle(served: asyncio.Future[BaseException | None], outcome: BaseException | None) -> None:
    if not served.done():
        served.set_result(outcome)


def _forget_failure(transport: WSTransport) -> None:
    """Take the error that picows keeps for those who wait for the end, so that none is missed."""
    waiting = transport.wait_disconnected()
    try:
        waiting.send(None)
    except (StopIteration, Exception):
        return
    waiting.close()
