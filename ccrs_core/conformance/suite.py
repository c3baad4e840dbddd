"""The suite: all themes in one class that plugins inherit from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from ccrs_core.conformance.themes.books import BookProperties
from ccrs_core.conformance.themes.codec import CodecProperties
from ccrs_core.conformance.themes.feeds import FeedProperties
from ccrs_core.conformance.themes.numbers import NumberProperties
from ccrs_core.conformance.themes.operation import OperationProperties
from ccrs_core.conformance.themes.supervisor import SupervisorProperties
from ccrs_core.conformance.themes.trading import TradingProperties
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.exchange import Exchange


class ConformanceSuite(
    CodecProperties,
    NumberProperties,
    BookProperties,
    SupervisorProperties,
    TradingProperties,
    FeedProperties,
    OperationProperties,
):
    """Inherit from this in a plugin's tests and set ``exchange``; nothing else is needed."""

    exchange: ClassVar[str | Callable[[], Exchange] | None] = None
    """The entry-point name, or an ``Exchange`` class, or a function that makes one. None takes the
    name from ``--ccrs-exchange``."""

    @pytest.fixture
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        """The exchange under test; one object for all tests of a run, since it only caches."""
        exchange = type(self).exchange or request.config.getoption("--ccrs-exchange")
        if exchange is None:
            pytest.skip("no exchange to test: pass --ccrs-exchange NAME or set `exchange`")
        profile = Profile(request.config.getoption("--ccrs-profile"))
        seed = int(request.config.getoption("--ccrs-seed"))
        key = (exchange, profile, seed)
        if key not in _SUBJECTS:
            recorded = map(Path, request.config.getoption("--ccrs-recorded"))
            _SUBJECTS[key] = Subject(
                exchange, profile=profile, seed=seed, recordings=tuple(recorded)
            )
        return _SUBJECTS[key]


_SUBJECTS: dict[object, Subject] = {}
