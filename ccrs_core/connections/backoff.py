"""How long a connection that fails over and over waits before the next try."""

from __future__ import annotations

import random

from ccrs_core.transport.options import Options

_DOUBLINGS = 64
"""More would be more than any bound."""
_ADMITTED = 4
"""Failures that count of an account's connection that was let in: the exchange is there, and works,
and what happens meanwhile is money. Budgets of dials hold all the same."""


def jittered(failures: int, options: Options, admitted: bool = False) -> float:
    """Seconds to wait after so many failures in a row, at least one: uniformly random between
    nothing and a bound that doubles with each, so that clients which fail together don't come back
    together. ``admitted``: it is of an account, and was acknowledged the last time."""
    failures = min(failures, _ADMITTED) if admitted else failures
    bound = options.backoff_initial * 2.0 ** min(failures - 1, _DOUBLINGS)
    return random.uniform(0.0, min(bound, options.backoff_max))
