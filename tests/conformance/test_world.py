"""The suite's scenarios end, whatever the plugin under test does."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from ccrs_core.conformance.workbench import world as worlds
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World


def test_a_scenario_that_waits_for_what_never_comes_is_a_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worlds, "_LONGEST", 0.3)

    async def never(world: World) -> None:
        while True:  # noqa: ASYNC110  (it never comes)
            await asyncio.sleep(1.0)

    with pytest.raises(pytest.fail.Exception, match="waits for what never comes"):
        Subject("bybit").world().run(never)


def test_a_world_in_which_nothing_happens_leaves_nothing_open() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Subject("bybit").world()
        gc.collect()
    assert not [each for each in told if each.category is ResourceWarning]
