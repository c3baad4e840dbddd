"""Numbers exactly: units of time, multiples of ticks and lots."""

from __future__ import annotations

NS_PER_SECOND = 1_000_000_000
"""Nanoseconds."""
NS_PER_MS = 1_000_000
"""Nanoseconds in a millisecond."""
