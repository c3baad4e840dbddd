"""Making events on the hot path: at a fraction of a frozen class's price, and converted when read.

What these constructors make is of the event's own class and equal to what the class itself makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import attrs

P = ParamSpec("P")
E = TypeVar("E")
W = TypeVar("W")


class Deferrable:
    """Base of values whose fields may be left on the wire until one of them is read.

    A field that is left is an empty slot, so that Python asks ``__getattr__`` for it, once; fields
    that are there cost what they cost in any class.
    """

    __slots__ = ("_fill", "_wire")

    if not TYPE_CHECKING:  # a checker would take any attribute for given

        def __getattr__(self, name: str) -> Any:
            try:
                fill = _FILL.__get__(self)
            except AttributeError:
                fill = None
            if fill is None or name not in fill.names:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            fill(self)
            return object.__getattribute__(self, name)


_FILL: Any = Deferrable.__dict__["_fill"]
_WIRE: Any = Deferrable.__dict__["_wire"]


def _fill(kind: Any, names: Sequence[str], convert: Callable[[Any], Sequence[Any]]) -> Any:
    """A function that sets the fields of an event that are still on the wire."""
    scope: dict[str, Any] = {f"set_{name}": getattr(kind, name).__set__ for name in names}
    scope |= {"convert": convert, "wire_of": _WIRE.__get__, "forget": _WIRE.__delete__}
    setting = "".join(f"    set_{name}(event, {name})\n" for name in names)
    exec(  # noqa: S102 - of nothing but the class's own field names
        "def fill(event):\n"
        "    try:\n        wire = wire_of(event)\n"
        "    except AttributeError:\n        return\n"  # another thread was faster
        f"    {', '.join(names)}, = convert(wire)\n{setting}"
        "    try:\n        forget(event)\n"
        "    except AttributeError:\n        pass\n",
        scope,
    )
    fill = scope["fill"]
    fill.names = frozenset(names)
    return fill


def _mutable(kind: Any) -> Any:
    """A class of the same layout that is not frozen. (Turning an object of it into the frozen one
    is cheap; assigning each field of the frozen one through ``object.__setattr__`` isn't.)"""
    return type(kind.__name__, kind.__bases__, {"__slots__": kind.__dict__["__slots__"]})


def fast_constructor(event: Callable[P, E]) -> Callable[P, E]:
    """A constructor of an event class at a third of its cost, for codecs."""
    kind: Any = event
    fields = attrs.fields(kind)
    scope: dict[str, Any] = {"new": object.__new__, "mutable": _mutable(kind), "frozen": kind}
    construct = _compiled([field.name for field in fields], (), scope)
    construct.__defaults__ = tuple(f.default for f in fields if f.default is not attrs.NOTHING)
    return cast(Callable[P, E], construct)


def deferred_constructor(
    event: Callable[..., E], deferred: Sequence[str], convert: Callable[[W], Sequence[Any]]
) -> Callable[..., E]:
    """A constructor of an event class that leaves some fields on the wire until one is read.

    It takes the other fields, in their order, and then a value from which ``convert`` makes the
    deferred ones, in the order of ``deferred``. That happens once, for all of them, when the first
    is read; comparing, hashing, printing and pickling read them. Check beforehand that the value
    can be converted: ``convert`` must not raise.
    """
    kind: Any = event
    names = [field.name for field in attrs.fields(kind)]
    unknown = set(deferred) - set(names)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    scope: dict[str, Any] = {
        "new": object.__new__,
        "mutable": _mutable(kind),
        "frozen": kind,
        "fill": _fill(kind, deferred, convert),
    }
    eager = [name for name in names if name not in deferred]
    return cast(Callable[..., E], _compiled(eager, ("_wire",), scope))


def _compiled(fields: Sequence[str], hidden: Sequence[str], scope: dict[str, Any]) -> Any:
    parameters = [*fields, *hidden]
    lines = [f"    made.{name} = {name}\n" for name in parameters]
    if hidden:
        lines.append("    made._fill = fill\n")
    exec(  # noqa: S102 - of nothing but the class's own field names
        f"def construct({', '.join(parameters)}):\n    made = new(mutable)\n{''.join(lines)}"
        "    made.__class__ = frozen\n    return made\n",
        scope,
    )
    return scope["construct"]


__all__ = ["Deferrable", "deferred_constructor", "fast_constructor"]
