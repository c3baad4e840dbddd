"""Which columns a kind of value has in a table: told by the types of its fields. Pure."""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from itertools import chain, islice
from types import NoneType, UnionType
from typing import Any, Literal

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.events import Level
from ccrs_core.model.serialize import EVENTS, RENAMED

Decimals = Literal["float", "exact", "text"]
"""How a table holds prices, sizes and other exact numbers."""

CHUNK = 32_768
"""Rows that are worked on at once."""


class Holds(enum.Enum):
    """What a column's values are."""

    TEXT = enum.auto()
    INTEGER = enum.auto()
    FLAG = enum.auto()
    FLOAT = enum.auto()
    DECIMAL = enum.auto()
    TIME = enum.auto()
    LEVELS = enum.auto()
    """Prices, or sizes, of all levels of one side."""
    TEXTS = enum.auto()
    """A list of texts."""
    JSON = enum.auto()
    """What has no fixed fields (an exchange's own, say), as a text of JSON."""
    NESTED = enum.auto()
    """A value with fields of its own."""
    SEVERAL = enum.auto()
    """A list of such values."""


@attrs.frozen
class Column:
    """One column of a table."""

    name: str
    holds: Holds
    fields: tuple[str, ...]
    """Where its values come from: the first of these that isn't None."""
    place: int = 0
    """Of levels: 0 for their prices, 1 for their sizes."""
    nested: tuple[Column, ...] = ()
    partial: bool = False
    """Whether only some of the values have it: None stands for it in the others."""


_PLAIN: dict[Any, Holds] = {
    str: Holds.TEXT,
    int: Holds.INTEGER,
    bool: Holds.FLAG,
    float: Holds.FLOAT,
    Decimal: Holds.DECIMAL,
}
_PAIRS = tuple[tuple[str, Decimal], ...]
"""Amounts by asset."""
_MOMENTS = ("exchange_time_ns", "funding_time_ns", "received_time_ns")
"""A row's time, first choice first; what has an opening time is placed there instead."""


@cache
def columns_of(kind: Any) -> tuple[Column, ...]:
    """The columns of a kind of value, ``time`` first where it has any.

    :raises UsageError: where a field is of a type that no column holds.
    """
    if not (isinstance(kind, type) and attrs.has(kind)):
        raise UsageError(f"a table is made of events or other values of ccrs, not of {kind!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in attrs.fields(kind)]
    found = [each for name in names for each in _columns(kind, name, hints[name])]
    choice = ("open_time_ns",) if "open_time_ns" in names else _MOMENTS
    moments = tuple(name for name in choice if name in names)
    if moments:
        found.insert(0, Column("time", Holds.TIME, moments))
    return tuple(found)


def _columns(kind: type[Any], name: str, hint: Any) -> Iterator[Column]:
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        hints = [each for each in typing.get_args(hint) if each is not NoneType]
        hint = hints[0] if len(hints) == 1 else hint
        if len(hints) > 1 and all(isinstance(each, type) and attrs.has(each) for each in hints):
            # One or the other: a struct of the fields of all.
            nested = {each.name: each for kind in hints for each in columns_of(kind)}
            parts = tuple(attrs.evolve(each, partial=True) for each in nested.values())
            yield Column(name, Holds.NESTED, (name,), nested=parts)
            return
    if hint is int and name.endswith("_ns") and (name.endswith("time_ns") or name == "expiry_ns"):
        yield Column(name.removesuffix("_ns"), Holds.TIME, (name,))
    elif hint in _PLAIN:
        yield Column(name, _PLAIN[hint], (name,))
    elif hint == tuple[str, ...]:
        yield Column(name, Holds.TEXTS, (name,))
    elif hint == tuple[Level, ...]:
        side = name.removesuffix("s")
        yield Column(f"{side}_prices", Holds.LEVELS, (name,), 0)
        yield Column(f"{side}_sizes", Holds.LEVELS, (name,), 1)
    elif typing.get_origin(hint) is Mapping or hint == _PAIRS:
        yield Column(name, Holds.JSON, (name,))
    elif isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        yield Column(RENAMED.get(name, name), Holds.TEXT, (name,))
    elif isinstance(hint, type) and attrs.has(hint):
        yield Column(name, Holds.NESTED, (name,), nested=columns_of(hint))
    elif typing.get_origin(hint) is tuple and attrs.has(of := typing.get_args(hint)[0]):
        yield Column(name, Holds.SEVERAL, (name,), nested=columns_of(of))
    else:
        raise UsageError(f"no column holds {kind.__name__}.{name}")


def values(column: Column, rows: list[Any]) -> list[Any]:
    """A column's values of rows (which may be None where they are nested)."""
    from operator import attrgetter

    if column.partial:
        return [getattr(row, column.fields[0], None) for row in rows]
    first, *others = column.fields
    found = list(map(attrgetter(first), rows))
    for other in others:
        if None not in found:
            break
        instead = attrgetter(other)
        found = [
            instead(row) if value is None else value for value, row in zip(found, rows, strict=True)
        ]
    return found


# --- which kind, and in which portions ---


def kind_named(kind: type[Any] | str | None) -> type[Any] | None:
    """A kind as users give it: its class, or the ``type`` of an event.

    :raises UsageError: where there is no such event.
    """
    if not isinstance(kind, str):
        return kind
    if kind not in EVENTS:
        raise UsageError(f"no event is of the type {kind!r}: {', '.join(EVENTS)}")
    return EVENTS[kind]


def chunks(
    events: Iterable[Any], kind: type[Any] | str | None
) -> tuple[type[Any], Iterator[list[Any]]]:
    """The kind of events, and they in portions; with a kind given, those of it alone.

    :raises UsageError: where they are of several kinds, or none tells which; in the middle, where
        another kind turns up.
    """
    if isinstance(events, str | bytes) or not isinstance(events, Iterable):
        raise UsageError(f"events are given as a list or another iterable, not as {events!r:.100}")
    wanted, left = kind_named(kind), iter(events)
    if wanted is None:
        first = list(islice(left, 1))
        if not first:
            raise UsageError("there are no events to tell the columns by: say kind=Trade, say")
        return type(first[0]), _alike(type(first[0]), chain(first, left))
    return wanted, _portions(each for each in left if isinstance(each, wanted))


def _portions(events: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(events)
    while portion := list(islice(left, CHUNK)):
        yield portion


def _alike(kind: type[Any], events: Iterable[Any]) -> Iterator[list[Any]]:
    for portion in _portions(events):
        check_alike(kind, portion)
        yield portion


def check_alike(kind: type[Any], events: list[Any]) -> None:
    """
    :raises UsageError: where not all are of one kind.
    """
    other = next((each for each in set(map(type, events)) if each is not kind), None)
    if other is not None:
        raise UsageError(
            f"events of several kinds, {kind.__name__} and {other.__name__}, make no table: choose "
            f"with kind={kind.__name__}, and make another one of the rest"
        )
