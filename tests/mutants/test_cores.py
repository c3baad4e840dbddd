"""Tests of the tests: random schedules of an account notice what is broken in the core."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.errors import Flaky

from ccrs_core.conformance import ConformanceSuite, Profile, Subject
from ccrs_core.errors import CcrsError
from tests.mutants.cores import CORES, CoreMutant
from tests.mutants.deliveries import options_are_delivered
from tests.mutants.mutant import SAMPLES

_SEEDS = range(10)
"""Schedules of as many seeds are tried before a mutant counts as unnoticed."""

settings.register_profile("cores", phases=[Phase.generate])


def test_the_core_keeps_its_books_at_deliveries() -> None:
    options_are_delivered(Subject("bybit", samples=SAMPLES))


@pytest.mark.parametrize("mutant", CORES, ids=[mutant.name for mutant in CORES])
def test_a_broken_core_is_caught(mutant: CoreMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings.get_current_profile_name()
    settings.load_profile("cores")
    mutant.patch(monkeypatch)
    try:
        for seed in _SEEDS:
            subject = Subject("bybit", samples=SAMPLES, profile=Profile.DEFAULT, seed=seed)
            try:
                if mutant.told_by is not None:
                    mutant.told_by(subject)
                    break
                ConformanceSuite().test_an_account_survives_random_schedules(subject)
            except (AssertionError, pytest.fail.Exception, CcrsError, ExceptionGroup, Flaky):
                return  # what goes two ways by the same choices is told, too
    finally:
        settings.load_profile(before)
    pytest.fail(f"nothing notices: {mutant.breaks}")
