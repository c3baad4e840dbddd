"""Recordings spread over several files: which comes next, when, and which belong together.

``day.jsonl`` becomes ``day.0001.jsonl``, ``day.0002.jsonl`` and so on.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.units import NS_PER_SECOND


@attrs.frozen
class Rotation:
    """When a recording goes on in another file; None: never because of that."""

    bytes: int | None = None
    """Written to one, before they are compressed."""
    seconds: float | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("bytes", "seconds"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):
                raise UsageError(f"rotate_{name} must be a number above zero, not {value!r}")

    def due(self, size: int, since_ns: int, now_ns: int | None) -> bool:
        """Whether a file of so many bytes, begun then, has enough."""
        if self.bytes is not None and size >= self.bytes:
            return True
        if self.seconds is None or now_ns is None:
            return False
        return now_ns - since_ns >= self.seconds * NS_PER_SECOND


def numbered(path: Path, number: int) -> Path:
    """The name of one of a recording's files."""
    stem, point, rest = path.name.partition(".")
    return path.with_name(f"{stem}.{number:04}{point}{rest}")


def parts_of(path: Path) -> list[Path]:
    """The files of a recording that was given this name, those that exist, in their order."""
    stem, point, rest = path.name.partition(".")
    found: dict[int, Path] = {}
    for each in path.parent.glob("*"):
        name = each.name
        middle = name[len(stem) + 1 : len(name) - len(point + rest)]
        if middle.isdecimal() and each == numbered(path, int(middle)):
            found[int(middle)] = each
    return [found[number] for number in sorted(found)]


def next_of(path: Path) -> Path:
    """The name of the next file, behind all that exist."""
    there = parts_of(path)
    if not there:
        return numbered(path, 1)
    stem = path.name.partition(".")[0]
    last = there[-1].name.removeprefix(f"{stem}.").partition(".")[0]
    return numbered(path, int(last) + 1)
