"""How thoroughly the suite looks."""

from __future__ import annotations

import enum


class Profile(enum.StrEnum):
    """How many examples properties are tried with."""

    QUICK = "quick"
    """The cheaper tests, with few examples: under forty seconds of processor time, while writing a
    plugin. The report says how many were left out (``proves(quick=False)``)."""
    DEFAULT = "default"
    """All tests, in under five minutes of it: in continuous integration."""
    THOROUGH = "thorough"
    """As long as it takes: before a release."""

    def examples(self, count: int) -> int:
        """How many examples stand for ``count`` of the default profile; at least two."""
        return max(2, round(count * _FACTOR[self]))


_FACTOR = {Profile.QUICK: 0.15, Profile.DEFAULT: 1.0, Profile.THOROUGH: 12.0}
