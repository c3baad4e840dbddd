"""What a field of a frame can be: plain data that says where it stands and what it means.

Paths lead through objects by their keys and through lists by their places, from the outside in:
``data.b.0``. In a shape with ``rows`` they begin at the row, and at the frame where a slash stands
before them: ``/ts``. What ``absent`` says is the value where a field is missing, null or blank
(which is an empty text, and for prices and times also a zero); without it such a frame is
malformed. ``blank`` says instead what is told of such a row: it is no event, and no error.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from ccrs_core.model.instruments import Instrument


class Needed(enum.Enum):
    """That a field has to be there."""

    NEEDED = enum.auto()


NEEDED = Needed.NEEDED
"""The value of ``absent`` that says: a field must be there."""

Scale = Callable[["Instrument"], Decimal | None]
"""A named function that tells what sizes of an instrument are multiplied with; None: with one."""


@attrs.frozen
class Kind:
    """Base of all kinds of field."""


@attrs.frozen
class Count(Kind):
    """A whole JSON number of at most 18 digits, not below zero unless ``signed``: a number of an
    update, a count. ``quoted``: its digits, as a text.

    ``minus`` is taken from it; where the event's flag that ``unless`` names is true, it is None.
    """

    path: str
    absent: Any = NEEDED
    minus: int = 0
    unless: str | None = None
    signed: bool = False
    quoted: bool = False


@attrs.frozen
class Ms(Kind):
    """A time in milliseconds, a number or its digits, as nanoseconds; of ``other`` where ``path``
    isn't there."""

    path: str
    other: str | None = None
    absent: Any = NEEDED


@attrs.frozen
class Rfc3339(Kind):
    """A time such as ``2026-01-01T00:00:00.123456Z``, as nanoseconds, all digits kept."""

    path: str
    absent: Any = NEEDED


@attrs.frozen
class Text(Kind):
    """A text of 1 to 64 characters, as it is: an id."""

    path: str


@attrs.frozen
class Digits(Kind):
    """The digits of a whole JSON number, as text: an id that is sent as a number."""

    path: str


@attrs.frozen
class Flag(Kind):
    """True or false."""

    path: str
    absent: Any = NEEDED


def _pairs(table: Mapping[Any, Any] | tuple[tuple[Any, Any], ...]) -> tuple[tuple[Any, Any], ...]:
    return tuple(table.items()) if isinstance(table, Mapping) else tuple(table)


@attrs.frozen
class Choice(Kind):
    """One of the texts of a table (or true and false), as what the table says of it.

    Of another one nothing is known: it makes the row no event, or is ``absent`` where that is
    given.
    """

    table: tuple[tuple[Any, Any], ...] = attrs.field(converter=_pairs)
    path: str
    absent: Any = NEEDED

    @property
    def of_flags(self) -> bool:
        """Whether the table is one of true and false."""
        return all(type(key) is bool for key, _ in self.table)


@attrs.frozen
class Price(Kind):
    """A price as text, above zero. ``bare``: as a JSON number."""

    path: str
    absent: Any = NEEDED
    blank: str | None = None
    bare: bool = False


@attrs.frozen
class Size(Kind):
    """A size or volume as text, not below zero, times ``scale``. ``bare``: as a JSON number."""

    path: str
    scale: Scale | None = None
    absent: Any = NEEDED
    blank: str | None = None
    bare: bool = False


@attrs.frozen
class Rate(Kind):
    """A decimal as text, of either sign: a funding rate."""

    path: str
    absent: Any = NEEDED
    blank: str | None = None


@attrs.frozen
class Best(Kind):
    """Price and size of the first of a side's levels, each of which is ``[price, size, …]``; None
    and None where there is none, or one of size zero. For the fields ``bid`` and ``ask``."""

    path: str
    scale: Scale | None = None


@attrs.frozen
class Quote(Kind):
    """Price and size of a side that stand apart; None and None where the size is zero or blank, and
    with ``absent`` where the price is blank. For the fields ``bid`` and ``ask``. ``bare``: as JSON
    numbers."""

    price: str
    size: str
    scale: Scale | None = None
    absent: Any = NEEDED
    bare: bool = False


@attrs.frozen
class Levels(Kind):
    """Levels of a side, as they are sent, each ``[price, size, …]`` of so many columns (None: of
    any number from two on). ``left``: without those of size zero. ``cut``: no more than the
    subscription's (or request's) depth. ``cells``: the keys of price and size where levels are
    objects. ``bare``: with JSON numbers."""

    path: str
    scale: Scale | None = None
    columns: int | None = 2
    left: bool = False
    cut: bool = False
    cells: tuple[str, str] | None = None
    bare: bool = False


@attrs.frozen
class Always(Kind):
    """The same value in all events of a shape."""

    value: Any


@attrs.frozen
class Over(Kind):
    """Whether a candle has ended by the exchange's time: for answers, whose time is known."""


@attrs.frozen(init=False)
class By(Kind):
    """What a named function makes of other fields. It is given what their kinds have checked, and
    raises nothing of it."""

    function: Callable[..., Any]
    arguments: tuple[Kind, ...]

    def __init__(self, function: Callable[..., Any], *arguments: Kind) -> None:
        self.__attrs_init__(function, arguments)


def paths_of(kind: Kind) -> tuple[tuple[str, bool], ...]:
    """The paths that a kind reads, and whether each must be there."""
    match kind:
        case By():
            return tuple(pair for each in kind.arguments for pair in paths_of(each))
        case Quote():
            needed = kind.absent is NEEDED
            return (kind.price, needed), (kind.size, needed)
        case Ms() if kind.other is not None:
            return (kind.path, False), (kind.other, False)
        case Text() | Digits() | Best() | Levels():
            return ((kind.path, True),)
        case Count() | Ms() | Rfc3339() | Flag() | Choice():
            return ((kind.path, kind.absent is NEEDED),)
        case Price() | Size() | Rate():
            return ((kind.path, kind.absent is NEEDED and kind.blank is None),)
    return ()


def is_bare(kind: Kind) -> bool:
    """Whether a kind reads JSON numbers, whose digits an ordinary parser would lose."""
    match kind:
        case Price() | Size() | Quote() | Levels():
            return kind.bare
        case By():
            return any(map(is_bare, kind.arguments))
    return False


__all__ = [
    "NEEDED",
    "Always",
    "Best",
    "By",
    "Choice",
    "Count",
    "Digits",
    "Flag",
    "Kind",
    "Levels",
    "Ms",
    "Needed",
    "Over",
    "Price",
    "Quote",
    "Rate",
    "Rfc3339",
    "Scale",
    "Size",
    "Text",
    "is_bare",
    "paths_of",
]
