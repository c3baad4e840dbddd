"""Inflates frames of exchanges that compress each of them, within a bound."""

from __future__ import annotations

import enum
import zlib

from ccrs_core.errors import DecodeError

LARGEST = 16 * 1024 * 1024
"""Bytes that a frame may inflate to."""


class Compression(enum.StrEnum):
    """How an exchange compresses the content of its frames (beneath it the WebSocket's own
    permessage-deflate is the transport's)."""

    GZIP = "gzip"
    DEFLATE = "deflate"
    """Without any header."""


_WINDOW = {Compression.GZIP: 31, Compression.DEFLATE: -15}


def inflate(frame: bytes, compression: Compression, largest: int = LARGEST) -> bytes:
    """The content of a compressed frame. A frame that is no gzip comes back as it is, since such
    exchanges send some frames plain.

    :raises DecodeError: where it is damaged, cut short, or inflates to more than ``largest`` bytes.
    """
    if compression is Compression.GZIP and not frame.startswith(b"\x1f\x8b"):
        return frame
    machine = zlib.decompressobj(_WINDOW[compression])
    try:
        content = machine.decompress(frame, largest)
    except zlib.error as error:
        raise DecodeError(f"can't be inflated: {error}", frame) from None
    if machine.unconsumed_tail:
        raise DecodeError(f"inflates to more than {largest} bytes", frame)
    if not machine.eof:
        raise DecodeError("compressed frame cut short", frame)
    return content
