"""Tests of the tests: what the conformance suite is for, it notices.

Every mutant is a working plugin with one thing broken. The tests aimed at it must fail on it. (That
they pass on the plugin as it is, its own tests show.) A mutant that survives shows a test that is
too weak.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from importlib.resources.abc import Traversable

import pytest
from hypothesis import Phase, settings

from ccrs_core.conformance import ConformanceSuite, Profile, Subject
from ccrs_core.conformance.workbench.properties import Against
from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import CcrsError
from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.connections import ZippedBybit
from tests.mutants.elsewhere import ELSEWHERE
from tests.mutants.mutant import PLUGINS, PUBLISHED, SAMPLES
from tests.mutants.packages import FOLDER

AIMED = sorted({name for mutant in MUTANTS for name in mutant.aimed_at})

# Neither are smaller examples of a fault looked for, nor explanations of it.
settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True)
def quick_to_fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be content with the first failure, and find the mutants that are packages."""
    before = settings.get_current_profile_name()
    settings.load_profile("mutants")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("PYTHONPATH", FOLDER)
    yield
    settings.load_profile(before)
    # What a test leaves behind that failed in the midst of everything is no later test's fault.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    # What is left is kept by somebody: the next time need not go through it.
    gc.freeze()


def _run(name: str, subject: Subject) -> None:
    getattr(ConformanceSuite(), name)(subject)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    _is_caught(mutant, PUBLISHED[mutant.plugin])


@pytest.mark.parametrize(
    ("plugin", "mutant"), ELSEWHERE, ids=[f"{name}-{mutant.name}" for name, mutant in ELSEWHERE]
)
def test_a_mutant_of_another_plugin_is_caught(plugin: str, mutant: Mutant) -> None:
    _is_caught(mutant, PUBLISHED[plugin])


def _is_caught(mutant: Mutant, samples: Traversable) -> None:
    assert mutant.aimed_at, "no test is aimed at it"
    findings: tuple[type[BaseException], ...] = (
        AssertionError,
        pytest.fail.Exception,
        CcrsError,
        *mutant.raises,
    )
    for name in mutant.aimed_at:
        try:
            _run(name, Subject(mutant.make, samples=samples, profile=Profile.QUICK))
        except pytest.skip.Exception as skipped:
            pytest.fail(f"{name} is skipped: {skipped}")
        except BaseException as error:
            strange = [each for each in _causes(error) if not isinstance(each, findings)]
            # A mistake of the mutant's own would prove nothing.
            if strange:
                raise
        else:
            pytest.fail(f"{name} doesn't notice: {mutant.breaks}")


@pytest.mark.parametrize(
    "name", sorted({name for m in MUTANTS if "compression" in m.name for name in m.aimed_at})
)
def test_the_unbroken_plugin_passes_with_compressed_frames(name: str) -> None:
    _run(name, Subject(ZippedBybit, samples=SAMPLES, profile=Profile.QUICK))


BY_SAMPLES_ALONE = {
    "query-not-signed": "an exchange's vectors are its own, and the emulator checks no signature",
    "retail-trades-unmarked": "the emulated market knows no retail traders",
}
"""Mutants that nothing but samples can notice, and why."""


def test_no_mutant_is_caught_by_samples_alone_that_its_author_would_have_recorded_wrong() -> None:
    """But those whose emulator shares the mistake: there nothing else can."""
    alone = set()
    for mutant in [*MUTANTS, *(mutant for _, mutant in ELSEWHERE)]:
        tests = [getattr(ConformanceSuite, name) for name in mutant.aimed_at]
        in_both = any(
            "dialect" in vars(kind) and not kind.__module__.endswith(".exchange")
            for kind in type(mutant.make()).__mro__
            if kind not in (*PLUGINS.values(), Exchange)
        )
        if not in_both and all(t.ccrs_property.against is Against.SAMPLES for t in tests):
            alone.add(mutant.name)
    assert alone == set(BY_SAMPLES_ALONE), alone ^ set(BY_SAMPLES_ALONE)


def test_the_catalogue_is_large_and_aims_at_tests_of_every_theme() -> None:
    assert len(MUTANTS) >= 100
    themes = {getattr(ConformanceSuite, name).ccrs_property.theme for name in AIMED}
    assert len(themes) == 7, f"only {sorted(themes)}"
