"""What frames are copies of, told without decoding them, for racing connections."""

from __future__ import annotations

from collections.abc import Callable

from ccrs_okx.streams import BookStream, Stream

Peek = Callable[[bytes], tuple[str, int | bytes, bool] | None]

_PREVIOUS = b'"prevSeqId":'
_BUY, _SELL = b'"side":"buy"', b'"side":"sell"'
_LONGEST = 26


def peek_of(stream: Stream) -> Peek | None:
    """How to look at the frames of a stream; None where they must be decoded."""
    topic, number, name = stream.topic, stream.number, stream.name
    if name is not None:

        def identified(frame: bytes) -> tuple[str, bytes, bool] | None:
            found = _after(frame, name)
            # A side that nobody knows makes no trade.
            known = _BUY in frame or _SELL in frame
            return (topic, found, False) if found is not None and known and _whole(frame) else None

        return identified
    if number is None:
        return None
    if isinstance(stream, BookStream):

        def chained(frame: bytes) -> tuple[str, int, bool] | None:
            now, before = _after(frame, number), _after(frame, _PREVIOUS)
            if now is None or before is None or not _whole(frame):
                return None
            if frame.find(b'"action":"update"') >= 0:
                return topic, int(now), int(now) < int(before)
            if frame.find(b'"action":"snapshot"') >= 0:
                return topic, int(now), False
            return None

        return chained

    def numbered(frame: bytes) -> tuple[str, int, bool] | None:
        found = _after(frame, number)
        if found is None or not found.isdigit() or len(found) > 18 or not _whole(frame):
            return None
        return topic, int(found), False

    return numbered


def _whole(frame: bytes) -> bool:
    return frame[-3:] == b"}]}"


def _after(frame: bytes, key: bytes) -> bytes | None:
    """The digits (perhaps with a minus) that follow a key; None unless it is there once."""
    place = frame.rfind(key)
    # Were it there a second time, this might be the wrong one.
    if place < 0 or frame.find(key, 0, place) >= 0:
        return None
    start = place + len(key)
    tail = frame[start : start + _LONGEST]
    quoted = key[-1:] == b'"'
    if quoted and b'"' not in tail:
        return None  # longer than what is looked at
    for stop in (b'"',) if quoted else (b",", b"}"):
        tail = tail.partition(stop)[0]
    if not (tail[1:] if tail[:1] == b"-" else tail).isdigit():
        return None
    return tail if quoted or len(tail) <= 19 else None
