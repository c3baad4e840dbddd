"""What a conformance test proves, and to which theme it belongs."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from ccrs_core.conformance.workbench.bounds import bounded

F = TypeVar("F", bound=Callable[..., Any])


class Theme(enum.StrEnum):
    """The parts of the report, in its order."""

    CODEC = "Codec"
    NUMBERS = "Numbers, time and identity"
    BOOKS = "Sequencing and books"
    SUPERVISOR = "Supervisor under faults"
    TRADING = "Orders, fills and account"
    FEEDS = "Backpressure, concurrency and cleanup"
    OPERATION = "Record, replay, observability and packaging"


_LAST = {
    12: Theme.CODEC,
    18: Theme.NUMBERS,
    30: Theme.BOOKS,
    46: Theme.SUPERVISOR,
    58: Theme.TRADING,
    67: Theme.FEEDS,
    75: Theme.OPERATION,
}
"""Number of each theme's last property."""


class Against(enum.StrEnum):
    """What a plugin is held against by a test."""

    EMULATOR = "emulator"
    """Its own emulated exchange, and what really happened to its markets."""
    SAMPLES = "samples"
    """Frames and answers that are kept with what they mean."""
    FACTS = "facts"
    """What the exchange's documents say, each with its source."""
    NOTHING = "nothing"
    """The plugin's own word alone, or rules that hold for every exchange."""


@attrs.frozen
class Property:
    """A numbered property; its text is the docstring of the test that proves it."""

    number: int
    theme: Theme
    against: Against = Against.EMULATOR
    quick: bool = True
    """Whether the quick profile tries it."""


def proves(
    number: int, *, against: Against = Against.EMULATOR, quick: bool = True
) -> Callable[[F], F]:
    """Mark a test as the proof (or a part of it) of a numbered property, and give it an end."""
    theme = next(theme for last, theme in _LAST.items() if number <= last)

    def mark(test: F) -> F:
        found = bounded(test)
        found.ccrs_property = Property(number, theme, against, quick)  # type: ignore[attr-defined]
        return found

    return mark


def property_of(test: object) -> Property | None:
    """What a test proves, where it is marked."""
    found = getattr(test, "ccrs_property", None)
    return found if isinstance(found, Property) else None
