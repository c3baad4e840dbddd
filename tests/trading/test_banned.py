"""A ban of an address outlives the process that was told of it: the next one asks nothing before it
is over, and says why. Many orders that a killed one left behind are asked for slowly."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

from ccrs_core import Budget, OrderState, OutcomeUnknown, RateLimited, SqliteStore
from tests.trading.desk_server import DeskServer
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, client_of, new_server, world
from tests.trading.test_placing import buy
from tests.virtual import scenario


def test_an_account_opens_only_once_the_ban_is_over_that_an_earlier_process_heard_of(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "ledger.db"
    kept = path.with_name("ledger.db.budgets")

    async def opened(server: DeskServer) -> None:
        async with client_of(server) as (client, _, _), client.account(store=SqliteStore(path)):
            pass

    async def main() -> None:
        server = new_server()
        await opened(server)
        asked = len(server.calls)
        lines = kept.read_text().splitlines()
        assert len(lines) >= asked > 0
        at = lines[-1].split("\t")[0]
        host = next(each for each in lines if each.endswith(" requests")).split("\t")[4]
        ban = f"{at}\tp\t-\t{600 * 10**9}\t{host.removesuffix(' requests')}\n"
        kept.write_text(ban)
        with pytest.raises(RateLimited, match=r"another \d+ s, until \d\d:\d\d:\d\d UTC") as caught:
            await opened(server)
        assert caught.value.retry_after == pytest.approx(600.0, abs=5.0)
        assert len(server.calls) == asked
        kept.write_text(ban.replace(str(600 * 10**9), "1"))
        await opened(server)
        assert len(server.calls) > asked

    asyncio.run(main())


@scenario
async def test_a_ban_is_told_once_with_its_end_and_is_over_soon_after_it() -> None:
    async with world() as seen:
        said: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("ccrs")
        logger.addHandler(handler)
        try:
            (limits,) = seen.account._parts.requester.turns._used.values()
            limits.pause(600.0)
            asked = len(seen.server.calls)
            await seen.account.reconcile()
            assert not seen.account.synced
            assert "until" in seen.account.reason
            assert seen.account.reason.count("no requests go there") == 1, seen.account.reason
            await asyncio.sleep(590.0)
            assert len(seen.server.calls) == asked
            # What couldn't be read, and that the time isn't told: each once.
            assert len(said) == 2, said
            assert "not all was read" in said[0]
            assert all(" until " in each for each in said)
            await asyncio.sleep(45.0)
            assert seen.account.synced
        finally:
            logger.removeHandler(handler)


async def left_behind(seen: World, count: int) -> list[str]:
    """Orders that never arrived, as far as anybody knows."""
    dropped = [count]

    def fault(path: str, asked: dict[str, Any]) -> str | None:
        if path != "/place" or not dropped[0]:
            return None
        dropped[0] -= 1
        return "drop"

    seen.server.faults.append(fault)
    placing = [seen.account.place(buy()) for _ in range(count)]
    found = await asyncio.gather(*placing, return_exceptions=True)
    return [each.order.client_order_id for each in found if isinstance(each, OutcomeUnknown)]


@scenario
async def test_many_that_are_looked_for_are_asked_for_seldom_and_end_all_the_same() -> None:
    async with world(Desk(receive_window=5.0), presume_absent_after=1.0) as seen:
        ids = await left_behind(seen, 40)
        assert len(ids) == 40
        began = len(seen.server.calls)
        await asyncio.sleep(15.0)
        asked = [path for _, path, _ in seen.server.calls[began:] if path == "/order"]
        assert 40 <= len(asked) <= 80, "each is asked for once, among the present and the past"
        await asyncio.sleep(45.0)
        states = {seen.account.order(each).state for each in ids}  # type: ignore[union-attr]
        assert states == {OrderState.PRESUMED_ABSENT}


class Strict(Desk):
    """A desk that allows less."""

    limits = attrs.evolve(Desk.limits, requests=Budget(amount=200, seconds=10.0))


@scenario
async def test_very_many_that_are_looked_for_keep_the_lists_from_nothing() -> None:
    async with world(Strict(receive_window=5.0), presume_absent_after=1.0) as seen:
        ids = await left_behind(seen, 120)
        assert len(ids) == 120
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2.0)
        began = loop.time()
        assert (await seen.account.reconcile()).whole
        assert loop.time() - began < 30.0
        asked = [at for at, path, _ in seen.server.calls if path == "/order"]
        assert sum(at < asked[0] + 9.0 for at in asked) <= 20, "a tenth of the budget"
        await asyncio.sleep(600.0)
        states = {seen.account.order(each).state for each in ids}  # type: ignore[union-attr]
        assert states == {OrderState.PRESUMED_ABSENT}
