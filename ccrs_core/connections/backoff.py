"""How long a connection that fails over and over waits before the next try."""

from __future__ import annotations

import random

from ccrs_core.transport.options import Options

_DOUBLINGS = 64
"""More would be more than any bound."""


def jittered(failures: int, options: Options) -> float:
    """Seconds to wait after so many failures in a row, at least one: uniformly random between
    nothing and a bound that doubles with each, so that clients which fail together don't come back
    together."""
    bound = options.backoff_initial * 2.0 ** min(failures - 1, _DOUBLINGS)
    return random.uniform(0.0, min(bound, options.backoff_max))
