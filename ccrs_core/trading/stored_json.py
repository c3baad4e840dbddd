"""What a ledger keeps, as JSON and back: digit for digit, and readable by whoever opens the file.

A field that has its default isn't written, and one that isn't there is read as its default: a later
version may add fields that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import attrs
import orjson

from ccrs_core.errors import StoreFailed
from ccrs_core.model.accounts import (
    AccountEvent,
    Adjustment,
    Income,
    LedgerConflict,
    MarginCall,
    Position,
)
from ccrs_core.model.events import Balance
from ccrs_core.model.orders import Fill, OrderUpdate

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

KINDS: dict[str, type[Any]] = {
    kind.type: kind
    for kind in (
        *(OrderUpdate, Fill, Position, Balance),
        *(Income, Adjustment, MarginCall, LedgerConflict),
    )
}
"""Events of a ledger by their ``type``."""


def written(value: Any) -> str:
    """A value as JSON."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is Decimal:
        text = str(value)
        # 1E-8 is easier read as 0.00000001; 1E+3 isn't 1000, which has four digits.
        return format(value, "f") if "E-" in text else text
    fields = _FIELDS.get(kind)
    if fields is None:
        if isinstance(value, tuple):
            return list(value)
        if isinstance(value, Mapping):
            return dict(value)
        if not attrs.has(kind):
            return str(value)  # what a user gave for an exchange's own field
        fields = _FIELDS[kind] = _fields(kind)
    names, values, defaults = fields
    return {
        name: each
        for name, each, default in zip(names, values(value), defaults, strict=True)
        if each is not default and (default is None or each != default)
    }


_Fields = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]
_FIELDS: dict[type[Any], _Fields] = {}
"""Of each class the names of its fields, what gets their values, and those that aren't written."""


_MISSING = object()


def _fields(kind: type[Any]) -> _Fields:
    found: list[Any] = []
    for field in attrs.fields(kind):
        default: Any = field.default
        if default is attrs.NOTHING:
            default = _MISSING
        elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        found.append(default)
    names = tuple(field.name for field in attrs.fields(kind))
    return names, attrgetter(*names), tuple(found)


def read(kind: type[T], text: str) -> T:
    """The value of a class that was written.

    :raises StoreFailed: where it is none.
    """
    try:
        return _converter().structure(orjson.loads(text), kind)
    except Exception as error:
        raise StoreFailed(f"a stored {kind.__name__} can't be read: {text[:200]!r}") from error


def read_event(kind: str, text: str) -> AccountEvent:
    """The event of a type that was written.

    :raises StoreFailed: where it is none, or a later version's.
    """
    found = KINDS.get(kind)
    if found is None:
        raise StoreFailed(
            f"a stored event is of the type {kind!r}, which this version doesn't know"
        )
    event: AccountEvent = read(found, text)
    return event


def _named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _named_reader(made: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    """Reads a named tuple of the list of its values; the last ones may be missing."""
    hooks = [(hint, made.get_structure_hook(hint)) for hint in get_type_hints(kind).values()]

    def structure(values: Any, _: Any) -> Any:
        pairs = zip(values, hooks, strict=False)
        return kind(*(hook(value, hint) for value, (hint, hook) in pairs))

    return structure


@cache
def _converter() -> cattrs.Converter:
    import cattrs

    made = cattrs.Converter(forbid_extra_keys=False, detailed_validation=False)
    made.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    made.register_structure_hook_factory(_named_tuple, lambda kind: _named_reader(made, kind))
    return made
