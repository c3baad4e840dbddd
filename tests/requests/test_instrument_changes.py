"""Fresh lists of instruments: what has changed is told, once; nothing that runs is disturbed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest

import ccrs_core
from ccrs_core import (
    AnyEvent,
    Channel,
    Feed,
    Instrument,
    InstrumentChanged,
    InstrumentStatus,
    Interest,
    Options,
    TopOfBook,
    UnknownInstrument,
    book,
    top_of_book,
    trades,
)
from ccrs_core.cli.live.notices import describe
from ccrs_core.contract.rest import Answer, GetInstruments, HttpResponse
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.serialize import from_json, to_json
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer, instrument

TOP, TRADES, BOOK = top_of_book("BTC/USD"), trades("BTC/USD"), book("BTC/USD")


class Listed(Toy):
    """The toy exchange with a list of instruments that can be changed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [instrument(native) for native in ToyServer.NATIVES]
        self.endpoints: ClassVar[Any] = {  # type: ignore[misc]
            **Toy.endpoints,
            GetInstruments: attrs.evolve(Toy.endpoints[GetInstruments], decode=self._decode),
        }

    def _decode(
        self, request: GetInstruments, response: HttpResponse, now_ns: int, cursor: str | None
    ) -> Answer[list[Instrument]]:
        return Answer([i for i in self.listed if i.market is request.market])

    def change(self, native: str, **fields: Any) -> None:
        self.listed = [attrs.evolve(i, **fields) if i.native == native else i for i in self.listed]

    def remove(self, native: str) -> None:
        self.listed = [i for i in self.listed if i.native != native]


@attrs.define
class Here:
    exchange: Listed
    server: ToyServer
    client: ccrs_core.Client

    def feed(self, *interests: Interest, **how: Any) -> Feed:
        return self.client.subscribe(*interests, **how)


def scenario(test: Any) -> Any:
    """Run an async test with an open client in virtual time."""

    def play(**arguments: Any) -> None:
        async def main() -> None:
            exchange, server = Listed(), ToyServer()
            async with ccrs_core.connect(
                exchange,
                transport=MemoryTransport(server),
                clock=VirtualClock(),
                options=Options(instruments_max_age=60.0),
            ) as client:
                await test(Here(exchange, server, client), **arguments)

        run(main())

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


async def waiting(feed: Feed) -> list[AnyEvent]:
    """What has arrived."""
    await asyncio.sleep(1.0)
    found: list[AnyEvent] = []
    while feed.waiting:
        async for batch in feed.batches():
            found += batch
            break
    return found


def changes(events: list[AnyEvent]) -> list[InstrumentChanged]:
    return [event for event in events if isinstance(event, InstrumentChanged)]


@scenario
async def test_each_feed_is_told_once_of_a_changed_tick_and_other_feeds_are_not(h: Here) -> None:
    async with (
        h.feed(TOP, TRADES, BOOK) as one,
        h.feed(TOP) as two,
        h.feed(top_of_book("ETH/USD")) as other,
    ):
        for feed in (one, two, other):
            await waiting(feed)
        h.exchange.change("BTC", tick_size=Decimal("0.50"))
        told = await h.client.refresh_instruments()
        again = await h.client.refresh_instruments()
        assert again == []
        (change,) = told
        assert change.symbol == "BTC/USD"
        assert change.changed == ("tick_size",)
        assert change.after is not None
        assert change.after.tick_size == Decimal("0.50")
        assert changes(await waiting(one)) == [change]
        assert changes(await waiting(two)) == [change]
        assert changes(await waiting(other)) == []
    found = await h.client.instrument("BTC/USD")
    assert found.quantise_price(Decimal("1.7")) == Decimal("1.50")


@scenario
async def test_a_list_that_has_grown_old_is_fetched_anew_and_tells_what_changed(h: Here) -> None:
    async with h.feed(TOP) as feed:
        await waiting(feed)
        h.exchange.change("BTC", status=InstrumentStatus.HALTED)
        await h.client.instrument("BTC/USD")
        assert changes(await waiting(feed)) == []
        await asyncio.sleep(61.0)
        await asyncio.gather(h.client.instrument("BTC/USD"), h.client.instrument("ETH/USD"))
        (change,) = changes(await waiting(feed))
        assert change.changed == ("status",)


@scenario
async def test_a_symbol_that_is_listed_no_more_goes_on_and_is_told(h: Here) -> None:
    async with h.feed(TOP) as feed:
        await waiting(feed)
        h.exchange.remove("BTC")
        await h.client.refresh_instruments("spot")
        h.server.tick("top.BTC")
        events = await waiting(feed)
        (change,) = changes(events)
        assert change.after is None
        assert isinstance(events[-1], TopOfBook)
        for peer in h.server.open:
            peer.drop()
        await asyncio.sleep(5.0)
        h.server.tick("top.BTC")
        assert isinstance((await waiting(feed))[-1], TopOfBook)
        with pytest.raises(UnknownInstrument):
            await h.client.instrument("BTC/USD")
        h.exchange.listed.append(instrument("BTC"))
        await h.client.refresh_instruments()
        (change,) = changes(await waiting(feed))
        assert change.before is None
        assert change.after is not None


@scenario
async def test_after_a_change_subscribing_again_shares_the_running_stream(h: Here) -> None:
    async with h.feed(TOP) as old:
        await waiting(old)
        h.exchange.change("BTC", tick_size=Decimal("0.50"))
        await h.client.refresh_instruments()
        async with h.feed(TOP, TRADES) as new:
            await new.ready()
            requests = [m["sub"] for _, _, m in h.server.sent if "sub" in m]
            assert sum("top.BTC" in topics for topics in requests) == 1
            h.server.tick("top.BTC")
            assert any(isinstance(e, TopOfBook) for e in await waiting(new))
        h.server.tick("top.BTC")
        assert isinstance((await waiting(old))[-1], TopOfBook)
    assert h.client.status().connections == ()


@scenario
async def test_a_renamed_instrument_is_told_and_both_names_can_be_had(h: Here) -> None:
    async with h.feed(TOP) as old:
        await waiting(old)
        h.exchange.change("BTC", symbol="XBT/USD", base="XBT")
        await h.client.refresh_instruments()
        (change,) = changes(await waiting(old))
        assert change.symbol == "BTC/USD"
        assert change.after is not None
        assert change.after.symbol == "XBT/USD"
        async with h.feed(top_of_book("XBT/USD")) as new:
            await new.ready()
            h.server.tick("top.BTC")
            assert {e.symbol for e in await waiting(new)} == {"XBT/USD"}
            assert {e.symbol for e in await waiting(old)} == {"BTC/USD"}


@scenario
async def test_every_policy_delivers_the_notice_and_an_unsubscribe_takes_it_away(h: Here) -> None:
    for number, policy in enumerate(Policy, start=1):
        async with h.feed(TOP, TRADES, policy=policy, maxsize=1) as feed:
            await waiting(feed)
            h.exchange.change("BTC", tick_size=Decimal(number))
            await h.client.refresh_instruments()
            for _ in range(3):
                h.server.tick("top.BTC")
            try:
                events = await waiting(feed)
            except ccrs_core.FeedOverflow:
                events = await waiting(feed)
            assert len(changes(events)) == 1
            h.exchange.change("BTC", tick_size=Decimal(number) / 2)
            await h.client.refresh_instruments()
            await feed.unsubscribe(TRADES)
            assert feed.waiting == 1
            await feed.unsubscribe(TOP)
            assert feed.waiting == 0


@scenario
async def test_a_refresh_that_fails_tells_nothing_and_forgets_nothing(h: Here) -> None:
    async with h.feed(TOP) as feed:
        await waiting(feed)
        h.server.respond = lambda request: HttpResponse(500, {}, b"{}")
        with pytest.raises(ccrs_core.CcrsError):
            await h.client.refresh_instruments()
        assert changes(await waiting(feed)) == []
        await h.client.instrument("BTC/USD")


def test_the_notice_is_shown_to_people_and_comes_back_from_json() -> None:
    before = instrument("BTC")
    after = attrs.evolve(before, tick_size=Decimal("0.50"))
    change = InstrumentChanged("toy", "BTC/USD", None, 1, before, after)
    assert from_json(to_json(change)) == change
    assert "CHANGED BTC/USD tick_size" in describe(change)
    gone = InstrumentChanged("toy", "BTC/USD", None, 1, before, None)
    assert from_json(to_json(gone)) == gone
    assert "no longer listed" in describe(gone)
    assert gone.channel is None
    assert Channel.BOOK not in gone.changed


@scenario
async def test_who_listens_to_the_store_hears_listings_and_delistings_of_any_symbol(
    h: Here,
) -> None:
    heard: list[InstrumentChanged] = []
    await h.client.get_instruments("spot")
    end = h.client._store().listen(lambda _, changes: heard.extend(changes))
    h.exchange.remove("BTC")
    h.exchange.listed.append(instrument("DOGE"))
    await h.client.refresh_instruments("spot")
    gone, come = heard
    assert (gone.symbol, gone.after, come.symbol, come.before) == (
        "BTC/USD",
        None,
        "DOGE/USD",
        None,
    )
    end()
    end()
    h.exchange.remove("DOGE")
    assert len(await h.client.refresh_instruments("spot")) == 1
    assert heard == [gone, come]
