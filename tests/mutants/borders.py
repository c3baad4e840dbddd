"""Plugins that are wrong at the border of a step, or at nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetCandles
from ccrs_core.model.events import MarkPrice
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import Through

_CANDLES = Binance.endpoints[GetCandles]


def _one_fewer(request: GetCandles) -> int:
    fewer = request if request.limit is None else attrs.evolve(request, limit=request.limit - 1)
    return _CANDLES.weight_of(fewer)


@caught_by("test_declared_limits_are_within_the_documented_ones")
class AHundredRowsAreCheap(Binance):
    """The first number of rows that weighs more is counted as the last that weighs less."""

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        GetCandles: attrs.evolve(_CANDLES, weight=_one_fewer),
    }


@caught_by("test_zero_is_a_value_and_so_is_less")
class WorthlessOptionsAreUntold(Okx):
    """That an option's mark price has become zero is taken for a blank."""

    class Codec(Through):
        def event(self, event: Any) -> Any:
            return None if isinstance(event, MarkPrice) and event.mark_price == 0 else event

    def codec(self, route: Route) -> Codec:
        return self.Codec(super().codec(route))
