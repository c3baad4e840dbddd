"""Bursts of one stream, judged as a whole: a few operations on all frames, not some on each."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

_END = slice(-2, None)


def rising(frames: Sequence[bytes], lead: bytes) -> bool:
    """Whether frames that begin with ``lead`` (up to and including the key of their number) are all
    whole and have numbers that don't fall. False where that can't be told in this cheap way."""
    start = len(lead)
    end = frames[-1].find(b",", start) + 1
    if not start < end < start + 20:
        return False
    columns = itemgetter(slice(0, start), slice(start, end), _END)
    leads, numbers, ends = zip(*map(columns, frames), strict=True)
    count = len(frames)
    if leads.count(lead) != count or ends.count(b"}}") != count:
        return False
    # As many digits in each, and a comma: so that the texts compare as the numbers do.
    joined, size = b"".join(numbers), end - start
    digits = joined.translate(None, b",")
    return (
        joined[size - 1 :: size] == b"," * count
        and len(digits) == len(joined) - count
        and digits.isdigit()
        and list(numbers) == sorted(numbers)
    )
