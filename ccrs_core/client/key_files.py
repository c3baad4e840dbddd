"""Files that hold secrets: read whole, and only where nobody else can read them."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from ccrs_core.errors import CredentialsUnsafe, UsageError

_MOST = 64 * 1024
"""Bytes; no file of keys is as long."""


def read_private(path: Path, called: str) -> str:
    """The text of a file that only its owner can read. What is opened is judged, so that links lead
    around nothing.

    It must be the user's own and closed to all others; one of the superuser's, as containers mount
    secrets, may be open to its group. Where the system has no such owners, nothing is judged.

    :param called: what to call it where it can't be opened: its path may be a slip of the pen, a
        secret even.
    :raises CredentialsUnsafe: where others can read it, or it is somebody else's.
    :raises UsageError: where it can't be read, or is no file of text.
    """
    content = _content(path)
    # Raised out here, so that no foreign error hangs on to it: theirs hold names and content.
    if isinstance(content, str):
        raise UsageError(f"{called} can't be read: {content}")
    if len(content) > _MOST:
        raise UsageError(f"{called} is longer than any keys are ({_MOST // 1024} KiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise UsageError(f"{called} is no text (UTF-8)")


def _content(path: Path) -> bytes | str:
    """The first bytes of a file, or why it can't be read."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        opened = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        return error.strerror or "no reason given"
    except ValueError:  # a NUL in its name
        return "that is no path"
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            return "it is no regular file"
        _check_access(path, found)
        content = b""
        while len(content) <= _MOST and (more := os.read(opened, _MOST + 1)):
            content += more
    except OSError as error:
        return error.strerror or "no reason given"
    finally:
        os.close(opened)
    return content


def _check_access(path: Path, found: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):
        return
    own = found.st_uid == os.geteuid()
    if not own and found.st_uid != 0:
        raise CredentialsUnsafe(
            f"{path} belongs to the user {found.st_uid}, not to you ({os.geteuid()}): keys are "
            "read from files of your own alone"
        )
    mode, allowed = stat.S_IMODE(found.st_mode), 0o700 if own else 0o740
    if mode & ~allowed & 0o777:
        cure = f"chmod {'600' if own else '440'} {shlex.quote(str(path))}"
        raise CredentialsUnsafe(
            f"{path} is open to others (mode {mode:03o}), and the keys in it with it: {cure}, and "
            "consider them seen"
        )
