"""What the samples hold beyond what the conformance suite asks of them."""

from __future__ import annotations

import importlib.resources

from ccrs_binance import Binance
from ccrs_binance.error_codes import CLASSES
from ccrs_binance.foreign import instrument_of

from ccrs_core import ExchangeError
from ccrs_core.conformance.workbench.samples import Samples

SAMPLES = Samples(importlib.resources.files("ccrs_binance") / "samples", "binance")


def test_every_kind_of_error_has_a_sample() -> None:
    shown = {type(Binance().error_of(sample.response)) for sample in SAMPLES.errors}
    assert shown - {type(None)} == {*CLASSES.values(), ExchangeError}


def test_native_symbols_of_the_samples_are_guessed_rightly() -> None:
    assert {pair.market for pair in SAMPLES.symbols} == set(Binance.capabilities.channels)
    for pair in SAMPLES.symbols:
        instrument = instrument_of(pair.native, pair.market)
        assert instrument is not None
        assert instrument.symbol == pair.symbol
    for sample in SAMPLES.streams:
        for instrument in sample.instruments.values():
            assert instrument_of(instrument.native, instrument.market) == instrument
