"""A program that is killed by SIGKILL, and started again on its store, several times."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.trading.processes.conductor import Conductor
from tests.trading.processes.others.clients import installed

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL to send"),
]


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_a_program_that_is_killed_knows_each_order_and_fill_once(
    exchange: str, tmp_path: Path
) -> None:
    conductor = Conductor(exchange, tmp_path, 5, longest=1.5)
    figures = asyncio.run(conductor.run(kills=3))
    assert figures.kills.total() == 3
    assert figures.fills > 0, str(figures)
    assert figures.others > 0 or not installed(exchange), str(figures)
