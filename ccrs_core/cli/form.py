"""Numbers and times as people like to read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

_BARS = "▁▂▃▄▅▆▇█"
NONE = "\N{EN DASH}"
"""Where there is no number."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def price(value: Decimal | None) -> str:
    return NONE if value is None else f"{value:f}"


def size(value: Decimal | None, width: int = 8) -> str:
    """At most ``width`` characters: large sizes by thousands, long ones rounded."""
    if value is None:
        return NONE
    text = f"{value:f}"
    if len(text) <= width:
        return text
    whole = len(f"{abs(int(value))}")
    if whole <= width:
        return f"{value:.{max(width - whole - 1, 0)}f}"
    limit, unit = (10**9, "B") if whole > 9 else (10**6, "M")
    return f"{value / limit:,.2f}{unit}"


def aligned(values: Sequence[Decimal], width: int = 20) -> list[str]:
    """Numbers as they stand below one another: points below points, in equally many characters.

    With as many digits behind the point as any of them has, or as ``width`` allows.
    """
    digits = max((-int(v.as_tuple().exponent) for v in values), default=0)
    whole = max((len(f"{abs(int(v))}") for v in values), default=1)
    digits = max(min(digits, width - whole - 1), 0)
    texts = [f"{value:.{digits}f}" for value in values]
    widest = max(map(len, texts), default=0)
    return [text.rjust(widest) for text in texts]


def printable(text: str) -> str:
    """Text of others, on one line and without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def count(value: int) -> str:
    return f"{value:,}" if value < 10**7 else f"{value / 10**6:,.1f}M"


def rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def ms(value: float | None) -> str:
    """Milliseconds, three digits or so."""
    if value is None:
        return NONE
    if abs(value) >= 10_000:
        return f"{value / 1000:,.0f}s"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:.{digits}f}"


def bps(spread: Decimal, middle: Decimal) -> str:
    value = float(spread / middle * 10_000) if middle else 0.0
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def percent(value: Decimal | None) -> str:
    return NONE if value is None else f"{value * 100:.2f}%"


def rough(value: Decimal | None) -> str:
    """Four digits or so, never in scientific notation."""
    if value is None:
        return NONE
    digits = max(0, min(3 - value.adjusted(), 12)) if value else 0
    return f"{value:.{digits}f}"


def clock(ns: int, digits: int = 3) -> str:
    """Time of day, UTC."""
    seconds, rest = divmod(ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
    return f"{text}.{rest:09d}"[: 9 + digits] if digits else text


def span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def sparkline(values: Sequence[Decimal], width: int) -> str:
    """A little chart of the last values."""
    shown = list(values)[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if low == high:
        return _BARS[3] * len(shown)
    return "".join(_BARS[int((v - low) / (high - low) * 7)] for v in shown)


def bar(share: float, width: int, *, mirrored: bool = False) -> str:
    """A horizontal bar in eighths of a character; mirrored (from the right) in halves."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    full, part = divmod(eighths, 8)
    if mirrored:
        return ("▐" if part >= 4 else "") + "█" * full
    return "█" * full + (_EIGHTHS[part] if part else "")


def plural(number: int, word: str) -> str:
    return f"{count(number)} {word}" if number == 1 else f"{count(number)} {word}s"


def plural_of(number: Decimal, word: str) -> str:
    return f"{number:f} {word}" if number == 1 else f"{number:f} {word}s"


def file_size(count: float) -> str:
    """Bytes, by thousands."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.2f} GB"
