"""Recordings on disk: read line by line, written, continued where one was broken off."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ccrs_core.contract.credentials import Credentials
from ccrs_core.errors import RecordingFailed, UsageError
from ccrs_core.recordings.format import End, Header, Received, Record, decode, encode
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock
from ccrs_core.transport.masking import spelled, spellings

log = logging.getLogger("ccrs.recording")


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


# A safety net below the masking by value: frames that are logins by their look.
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
