"""What all tests of this repository have in common."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how busy the machine is; tests whose subject is time measure it.
settings.register_profile("ccrs", deadline=None)
settings.load_profile("ccrs")
