"""What hangs on an object, and which of its containers grow."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ccrs_core.contract.exchange import Exchange
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.subscriptions import Subscription

_CONTAINERS = (dict, list, set, frozenset, tuple, deque, bytearray)
_STRANGERS = (type, ModuleType, BuiltinFunctionType, asyncio.AbstractEventLoop, Exchange)
"""What belongs to all."""
_LEAVES = (str, bytes, int, float, Instrument, Subscription)


def containers(root: object, *others: type) -> dict[str, int]:
    """The longest containers that hang on an object, by the path of names that leads to them.

    Counted, not weighed, so that the same run gives the same numbers. What ``others`` hold isn't
    looked at.
    """
    seen: set[int] = set()
    found: dict[str, int] = {}
    waiting: list[tuple[Any, str]] = [(root, type(root).__name__)]
    while waiting:
        each, path = waiting.pop()
        if id(each) in seen or isinstance(each, (*_STRANGERS, *_LEAVES, *others)):
            continue
        seen.add(id(each))
        if type(each).__module__ == "ccrs_core.wire":
            continue  # the core's own memory of numbers, which is everybody's and has a bound
        if isinstance(each, _CONTAINERS):
            found[path] = max(found.get(path, 0), len(each))
        waiting += _holds(each, path)
    return found


def _holds(each: Any, path: str) -> list[tuple[Any, str]]:
    """What an object holds, each with its path; what a container holds shares one."""
    # Functions know their module's names, which are nobody's.
    if isinstance(each, FunctionType):
        return [(each.__closure__, path), (each.__defaults__, path)]
    if isinstance(each, MethodType):
        return [(each.__self__, f"{path}.{type(each.__self__).__name__}")]
    if isinstance(each, _CONTAINERS):
        items = [*each.keys(), *each.values()] if isinstance(each, dict) else each
        return [(item, path + _kind(item)) for item in items]
    found = dict(getattr(each, "__dict__", {}))
    for kind in type(each).__mro__:
        for name in _slots(kind):
            if hasattr(each, name):
                found[name] = getattr(each, name)
    if found:
        return [(held, f"{path}.{name}") for name, held in found.items()]
    return [(held, path + _kind(held)) for held in gc.get_referents(each)]


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def _kind(item: Any) -> str:
    plain = isinstance(item, (*_CONTAINERS, MethodType, FunctionType))
    return "[]" if plain else f"[].{type(item).__name__}"


def growing(sizes: list[dict[str, int]], least: int) -> dict[str, list[int]]:
    """The containers that have grown by ``least`` or more from each time to the next."""
    found = {}
    for path in sizes[-1]:
        lengths = [each.get(path, 0) for each in sizes]
        if all(b - a >= least for a, b in pairwise(lengths)):
            found[path] = lengths
    return found
