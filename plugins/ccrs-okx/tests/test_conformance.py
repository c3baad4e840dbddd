"""Okx satisfies every property that its capabilities imply."""

from __future__ import annotations

from ccrs_core.conformance import ConformanceSuite


class TestOkx(ConformanceSuite):
    exchange = "okx"
