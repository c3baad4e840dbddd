"""Every test of the suite has an end and a verdict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ccrs_kraken import Kraken

from ccrs_core.conformance import Profile, Subject
from ccrs_core.conformance.workbench import bounds
from ccrs_core.conformance.workbench.bounds import Allowance, bounded
from ccrs_core.conformance.workbench.world import World


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.setitem(bounds.ALLOWED, Profile.QUICK, Allowance(0.3, 0.1))
    return Subject(Kraken, profile=Profile.QUICK)


@bounded
def _round_for_ever(suite: Any, subject: Subject) -> None:
    while True:
        pass


@bounded
def _round_in_a_callback(suite: Any, subject: Subject) -> None:
    def never_ends() -> None:
        while True:
            pass

    async def scenario(world: World) -> None:
        asyncio.get_running_loop().call_soon(never_ends)
        await asyncio.sleep(3600)

    subject.world().run(scenario)


@bounded
def _fails(suite: Any, subject: Subject) -> None:
    raise AssertionError("as it should")


@pytest.mark.parametrize("test", [_round_for_ever, _round_in_a_callback])
def test_what_goes_round_for_ever_fails_and_says_where(test: Any, subject: Subject) -> None:
    with pytest.raises(pytest.fail.Exception, match="no end after") as caught:
        test(None, subject)
    assert "while True" in str(caught.value) or "pass" in str(caught.value)


def test_after_long_failures_nothing_more_is_tried(subject: Subject) -> None:
    with pytest.raises(AssertionError, match="as it should"):
        _fails(None, subject)
    with pytest.raises(pytest.fail.Exception, match="no end after"):
        _round_for_ever(None, subject)
    with pytest.raises(pytest.fail.Exception, match="not tried"):
        _fails(None, subject)


def test_the_failure_of_an_example_is_told_where_its_shrinking_has_no_end(
    subject: Subject,
) -> None:
    @bounded
    def shrinking(suite: Any, subject: Subject) -> None:
        subject.noticed.append(AssertionError("a wrong price"))
        _ = [pow(3, 200_000) for _ in range(10**9)]

    with pytest.raises(pytest.fail.Exception, match="a wrong price"):
        shrinking(None, subject)
