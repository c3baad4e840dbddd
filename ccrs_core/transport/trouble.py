"""What went wrong on the network, in words that don't depend on who made the connection."""

from __future__ import annotations

import errno
import socket
import ssl

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


def said(error: BaseException) -> str:
    """A network error in a few words; its own where it isn't of a well-known kind."""
    # Libraries derive their errors from those that they wrap, but leave them empty.
    for cause in reversed(_causes(error)):
        text = _known(cause)
        if text is not None:
            return text
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made of, as libraries keep it."""
    found = [error]
    for name in ("certificate_error", "os_error", "__cause__"):
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException):
            found += _causes(inner)
    return found


def _known(error: BaseException) -> str | None:
    match error:
        case socket.gaierror():
            return f"the host's name can't be resolved ({error.strerror or error})"
        case ssl.SSLCertVerificationError():
            detail = getattr(error, "verify_message", None) or error
            return f"its certificate isn't trusted ({detail})"
        case ssl.SSLError():
            return f"no TLS with it ({error.reason or error})"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() if error.errno is not None:
            return "connection reset"
        case ConnectionResetError() if not error.args:  # asyncio's, before TLS is agreed on
            return "the other side ended the connection before TLS was agreed on"
        case OSError() if error.errno in _UNREACHABLE:
            return "no way to the host"
        case _:
            return None
