"""Files that may be compressed, told by their names: ``.gz``, ``.zst``; each has one writer."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ccrs_core.errors import UsageError
from ccrs_core.extensions.extras import library
from ccrs_core.transport.base import Clock

SUFFIXES = (".gz", ".zst")
HELD = 0.75
"""Seconds after which compressed data is handed to the operating system, by whoever asks next."""
ASKED = HELD / 4
"""Seconds between two that ask: so that no data waits for more than a second."""


def is_compressed(path: str | Path) -> bool:
    return Path(path).suffix in SUFFIXES


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """A file's lines, readable as far as they go.

    :raises EOFError: (while reading) where what was compressed is cut off.
    :raises UsageError: where it is damaged.
    :raises ExtraNotInstalled: for ``.zst``, without ``ccrs-core[zstd]``.
    """
    suffix = Path(path).suffix
    broken: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error)
    if suffix == ".zst":
        zstandard = library("zstandard", "zstd", f"reading {path}")
        broken = (*broken, zstandard.ZstdError)
        raw = open(path, "rb")  # noqa: SIM115 - closed along with its reader
        file = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    else:
        file = gzip.open(path, "rb") if suffix == ".gz" else open(path, "rb")  # noqa: SIM115
    try:
        with file:
            yield _lines(file) if suffix == ".zst" else file
    except broken as error:
        raise UsageError(f"can't read {path}, it is damaged: {error}") from error


def _lines(file: Any) -> Iterator[bytes]:
    """What zstandard's files don't do."""
    rest = b""
    while chunk := file.read(1 << 18):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def created(path: Path, clock: Clock) -> Any:
    """A new file to write to.

    :raises UsageError: where there is one: what is compressed can't be continued.
    :raises ExtraNotInstalled: for ``.zst``, without ``ccrs-core[zstd]``.
    """
    if path.suffix == ".zst":
        zstandard = library("zstandard", "zstd", f"writing {path}")
    try:
        raw = open(path, "xb")  # noqa: SIM115 - the writer closes it
    except FileExistsError:
        raise UsageError(
            f"{path} exists, and stays as it is: a compressed recording isn't continued, name "
            "another file or let the recording rotate"
        ) from None
    claim(raw, path)
    if path.suffix == ".gz":
        return _Written(raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6), clock)
    return _Written(raw, zstandard.ZstdCompressor(level=3).stream_writer(raw), clock)


class _Written:
    """Compresses what is written, and hands it on once a second: whoever writes to it flushes it
    when nothing more comes, too."""

    def __init__(self, raw: IO[bytes], packer: Any, clock: Clock) -> None:
        self._raw = raw
        self._packer = packer
        self._clock = clock
        self._flushed = clock.monotonic()
        self._held = False

    def write(self, text: bytes) -> None:
        self._held = True
        self._packer.write(text)

    def flush(self) -> None:
        now = self._clock.monotonic()
        if self._held and now - self._flushed >= HELD:
            self._flushed, self._held = now, False
            self._packer.flush()
            self._raw.flush()

    def close(self) -> None:
        try:
            self._packer.close()
        finally:
            self._raw.close()


def claim(file: IO[bytes], path: Path) -> None:
    """Make sure that nobody else writes to a file; until it is closed.

    :raises UsageError: where somebody does.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"{path} is being written by another recorder") from None
    except OSError:
        return  # such as some network file systems, which have no locks
