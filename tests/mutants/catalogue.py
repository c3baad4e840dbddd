"""All mutants. Importing a theme's module enters its mutants."""

from __future__ import annotations

from tests.mutants import (
    borders,
    bybit,
    calendars,
    connections,
    crowds,
    declarations,
    facts,
    histories,
    lifetimes,
    likeness,
    limits,
    oddities,
    packages,
    quiet,
    ranges,
    requests,
    sequences,
    shapes,
    states,
    twins,
    values,
)
from tests.mutants.mutant import MUTANTS, SAMPLES, Mutant

THEMES = (
    borders,
    bybit,
    values,
    sequences,
    connections,
    requests,
    declarations,
    histories,
    oddities,
    packages,
    quiet,
    calendars,
    shapes,
    facts,
    lifetimes,
    limits,
    states,
    twins,
    likeness,
    ranges,
    crowds,
)

__all__ = ["MUTANTS", "SAMPLES", "THEMES", "Mutant"]
