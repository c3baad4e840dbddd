"""The conformance suite: what every exchange plugin must satisfy, run against its own emulator.

Needs the extra ``ccrs-core[conformance]``. Three doors, one suite: ``ccrs conformance NAME``;
``pytest --pyargs ccrs_core.conformance --ccrs-exchange NAME``; or, in a plugin's own tests::

    from ccrs_core.conformance import ConformanceSuite

    class TestMyExchange(ConformanceSuite):
        exchange = "my-exchange"
"""

from __future__ import annotations

from ccrs_core.conformance.suite import ConformanceSuite
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.properties import Theme, proves
from ccrs_core.conformance.workbench.subject import Case, Subject

__all__ = ["Case", "ConformanceSuite", "Profile", "Subject", "Theme", "proves"]
