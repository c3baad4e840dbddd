"""What the samples hold beyond what the conformance suite asks of them."""

from __future__ import annotations

import importlib.resources

from ccrs_okx import Okx
from ccrs_okx.error_codes import CLASSES
from ccrs_okx.foreign import instrument_of
from okx_frames import worth, worth_of

from ccrs_core import ExchangeError
from ccrs_core.conformance.workbench.samples import Samples

SAMPLES = Samples(importlib.resources.files("ccrs_okx") / "samples", "okx")


def test_every_kind_of_error_has_a_sample() -> None:
    shown = {type(Okx().error_of(sample.response)) for sample in SAMPLES.errors}
    assert shown - {type(None)} == {*CLASSES.values(), ExchangeError}


def test_native_symbols_of_the_samples_are_guessed_rightly() -> None:
    assert {pair.market for pair in SAMPLES.symbols} == set(Okx.capabilities.channels)
    for pair in SAMPLES.symbols:
        instrument = instrument_of(pair.native)
        assert instrument is not None
        assert (instrument.symbol, instrument.market) == (pair.symbol, pair.market)
    for sample in SAMPLES.streams:
        for instrument in sample.instruments.values():
            # Frames don't tell what a contract is worth.
            guessed = instrument_of(instrument.native)
            assert guessed is not None
            assert worth(guessed, worth_of(instrument)) == instrument


def test_contracts_of_several_values_are_among_the_samples() -> None:
    sizes = {
        (instrument.market, worth_of(instrument))
        for sample in SAMPLES.streams
        for instrument in sample.instruments.values()
    }
    assert len({size for _, size in sizes}) >= 3
    assert {market for market, _ in sizes} == set(Okx.capabilities.channels)
