"""What ``pytest --pyargs ccrs_core.conformance --ccrs-exchange NAME`` collects."""

from __future__ import annotations

from ccrs_core.conformance.suite import ConformanceSuite


class TestExchange(ConformanceSuite):
    """The exchange of ``--ccrs-exchange``."""
