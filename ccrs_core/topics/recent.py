"""Memories of what came lately. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")


def followed(
    former: OrderedDict[K, None], later: OrderedDict[K, None], most: int
) -> OrderedDict[K, None]:
    """The latest of two memories, at most so many; both may be changed. What it costs depends on
    what came since the one before."""
    if len(later) >= most:
        return later
    former.update(later)
    while len(former) > most:
        former.popitem(last=False)
    return former
