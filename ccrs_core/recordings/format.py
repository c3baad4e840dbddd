"""Raw frames on disk, in both directions, with their times: what was really said, to be replayed.

One JSON object per line. A ``header`` says what was subscribed to, then come ``open``, ``in``,
``out``, ``close`` and ``http`` records, and an ``end`` where recording was ended on purpose. A file
cut at any byte loses at most its last record, and a recording may be appended to: each part begins
with a header of its own. Frames are kept to the byte: as text, or in base64 where they are none.

Secrets are never written: login frames and signed requests are masked.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self

import attrs
import orjson

from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import ConnectionLost, RecordingFailed, TransportError, UsageError
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock, Connection, Transport
from ccrs_core.transport.masking import MASK, all_shown, shown_url, spellings

FORMAT = 1
"""Version of the format that this module writes."""

log = logging.getLogger("ccrs.recording")

ABORTED = "aborted by the client"
"""How the end of a connection is told that the client has dropped."""


@attrs.frozen(kw_only=True)
class Header:
    """What a recording (or a part that was appended to one) holds, and where it comes from."""

    kind: ClassVar[str] = "header"

    format: int = FORMAT
    ns: int
    """When recording began, nanoseconds UTC."""
    exchange: str
    exchange_version: str
    core_version: str
    environment: str
    subscriptions: tuple[Subscription, ...]
    connections: int = 1
    """How many raced for each of them."""
    addresses: Mapping[str, str] = attrs.field(factory=dict, converter=all_shown)
    """What was dialled, by name (see :class:`Environment`); empty where it isn't known."""


@attrs.frozen
class Opened:
    """A connection was opened. Numbers count from 1 within a header."""

    kind: ClassVar[str] = "open"

    ns: int | None
    connection: int
    url: str


@attrs.frozen
class Received:
    """A frame came in; ``ns`` is None where a recording of other make doesn't say when."""

    kind: ClassVar[str] = "in"

    ns: int | None
    connection: int
    frame: bytes


@attrs.frozen
class Sent:
    """A frame went out; a ``masked`` one held secrets, and is gone."""

    kind: ClassVar[str] = "out"

    ns: int | None
    connection: int
    frame: bytes
    masked: bool = False


@attrs.frozen
class Closed:
    """A connection ended, whoever ended it."""

    kind: ClassVar[str] = "close"

    ns: int | None
    connection: int
    reason: str
    code: int | None = None


@attrs.frozen
class Http:
    """A request and its answer; ``ns`` is when the answer came. None of the headers are kept."""

    kind: ClassVar[str] = "http"

    ns: int | None
    method: str
    url: str
    status: int
    body: bytes
    masked: bool = False


@attrs.frozen
class End:
    """Recording was ended on purpose; the connections were healthy."""

    kind: ClassVar[str] = "end"

    ns: int | None


Record = Header | Opened | Received | Sent | Closed | Http | End

_KINDS: dict[str, type[Any]] = {k.kind: k for k in (Opened, Received, Sent, Closed, Http, End)}
_BYTES = {"frame": "raw", "body": "body"}
_TYPES: dict[str, tuple[type[Any], bool]] = {
    "ns": (int, True),
    "connection": (int, False),
    "url": (str, False),
    "masked": (bool, False),
    "reason": (str, False),
    "code": (int, True),
    "method": (str, False),
    "status": (int, False),
}
"""What the fields of records hold, and whether it may be null."""


def encode(record: Record) -> bytes:
    """A record as one line, newline included."""
    line: dict[str, Any] = {"kind": record.kind}
    if isinstance(record, Header):
        from ccrs_core.model.serialize import converter

        line.update(converter().unstructure(record))
    else:
        for field in attrs.fields(type(record)):
            value = getattr(record, field.name)
            if field.name not in _BYTES:
                if value is not field.default:
                    line[field.name] = value
                continue
            try:
                line[_BYTES[field.name]] = value.decode()
            except UnicodeDecodeError:
                line["base64"] = base64.b64encode(value).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Record:
    """The record of a line that :func:`encode` wrote.

    :raises ValueError: where it is none.
    """
    content = orjson.loads(line)
    kind = content.pop("kind", None) if isinstance(content, dict) else None
    if kind == Header.kind:
        return _header(content)
    found = _KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError(f"no kind of record: {kind!r}")
    values: dict[str, Any] = {}
    try:
        for field in attrs.fields(found):
            if field.name not in _BYTES:
                if field.name in content or field.default is attrs.NOTHING:
                    values[field.name] = content[field.name]
            elif "base64" in content:
                values[field.name] = base64.b64decode(content["base64"], validate=True)
            else:
                values[field.name] = content[_BYTES[field.name]].encode()
    except (KeyError, AttributeError, TypeError, binascii.Error) as error:
        raise ValueError(f"incomplete record: {error!r}") from error
    for name, value in values.items():
        _check(name, value)
    record: Record = found(**values)
    return record


def _check(name: str, value: Any) -> None:
    """:raises ValueError: where a field holds what is none of its values."""
    kind, optional = _TYPES.get(name, (None, False))
    if kind is None or (optional and value is None):
        return
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} can't be {value!r:.100}")
    if kind is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} is out of range: {value}")


def _header(content: Mapping[str, Any]) -> Header:
    if content.get("format") != FORMAT:
        raise UsageError(
            f"recorded in format {content.get('format')!r}, this version reads format {FORMAT}"
        )
    from ccrs_core.model.serialize import converter

    try:
        return converter().structure(content, Header)
    except Exception as error:  # cattrs groups what it finds in exceptions of its own
        raise ValueError(f"incomplete header: {error!r}") from error


# --- Reading --------------------------------------------------------------------------------


def read(path: str | Path) -> Iterator[Record]:
    """The records of a file, in order; a last line that was cut off is left out.

    :raises UsageError: where the file can't be read or another line isn't a record.
    """
    for number, line, torn in lines(path):
        try:
            yield decode(line)
        except UsageError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
        except ValueError as error:
            if torn:
                return
            raise UsageError(f"{path}:{number}: {error}") from error


def lines(path: str | Path) -> Iterator[tuple[int, bytes, bool]]:
    """The lines of a file that aren't blank: number, content, whether it ends without newline."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip(), not line.endswith(b"\n")
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror or error}") from None


# --- Writing --------------------------------------------------------------------------------

# A safety net below the masking by value: frames that are logins, or signed, by their look.
_LOGIN = re.compile(
    rb'"(?:op|method|event|action)"\s*:\s*"'
    rb'(?:auth\w*|log[io]n|session\.log[io]n|signin|userDataStream[^"]*|user\.auth\w*)"'
    rb'|"(?:jwt|sign|signature|[\w-]*token|listenkey|api_?key|passphrase|auth)"\s*:',
    re.IGNORECASE,
)


class RecordingWriter:
    """Appends records to a file, each batch handed to the operating system at once.

    What comes before :meth:`begin` is kept back until then; what comes after :meth:`close` is
    ignored. A torn last line that an earlier run left is removed first.

    Where a file can't be written any more, a full disk say, recording ends and ``failure`` says so,
    with one warning; what is recorded goes on undisturbed, and what was written stays readable.

    :raises UsageError: where the file can't be written, or exists and is no recording.
    """

    def __init__(self, path: str | Path, *, credentials: Credentials | None = None) -> None:
        self.frames = 0
        """Frames received and written."""
        self.bytes = 0
        """Bytes written."""
        self.failure: RecordingFailed | None = None
        """Why recording ended before it was closed; None where it goes on, or ended well."""
        self._clock: Clock = SYSTEM_CLOCK
        self._secrets = spellings(credentials)
        self._path = path
        self._early: list[Record] | None = []
        self._file: IO[bytes] | None = None
        self._told = False
        self._begun: str | None = None
        try:
            self._file, self._begun = _continued(Path(path))
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror or error}") from None

    def begin(self, header: Header) -> None:
        """Write the header, then what has come before it.

        :raises UsageError: where the file holds what another exchange sent: it stays as it is.
        """
        early, self._early = self._early or [], None
        if self._begun not in (None, header.exchange):
            self._drop()
            raise UsageError(
                f"{self._path} is a recording of {self._begun}, and stays as it is; "
                f"record {header.exchange} into a file of its own"
            )
        self.write(header, *early)

    def write(self, *records: Record) -> None:
        if self._early is not None:
            self._early.extend(records)
            return
        if self._file is None:
            return
        text = b"".join(map(encode, records))
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._fail(error)
            return
        self.bytes += len(text)
        self.frames += sum(isinstance(record, Received) for record in records)

    def _fail(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.failure = RecordingFailed(
            f"can't write {self._path} any more: {reason}; {self.frames} frames are safe in it"
        )
        self.failure.__cause__ = error
        log.warning("recording ends: %s", self.failure)
        self._drop()

    def _drop(self) -> None:
        """Close the file; what it couldn't take is in its buffer, and gone."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def close(self) -> None:
        """End the recording. Idempotent.

        :raises RecordingFailed: once, where it had ended before because it couldn't be written.
        """
        if self._file is not None and self._early is None:
            self.write(End(self._clock.time_ns()))
        self._drop()
        if self.failure is not None and not self._told:
            self._told = True
            raise self.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except RecordingFailed:
            if error is None:
                raise

    # --- secrets ---

    def holds_secret(self, *texts: bytes) -> bool:
        return any(secret in text for secret in self._secrets for text in texts)

    def cleaned(self, text: bytes) -> bytes:
        """Received text without the secrets that it repeats; its length stays."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, b"X" * len(secret))
        return text


def _continued(path: Path) -> tuple[IO[bytes], str | None]:
    """The file, opened for appending after its last complete line, and whose recording it is."""
    file: IO[bytes] = open(path, "a+b")  # noqa: SIM115  (the writer closes it)
    try:
        size = file.seek(0, io.SEEK_END)
        if size == 0:
            return file, None
        file.seek(0)
        first = file.readline()
        start = b'{"kind":"header"'
        if not (first.startswith(start) or (len(first) == size and start.startswith(first))):
            raise UsageError(f"{path} exists and is no recording: it stays as it is")
        keep, tail = _last_line(file, size)
        if tail:
            try:
                decode(tail)
            except ValueError:
                file.truncate(keep)
            else:
                file.write(b"\n")
                file.flush()
        file.seek(0, io.SEEK_END)
    except BaseException:
        file.close()
        raise
    return file, _whose(first)


def _whose(first: bytes) -> str | None:
    """The exchange of a recording's first line, None where that was cut off."""
    try:
        header = decode(first)
    except ValueError:
        return None
    return header.exchange if isinstance(header, Header) else None


def _last_line(file: IO[bytes], size: int) -> tuple[int, bytes]:
    """Where what follows the last newline starts, and what it is."""
    position, tail = size, b""
    while position > 0:
        step = min(65_536, position)
        position -= step
        file.seek(position)
        tail = file.read(step) + tail
        newline = tail.rfind(b"\n")
        if newline >= 0:
            return position + newline + 1, tail[newline + 1 :]
    return 0, tail


class RecordingTransport:
    """Hands everything through to another transport, and writes down what passes."""

    def __init__(
        self, transport: Transport, writer: RecordingWriter, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._clock = clock
        self._connections = 0

    async def connect(
        self, url: str, headers: Sequence[tuple[str, str]] = ()
    ) -> RecordingConnection:
        connection = await self._transport.connect(url, headers)
        self._connections += 1
        shown = shown_url(url)
        self._writer.write(Opened(self._clock.time_ns(), self._connections, shown))
        return RecordingConnection(connection, self._connections, self._writer, self._clock)

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        response = await self._transport.request(base_url, request)
        texts = [value.encode() for value in request.headers.values()]
        texts += [request.query_string.encode(), request.path.encode(), request.body]
        secret = self._writer.holds_secret(*texts)
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
