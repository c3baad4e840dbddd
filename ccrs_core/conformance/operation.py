"""Properties of recording, observability and packaging (68 to 75)."""

from __future__ import annotations

from ccrs_core.conformance.tapes import TapeProperties


class OperationProperties(TapeProperties):
    """Every property of the theme of operation."""
