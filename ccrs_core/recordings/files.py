"""Recordings on disk: read line by line, written, continued where one was broken off."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import attrs

from ccrs_core.contract.credentials import Credentials
from ccrs_core.errors import RecordingFailed, UsageError
from ccrs_core.recordings import compressed, parts
from ccrs_core.recordings.format import (
    Closed,
    End,
    Header,
    Opened,
    Received,
    Record,
    decode,
    encode,
)
from ccrs_core.recordings.parts import Rotation
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock
from ccrs_core.transport.masking import spelled, spellings

log = logging.getLogger("ccrs.recording")


# --- Reading --------------------------------------------------------------------------------


def read(path: str | Path) -> Iterator[Record]:
    """The records of a file, in order; a last line that was cut off is left out, with a warning.

    :raises UsageError: where the file can't be read or another line isn't a record.
    """
    for number, line, torn in lines(path):
        try:
            yield decode(line)
        except UsageError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
        except ValueError as error:
            if torn:
                log.warning("%s breaks off in line %s: what follows it is lost", path, number)
                return
            raise UsageError(f"{path}:{number}: {error}") from error


def in_a_row(paths: Sequence[Path]) -> Iterator[Record]:
    """The records of files, one after the other. One that goes on with what another began is a part
    of it: what it repeats, as a file that may be read alone, is left out."""
    part: tuple[int, int] | None = None
    known: set[int] = set()
    for path in paths:
        repeats = False
        for record in read(path):
            match record:
                case Header(ns=ns, part=number):
                    repeats = part == (ns, number - 1)
                    part = ns, number
                    if repeats:
                        continue
                    known.clear()
                case Opened(_, number) if not repeats or number not in known:
                    known.add(number)
                case Opened():
                    continue
                case _:
                    repeats = False
            yield record


def lines(path: str | Path) -> Iterator[tuple[int, bytes, bool]]:
    """The lines of a file that aren't blank: number, content, whether it ends without newline."""
    try:
        with compressed.opened(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip(), not line.endswith(b"\n")
    except EOFError:
        log.warning("%s breaks off in the middle of what was compressed", path)
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror or error}") from None


# --- Writing --------------------------------------------------------------------------------


class RecordingWriter:
    """Appends records to a file, each batch handed to the operating system at once (compressed:
    once a second, by :meth:`write` or :meth:`flush`).

    What comes before :meth:`begin` is kept back until then; what comes after :meth:`close` is
    ignored. A torn last line that an earlier run left is removed first. Nobody else can write to
    the file meanwhile.

    Where a file can't be written any more, a full disk say, recording ends and ``failure`` says so,
    with one warning; what is recorded goes on undisturbed, and what was written stays readable.

    :param rotation: spreads the recording over several files.
    :raises UsageError: where the file can't be written, is being written by somebody else, or
        exists and is no recording, or one that is compressed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        credentials: Credentials | None = None,
        rotation: Rotation | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.frames = 0
        """Frames received and written."""
        self.bytes = 0
        """Bytes written, before they are compressed."""
        self.failure: RecordingFailed | None = None
        """Why recording ended before it was closed; None where it goes on, or ended well."""
        self._clock: Clock = clock
        self._secrets = spellings(credentials)
        self._rotation = rotation
        self._named = Path(path)
        self._header: Header | None = None
        self._links: dict[int, Opened] = {}
        self._size = 0
        self._since_ns = 0
        self._early: list[Record] | None = []
        self._file: IO[bytes] | None = None
        self._told = False
        self._begun: str | None = None
        self._new = False
        self.paths: list[Path] = []
        """The files, in the order in which they were begun; more than one where it rotates."""
        self._open()

    @property
    def _path(self) -> Path:
        return self.paths[-1]

    def _open(self) -> None:
        path = self._named if self._rotation is None else parts.next_of(self._named)
        self._new = not path.exists()
        try:
            if compressed.is_compressed(path):
                self._file, self._begun = compressed.created(path, self._clock), None
            else:
                self._file, self._begun = _continued(path)
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror or error}") from None
        self.paths.append(path)

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
        self._header, self._since_ns = header, header.ns
        self.write(header, *early)

    def write(self, *records: Record) -> None:
        if self._early is not None:
            self._early.extend(records)
            return
        if self._file is None:
            return
        if self._rotation is not None:
            self._turn(self._rotation, records)
        self._write(*records)

    def _write(self, *records: Record) -> None:
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
        self._size += len(text)
        self.frames += sum(isinstance(record, Received) for record in records)

    def _turn(self, rotation: Rotation, records: Sequence[Record]) -> None:
        """Go on in another file where this one has enough; it knows what is open."""
        header = self._header
        last_ns = records[-1].ns if records else None
        if header is not None and rotation.due(self._size, self._since_ns, last_ns):
            if not self._closed():
                return
            try:
                self._open()
            except UsageError as error:
                self._fail(OSError(str(error)))
                return
            self._size, self._since_ns = 0, last_ns or self._since_ns
            self._header = attrs.evolve(header, part=header.part + 1)
            self._write(self._header, *self._links.values())
        for record in records:
            if isinstance(record, Opened):
                self._links[record.connection] = record
            elif isinstance(record, Closed):
                self._links.pop(record.connection, None)

    def flush(self) -> None:
        """Hand on what has waited long enough, though nothing follows it."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        safe = f"{self.frames} frames are safe in it"
        if compressed.is_compressed(self._path):
            safe = "what came until a second before is safe in it"
        self.failure = RecordingFailed(f"can't write {self._path} any more: {reason}; {safe}")
        self.failure.__cause__ = error
        log.warning("recording ends: %s", self.failure)
        self._drop()

    def _closed(self) -> bool:
        """Close the file; whether it took all of what was still to be compressed."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as error:
            self._fail(error)
            return False
        return True

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
            self._write(End(self._clock.time_ns()))
        self._closed()
        if self.failure is not None and not self._told:
            self._told = True
            raise self.failure

    def discard(self) -> None:
        """End what wasn't closed; a file that was made for nothing goes again."""
        self._drop()
        if self._new and not self.bytes:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

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

    def hide(self, secret: str) -> None:
        """Never write this down, in any spelling that it has in JSON, queries and forms."""
        self._secrets = sorted({*self._secrets, *spelled(secret)}, key=len, reverse=True)

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
        compressed.claim(file, path)
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
