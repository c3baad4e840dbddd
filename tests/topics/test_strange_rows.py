"""A strange row of a frame takes none of the others away, and is told at its place."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from ccrs_core import Gap, Trade, trades
from ccrs_core.emulator import Frame
from ccrs_core.model.events import Reason
from tests.emulated import Seen, scenario, seen, until


def _trade(number: int, **fields: Any) -> dict[str, Any]:
    row = {"T": 1767225605000 + number, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "60000.5"}
    return {**row, "i": f"made-up-{number}", "BT": False, "seq": 10**12 + number, **fields}


def _send(it: Seen, *rows: Any) -> None:
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1767225605100}
    for peer in it.venue.peers:
        peer.put(Frame(orjson.dumps({**frame, "data": rows})))


@pytest.mark.parametrize("connections", [1, 3])
@scenario
async def test_what_stands_beside_a_strange_trade_is_delivered_around_a_gap(
    connections: int,
) -> None:
    async with seen("bybit", trades("BTC/USDT"), connections=connections, rate=1.0) as it:
        await until(lambda: it.data > 0, 60.0)
        it.venue.faults.add("stall")
        await asyncio.sleep(1.0)
        before = len(it.events)
        _send(it, _trade(1), _trade(2), _trade(3, p="abc"), _trade(4))
        _send(it, _trade(5))
        await asyncio.sleep(8.0)
        found = it.events[before:]
        told = [e.trade_id if isinstance(e, Trade) else type(e) for e in found]
        assert told == ["made-up-1", "made-up-2", Gap, "made-up-4", "made-up-5"]
        assert [e.reason for e in found if isinstance(e, Gap)] == [Reason.UNREADABLE]
        links = it.client.status().connections
        assert [each.rows_left_out for each in links] == [1] * connections
        assert [each.unreadable for each in links] == [0] * connections
        assert {each.epoch for each in links} == set(range(1, connections + 1))


@scenario
async def test_frames_of_which_no_row_can_be_read_are_unreadable_and_end_no_connection() -> None:
    async with seen("bybit", trades("BTC/USDT"), rate=1.0) as it:
        await until(lambda: it.data > 0, 60.0)
        for _ in range(5):
            _send(it, {}, None)
        await asyncio.sleep(8.0)
        (link,) = it.client.status().connections
        assert (link.rows_left_out, link.unreadable, link.epoch) == (0, 5, 1)
