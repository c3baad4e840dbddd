"""Bursts of one topic, judged as a whole: a few operations on all frames, not some on each."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

KEY = b'"seqId":'
END = b"}]}"
_MOST_DIGITS = 18


def rising(frames: Sequence[bytes], head: bytes) -> bool:
    """Whether frames all begin with ``head`` (the topic), end with the number of the state that
    they tell, and have numbers that don't fall. False where that can't be told in this cheap way.
    """
    last = frames[-1]
    digits = len(last) - len(END) - len(KEY) - last.rfind(KEY)
    if not 0 < digits <= _MOST_DIGITS:
        return False
    number = -len(END) - digits
    columns = itemgetter(
        slice(0, len(head)),
        slice(number - len(KEY), number),
        slice(number, -len(END)),
        slice(-len(END), None),
    )
    heads, keys, numbers, ends = zip(*map(columns, frames), strict=True)
    count = len(frames)
    return (
        heads.count(head) == count
        and keys.count(KEY) == count
        and ends.count(END) == count
        # As many digits in each: so that the texts compare as the numbers do.
        and b"".join(numbers).isdigit()
        and list(numbers) == sorted(numbers)
    )
