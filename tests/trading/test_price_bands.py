"""Price bands: asked for once, however many orders wait, and known for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest

from ccrs_core import NotSent, PriceBand, RateLimited
from ccrs_core.contract.trading_requests import GetPriceBand
from ccrs_core.trading.price_bands import PriceBands
from tests.trading.desk_toy import SPOT, instruments
from tests.virtual import scenario

BTC = instruments(SPOT)[0]


class Asked:
    """Answers after a second, or fails once."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.times: list[float] = []
        self.failure = failure
        self.tasks: list[asyncio.Task[None]] = []
        self.bands = PriceBands(self, self, self.spawn)  # type: ignore[arg-type]

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def __call__(self, request: GetPriceBand) -> PriceBand:
        self.times.append(self.monotonic())
        await asyncio.sleep(1.0)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return PriceBand(symbol=request.instrument.symbol, lowest=None, highest=Decimal(9))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    def wait(self) -> asyncio.Task[PriceBand]:
        return asyncio.ensure_future(self.bands.of(BTC))


@scenario
async def test_many_who_wait_ask_once_and_one_who_gives_up_keeps_nobody_from_it() -> None:
    asked = Asked()
    first, second, third = asked.wait(), asked.wait(), asked.wait()
    await asyncio.sleep(0.5)
    first.cancel()
    assert await second is await third
    assert first.cancelled()
    assert len(asked.times) == 1


@scenario
async def test_it_holds_for_two_seconds_from_when_it_was_asked_for() -> None:
    asked = Asked()
    known = await asked.bands.of(BTC)
    await asyncio.sleep(0.9)
    assert await asked.bands.of(BTC) is known
    await asyncio.sleep(0.2)
    assert await asked.bands.of(BTC) is not known
    assert asked.times == [0.0, 2.1]


@scenario
async def test_a_failure_is_told_to_all_who_wait_and_the_next_one_asks_anew() -> None:
    asked = Asked(RateLimited("", "too many"))
    found = await asyncio.gather(asked.wait(), asked.wait(), return_exceptions=True)
    assert [type(each) for each in found] == [RateLimited, RateLimited]
    assert isinstance(await asked.bands.of(BTC), PriceBand)
    assert len(asked.times) == 2


@scenario
async def test_nobody_waits_for_ever_where_the_account_is_closed() -> None:
    asked = Asked()
    waits = asked.wait()
    await asyncio.sleep(0.5)
    asked.tasks[0].cancel()
    with pytest.raises(NotSent):
        await waits
