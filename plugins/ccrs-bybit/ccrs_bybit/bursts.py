"""Bursts of one topic, judged as a whole: a few operations on all frames, not some on each."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

_TIME = len(b',"ts":1672304484978')
_SNAPSHOT = b',"type":"snapshot",'


def rising_snapshots(frames: Sequence[bytes], head: bytes) -> bool:
    """Whether frames that begin with ``head`` (up to and including the topic) are all snapshots,
    spelled alike, whose ``u`` don't fall. False where that can't be told in this cheap way."""
    last = frames[-1]
    start = last.rfind(b'"u":')
    comma = last.find(b",", start)
    if start < 0 or comma < 0:
        return False
    # As seen from the end, because prices and sizes have no fixed length.
    begin, end = start - len(last), comma + 1 - len(last)
    kind = len(head) + _TIME
    columns = itemgetter(slice(0, len(head)), slice(kind, kind + len(_SNAPSHOT)), slice(begin, end))
    heads, kinds, numbers = zip(*map(columns, frames), strict=True)
    count = len(frames)
    if heads.count(head) != count or kinds.count(_SNAPSHOT) != count:
        return False
    # The key, as many digits in each, and a comma: so that the texts compare as the numbers do, and
    # what stands between two that begin with the key does so too.
    digits = b"".join(numbers).translate(None, b'"u:,')
    size = end - begin - len(b'"u":,')
    return (
        len(digits) == size * count
        and digits.isdigit()
        and numbers[0][:4] == b'"u":' == numbers[-1][:4]
        and list(numbers) == sorted(numbers)
        and int(digits[:size]) > 1
    )
