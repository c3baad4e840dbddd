"""One process at a time: a lock beside a file, which ends with the process that has it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import IO

from ccrs_core.errors import StoreFailed, StoreInUse


class FileLock:
    """Taken when made, until :meth:`release`, or until the process ends, however it does.

    :raises StoreInUse: where another process has it, or this one by another lock.
    :raises StoreFailed: where there can be no such file.
    """

    def __init__(self, path: Path, of: str) -> None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreFailed(f"can't lock {of}: {error}") from error
        self._file: IO[bytes] | None = os.fdopen(handle, "r+b", buffering=0)
        try:
            _lock(self._file)
        except OSError as error:
            holder = _holder(self._file)
            self._file.close()
            if error.errno not in _HELD:
                raise StoreFailed(
                    f"can't lock {of}, as the file system has no locks, it seems: {error}. Keep "
                    "the ledger on a local disk"
                ) from error
            raise StoreInUse(
                f"{of} is kept by another process{holder}: one process at a time writes a ledger. "
                "Give this one an account of its own, account(name=...), with keys of its own, or "
                "let the other one place its orders; the file may be read meanwhile"
            ) from error
        with contextlib.suppress(OSError):
            self._file.seek(_NOTE)
            self._file.truncate(_NOTE)
            self._file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Let it go; also twice."""
        if self._file is not None:
            self._file.close()  # the lock ends with it
            self._file = None


_HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
"""What the system says where somebody else has the lock."""
_NOTE = 1
"""Where the file says who has it: behind the byte that is locked."""


def _holder(file: IO[bytes]) -> str:
    try:
        file.seek(_NOTE)
        told = file.read(20).decode()
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({told})" if told.isdecimal() else ""


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
