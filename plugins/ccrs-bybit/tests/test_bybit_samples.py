"""What the samples hold beyond what the conformance suite asks of them."""

from __future__ import annotations

import importlib.resources

from ccrs_bybit.error_codes import CLASSES
from ccrs_bybit.foreign import instrument_of

from ccrs_core import Market
from ccrs_core.conformance.workbench.samples import Samples

SAMPLES = Samples(importlib.resources.files("ccrs_bybit") / "samples", "bybit")


def test_every_code_of_the_table_has_a_sample() -> None:
    shown = {sample.code for sample in SAMPLES.errors if sample.response.status == 200}
    assert shown - {""} == {str(code) for code in CLASSES}


def test_native_symbols_of_the_samples_are_guessed_rightly() -> None:
    assert {pair.market for pair in SAMPLES.symbols} == set(Market)
    for pair in SAMPLES.symbols:
        instrument = instrument_of(pair.native, pair.market)
        assert instrument is not None
        assert instrument.symbol == pair.symbol
    for sample in SAMPLES.streams:
        for instrument in sample.instruments.values():
            assert instrument_of(instrument.native, instrument.market) == instrument
