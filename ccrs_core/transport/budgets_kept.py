"""What was asked of addresses, and the pauses that they want, in a file: exchanges go on counting
after a process was killed, and ban an address that asks too much for minutes.

Each grant is a line, written before the request leaves; what was written outlives the process,
however it ends. Where the file can't be written, nothing is remembered, and a warning says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path

import attrs

from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import Clock

log = logging.getLogger("ccrs.requests")

_SMALLEST = 64 * 1024
"""Bytes from which on the file is written anew, without what is over."""
_AHEAD_NS = 60 * NS_PER_SECOND
"""What a line is ahead of the local clock by, at most, to be heeded: a clock that was set back for
years holds nobody back for years."""
_LONGEST_NS = 3600 * NS_PER_SECOND
"""For how long a line is kept of what nobody in this process counts."""


@attrs.frozen
class Spent:
    """What somebody was granted of a budget."""

    at_ns: int
    """Nanoseconds UTC, by the local clock."""
    by: str
    """A window of some process."""
    weight: int


class KeptBudgets:
    """The file of one ledger's process.

    :param path: it needn't be there yet.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._alone = threading.Lock()
        self._lengths: dict[str, int] = {}
        """By budget: for how long (ns) what was granted of it counts."""
        self._handle: int | None = None
        self._size = 0
        self._most = _SMALLEST
        lines = b""
        try:
            with contextlib.suppress(FileNotFoundError):
                lines = path.read_bytes()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
        except OSError as error:
            self._fail(error)
        self._lines = [each for each in map(_parsed, lines.splitlines()) if each is not None]

    def spent(self, budget: str, seconds: float) -> list[Spent]:
        """What was granted of a budget before this was opened, oldest first, as far as it counts
        yet: so many ``seconds``."""
        length_ns = round(seconds * NS_PER_SECOND)
        with self._alone:
            self._lengths[budget] = length_ns
        now_ns = self._clock.time_ns()
        found = [
            Spent(at_ns, by, number)
            for at_ns, kind, by, number, what in self._lines
            if kind == "g" and what == budget and -_AHEAD_NS <= now_ns - at_ns < length_ns
        ]
        return sorted(found, key=lambda each: each.at_ns)

    def pause(self, address: str) -> float:
        """Seconds for which an address wants to be left alone, as far as was noted."""
        now_ns, left = self._clock.time_ns(), 0
        for at_ns, kind, _, length_ns, what in self._lines:
            if kind == "p" and what == address and at_ns <= now_ns + _AHEAD_NS:
                # A clock that was set back makes no pause longer than it was.
                left = max(left, min(at_ns + length_ns - now_ns, length_ns))
        return left / NS_PER_SECOND

    def note(self, budget: str, spent: Spent) -> None:
        """Something may leave."""
        self._write(f"{spent.at_ns}\tg\t{spent.by}\t{spent.weight}\t{budget}\n")

    def note_pause(self, address: str, seconds: float) -> None:
        """An address wants to be left alone for so long."""
        length_ns = round(seconds * NS_PER_SECOND)
        self._write(f"{self._clock.time_ns()}\tp\t-\t{length_ns}\t{address}\n")

    def close(self) -> None:
        """Note nothing any more; also twice."""
        with self._alone:
            handle, self._handle = self._handle, None
            if handle is not None:
                os.close(handle)

    # --- the file ---

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._handle = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._handle).st_size
        if self._size:
            self._put(b"\n")  # its last line may be torn

    def _put(self, line: bytes) -> None:
        assert self._handle is not None
        os.write(self._handle, line)
        self._size += len(line)

    def _write(self, line: str) -> None:
        with self._alone:
            if self._handle is None:
                return
            try:
                self._put(line.encode())
                if self._size > self._most:
                    self._shorten()
            except OSError as error:
                self._fail(error)

    def _shorten(self) -> None:
        """Leave out what is over."""
        now_ns = self._clock.time_ns()
        kept = [line for line in self._path.read_bytes().splitlines() if self._lives(line, now_ns)]
        text = b"".join(line + b"\n" for line in kept)
        other = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            other.unlink()
        handle = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        old, self._handle = self._handle, None
        if old is not None:
            os.close(old)  # some systems replace no open file
        other.replace(self._path)
        self._open()
        self._most = max(_SMALLEST, 2 * self._size)

    def _lives(self, line: bytes, now_ns: int) -> bool:
        parsed = _parsed(line)
        if parsed is None:
            return False
        at_ns, kind, _, number, what = parsed
        length_ns = number if kind == "p" else self._lengths.get(what, _LONGEST_NS)
        return now_ns - length_ns < at_ns <= now_ns + _AHEAD_NS

    def _fail(self, error: OSError) -> None:
        log.warning(
            "what is asked isn't remembered for a later process, which may ask too much: %s", error
        )
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)


_Line = tuple[int, str, str, int, str]


def _parsed(line: bytes) -> _Line | None:
    """When, what kind, by whom, how much and of what; None of one that is torn."""
    try:
        at, kind, by, number, what = line.decode().split("\t")
        return int(at), kind, by, int(number), what
    except ValueError:
        return None


__all__ = ["KeptBudgets", "Spent"]
