"""Making events on the hot path: at a fraction of a frozen class's price, and converted when read.

What these constructors make is of the event's own class and equal to what the class itself makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import attrs

P = ParamSpec("P")
E = TypeVar("E")
W = TypeVar("W")


class Deferrable:
    """Base of values whose fields may be left on the wire until one of them is read.

    A field that is left is an empty slot, so that Python asks ``__getattr__`` for it, once. With
    such a method every read costs several times as much, of fields that are there, too: so only
    classes have it of which fields are left by :func:`deferred_constructors`.
    """

    __slots__ = ("_fill", "_wire")


def _read_late(self: Any, name: str) -> Any:
    """``__getattr__`` of classes of which fields are left."""
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


def _mutable(kind: Any) -> Any:
    """A class of the same layout that is not frozen. (Turning an object of it into the frozen one
    is cheap; assigning each field of the frozen one through ``object.__setattr__`` isn't.)"""
    return type(kind.__name__, kind.__bases__, {"__slots__": kind.__dict__["__slots__"]})


def fast_constructor(event: Callable[P, E]) -> Callable[P, E]:
    """A constructor of an event class at a third of its cost, for codecs; of another class as far
    as it has no slot for weak references. Nothing is converted or checked. Of fields by keyword
    alone, those whose default is made anew each time (an empty dict, say) must be given."""
    kind: Any = event
    fields = attrs.fields(kind)
    scope: dict[str, Any] = {"new": object.__new__, "mutable": _mutable(kind), "frozen": kind}
    named = any(field.kw_only for field in fields)
    construct = _compiled([field.name for field in fields], scope, named)
    given = [each for each in fields if each.default is not attrs.NOTHING]
    if named:
        plain = [each for each in given if not isinstance(each.default, attrs.Factory)]  # type: ignore[arg-type]
        construct.__kwdefaults__ = {each.name: each.default for each in plain}
    else:
        construct.__defaults__ = tuple(each.default for each in given)
    return cast(Callable[P, E], construct)


def fast_evolve(kind: type[E]) -> Callable[[E, Mapping[str, Any]], E]:
    """What changes some fields of a frozen value, at a fraction of ``attrs.evolve``'s cost. Nothing
    is converted or checked: what is given must be as the class would have made it. (A class that
    isn't an event must have no slot for weak references.)"""
    names = [field.name for field in attrs.fields(cast(Any, kind))]
    scope: dict[str, Any] = {"new": object.__new__, "mutable": _mutable(kind), "frozen": kind}
    lines = "".join(f"    made.{name} = value.{name}\n" for name in names)
    exec(  # noqa: S102 - of nothing but the class's own field names
        f"def evolve(value, changes):\n    made = new(mutable)\n{lines}"
        "    for name, each in changes.items():\n        setattr(made, name, each)\n"
        "    made.__class__ = frozen\n    return made\n",
        scope,
    )
    return cast("Callable[[E, Mapping[str, Any]], E]", scope["evolve"])


def deferred_constructors(
    event: Callable[..., E], deferred: Sequence[str], convert: Callable[[W], Sequence[Any]]
) -> Callable[[], Callable[..., E]]:
    """Constructors of an event class that leave some fields on the wire until one is read.

    What this returns makes one constructor for each stream. It takes the other fields, in their
    order, and then a value from which ``convert`` makes the deferred ones, in the order of
    ``deferred``: once, for all of them, when the first is read. (Comparing, hashing, printing and
    pickling read them.) Check the value beforehand: ``convert`` mustn't raise.

    Converting late costs about twice what converting at once does. So where most events of a stream
    get read, its constructor converts at once, and leaves just one in :data:`PROBE` for later to
    see whether that still holds.
    """
    kind: Any = event
    names = [field.name for field in attrs.fields(kind)]
    unknown = set(deferred) - set(names)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    kind.__getattr__ = _read_late
    scope: dict[str, Any] = {f"set_{name}": getattr(kind, name).__set__ for name in deferred}
    scope |= {
        "new": object.__new__,
        "mutable": _mutable(kind),
        "frozen": kind,
        "convert": convert,
        "wire_of": _WIRE.__get__,
        "forget": _WIRE.__delete__,
        "names": frozenset(deferred),
        "Habit": _Habit,
        "window": _WINDOW,
        "probe": PROBE - 1,
    }
    eager = [name for name in names if name not in deferred]
    exec(  # noqa: S102 - of nothing but the class's own field names
        _DEFERRED.format(
            values=", ".join(deferred),
            setting="".join(f"        set_{name}(event, {name})\n" for name in deferred),
            parameters=", ".join(eager),
            eager="".join(f"        made.{name} = {name}\n" for name in eager),
            late="".join(f"            made.{name} = {name}\n" for name in deferred),
        ),
        scope,
    )
    return cast(Callable[[], Callable[..., E]], scope["constructor"])


PROBE = 16
"""One event in so many is left on the wire where most get read."""
_WINDOW = 1024
"""Events left on the wire after which the consumers' habit is judged anew: more than a burst, whose
events are all made before the first is read."""


class _Habit:
    """Whether the consumers of a stream read most of its events."""

    __slots__ = ("at_once", "left", "read")

    def __init__(self) -> None:
        self.at_once = -1
        """Events that are to be converted at once before the next one is left; -1: leave all."""
        self.left = 0
        self.read = 0

    def judge(self) -> None:
        """Enough events were left on the wire to see whether they get read."""
        reading = 2 * self.read > self.left
        self.left //= 2
        self.read //= 2
        self.at_once = PROBE - 1 if reading else -1


_DEFERRED = """\
def constructor():
    habit = Habit()

    def fill(event):
        try:
            wire = wire_of(event)
        except AttributeError:  # another thread was faster
            return
        habit.read += 1
        {values}, = convert(wire)
{setting}        try:
            forget(event)
        except AttributeError:
            pass

    fill.names = names

    def construct({parameters}, wire):
        made = new(mutable)
{eager}        if habit.at_once > 0:
            habit.at_once -= 1
            {values}, = convert(wire)
{late}        else:
            habit.left += 1
            if habit.left >= window:
                habit.judge()
            elif not habit.at_once:
                habit.at_once = probe
            made._wire = wire
            made._fill = fill
        made.__class__ = frozen
        return made

    return construct
"""


def _compiled(fields: Sequence[str], scope: dict[str, Any], named: bool) -> Any:
    lines = "".join(f"    made.{name} = {name}\n" for name in fields)
    exec(  # noqa: S102 - of nothing but the class's own field names
        f"def construct({'*, ' * named}{', '.join(fields)}):\n    made = new(mutable)\n{lines}"
        "    made.__class__ = frozen\n    return made\n",
        scope,
    )
    return scope["construct"]


__all__ = ["PROBE", "Deferrable", "deferred_constructors", "fast_constructor", "fast_evolve"]
