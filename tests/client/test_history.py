"""Histories of an emulated exchange, fetched page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ccrs_core import (
    Client,
    History,
    HistoryPage,
    HttpRequest,
    HttpResponse,
    Options,
    TransportError,
    Unsupported,
    UsageError,
    connect,
    trades,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.transport.memory import START_NS, VirtualClock, run

MINUTE_NS = 60 * 10**9
DAYS = 4
BEGIN = datetime.fromtimestamp(START_NS // 10**9, UTC) - timedelta(days=DAYS)


class Broken(EmulatorTransport):
    """A line that breaks before some request, and notes when each was sent."""

    breaks_at: int | None = None
    asked = 0

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        if self.asked == self.breaks_at:
            raise TransportError("the line has broken")
        return await super().request(base_url, request)


def play(
    test: Callable[[Client, Broken], Awaitable[None]], exchange: str = "bybit", rate: float = 0.1
) -> None:
    plugin = plugins.load(exchange)()
    dialect = plugin.dialect()
    assert dialect is not None
    clock = VirtualClock(START_NS)
    line = Broken(EmulatedExchange(dialect, start_ns=START_NS, rate=rate), clock)

    async def main() -> None:
        async with connect(
            plugin,
            base_url="http://emulator",
            transport=line,
            clock=clock,
            options=Options(request_attempts=1),
        ) as client:
            await test(client, line)

    run(main())


async def follow(history: History, pages: list[HistoryPage[Any]]) -> None:
    async for page in history:
        pages.append(page)  # noqa: PERF401 - seen though it breaks


def times(pages: list[HistoryPage[Any]]) -> list[int]:
    return [row.open_time_ns for page in pages for row in page.rows]


def test_a_history_comes_page_by_page_and_ends_where_it_began_to_be_asked_for() -> None:
    async def use(client: Client, _: Broken) -> None:
        pages = []
        async for page in client.history("BTC/USDT", start=BEGIN):
            pages.append(page)
            assert len(page.rows) <= 5000
            await asyncio.sleep(100)  # meanwhile more candles close
        start_ns = START_NS - DAYS * 1440 * MINUTE_NS
        assert times(pages) == list(range(start_ns, START_NS, MINUTE_NS))
        progress = [page.progress for page in pages]
        assert progress == sorted(progress)
        assert 0 < progress[0] < progress[-1] <= 1
        assert all(row.closed for page in pages for row in page.rows)

    play(use)


@pytest.mark.parametrize("breaks_at", [2, 4, 5, 6])
def test_a_history_that_breaks_goes_on_from_its_place_without_a_row_twice_or_missing(
    breaks_at: int,
) -> None:
    async def use(client: Client, line: Broken) -> None:
        await client.instrument("BTC/USDT")
        line.breaks_at = line.asked + breaks_at
        history = client.history("BTC/USDT", start=BEGIN, interval="1m")
        pages: list[HistoryPage[Any]] = []
        with pytest.raises(TransportError):
            await follow(history, pages)
        token = pages[-1].resume if pages else history.resume
        assert token == history.resume
        await asyncio.sleep(1000)
        again = client.history("BTC/USDT", "candles", interval="1m", resume=token, start=BEGIN)
        pages += [page async for page in again]
        start_ns = START_NS - DAYS * 1440 * MINUTE_NS
        assert times(pages) == list(range(start_ns, START_NS, MINUTE_NS))
        # The one that broke goes on, too.
        rest = [page async for page in history]
        assert times(rest) == times(pages)[-sum(len(page.rows) for page in rest) :]
        assert [page async for page in history] == []

    play(use)


def test_a_history_leaves_the_rest_of_the_budget_to_others() -> None:
    async def spent(share: float) -> float:
        plugin = plugins.load("okx")()
        dialect = plugin.dialect()
        assert dialect is not None
        clock = VirtualClock(START_NS)
        line = EmulatorTransport(EmulatedExchange(dialect, start_ns=START_NS, rate=0.1), clock)
        async with connect(
            plugin, base_url="http://emulator", transport=line, clock=clock
        ) as client:
            begun = clock.monotonic()
            async for _ in client.history("BTC/USDT", start=BEGIN, share=share):
                pass
            return clock.monotonic() - begun

    half, whole = run(spent(0.5)), run(spent(1.0))
    assert half > 1.5 * whole


def test_what_makes_no_history_is_refused_at_once() -> None:
    async def use(client: Client, line: Broken) -> None:
        refusals: list[tuple[str, dict[str, Any], type[Exception]]] = [
            ("Say start", {}, UsageError),
            ("did you mean candles", {"series": "candels", "start": BEGIN}, UsageError),
            ("looks like seconds", {"start": 1_760_000_000}, UsageError),
            (
                "have no interval",
                {"series": "funding", "interval": "1m", "start": BEGIN},
                UsageError,
            ),
            ("share must be", {"start": BEGIN, "share": 0}, UsageError),
            ("no candles of 7m", {"start": BEGIN, "interval": "7m"}, Unsupported),
            ("no place in a history", {"resume": "there"}, UsageError),
        ]
        for complaint, asked, kind in refusals:
            with pytest.raises(kind, match=complaint):
                client.history("BTC/USDT", **asked)
        assert line.asked == 0
        later = BEGIN + timedelta(days=400)
        with pytest.raises(UsageError, match="is yet to come"):
            await anext(client.history("BTC/USDT", start=later))
        page = await anext(client.history("BTC/USDT", start=BEGIN, end=BEGIN + timedelta(hours=1)))
        assert len(page.rows) == 60
        with pytest.raises(UsageError, match="its symbol is BTC/USDT, not ETH/USDT"):
            client.history("ETH/USDT", resume=page.resume)
        with pytest.raises(UsageError, match="its end is"):
            client.history("BTC/USDT", resume=page.resume, end=BEGIN + timedelta(hours=2))
        same = client.history("BTC/USDT", resume=page.resume, end=BEGIN + timedelta(hours=1))
        assert [each async for each in same] == []

    play(use)


def test_a_stretch_in_which_nothing_is_has_no_pages() -> None:
    async def use(client: Client, _: Broken) -> None:
        listed = datetime(2009, 1, 1, tzinfo=UTC)
        empty = client.history("BTC/USDT", start=listed, end=listed + timedelta(days=1))
        assert [page async for page in empty] == []
        assert empty.progress == 1
        assert [page async for page in client.history("BTC/USDT", start=BEGIN, end=BEGIN)] == []

    play(use)


def test_trades_behind_a_long_silence_come_in_pages_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ccrs_core.requests.course.ROWS", 30)

    async def use(client: Client, _: Broken) -> None:
        async with client.subscribe(trades("BTC/USDT")):
            await asyncio.sleep(300)
        pages = [page async for page in client.history("BTC/USDT", "trades", start=BEGIN)]
        whole = await client.get_trade_history("BTC/USDT", start=BEGIN, end=START_NS + 300 * 10**9)
        found = [row.trade_id for page in pages for row in page.rows]
        assert found == [row.trade_id for row in whole]
        assert len(found) > 500
        assert max(len(page.rows) for page in pages) <= 4 * 30

    play(use, "okx", rate=20)
