"""Many symbols: patterns that follow what is listed, and symbols that are missing."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Budget,
    Feed,
    InstrumentChanged,
    Limits,
    Market,
    Options,
    TopOfBook,
    UnknownInstrument,
    Unsupported,
    UsageError,
    liquidations,
    top_of_book,
    trades,
)
from ccrs_core.connections.states import SubscriptionState
from ccrs_core.model.instruments import market_of
from ccrs_core.model.symbol_patterns import is_pattern, markets_in, matches
from ccrs_core.several.clients import connect_many
from ccrs_core.transport.memory import MemoryTransport, VirtualClock
from tests.toy import Toy, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, World, market, world

ALL = top_of_book("*/USD")
SOON = Options(instruments_max_age=60.0)


def symbols(feed: Feed) -> set[str]:
    return {interest.symbol for interest in feed.subscribed}


def listed(natives: Iterable[str]) -> set[str]:
    return {f"{native}/USD" for native in natives}


def lists(seen: World, *natives: str) -> None:
    seen.server.NATIVES = natives  # type: ignore[misc]


@scenario
async def test_a_pattern_is_all_that_is_listed_and_follows_the_list() -> None:
    async with world(ALL, options=SOON) as seen:
        assert seen.feed.interests == (ALL,)
        assert symbols(seen.feed) == listed(ToyServer.NATIVES)
        lists(seen, "BTC", "ETH", "NEW")
        await market(seen, "top.LTC", 3)
        await asyncio.sleep(120.0)
        assert symbols(seen.feed) == listed(["BTC", "ETH", "NEW"])
        assert seen.server.subscribed() == [{"top.BTC", "top.ETH", "top.NEW"}]
        gone = {c.symbol for c in seen.of(InstrumentChanged) if c.after is None}
        assert gone == listed(ToyServer.NATIVES) - listed(["BTC", "ETH"])
        about_new = [e for e in seen.events if e.symbol == "NEW/USD"]
        assert isinstance(about_new[0], InstrumentChanged)
        assert about_new[0].before is None
        assert isinstance(about_new[1], TopOfBook)
        about_old = [e for e in seen.events if e.symbol == "LTC/USD"]
        assert isinstance(about_old[-1], InstrumentChanged)
        # Whoever fetches the list, feeds follow it at once.
        lists(seen, "BTC", "ETH", "NEW", "SOL")
        await seen.client.refresh_instruments()
        assert symbols(seen.feed) == listed(["BTC", "ETH", "NEW", "SOL"])
        # Listed again, it is there again.
        lists(seen, "BTC", "LTC")
        await asyncio.sleep(120.0)
        await market(seen, "top.LTC", 2)
        assert symbols(seen.feed) == listed(["BTC", "LTC"])
        assert isinstance(seen.events[-1], TopOfBook)


@scenario
async def test_lists_that_patterns_follow_are_minutes_old_whatever_others_are_content_with() -> (
    None
):
    async with world(ALL, options=Options(instruments_max_age=86_400.0)) as seen:
        lists(seen, "BTC", "NEW")
        await asyncio.sleep(320.0)
        assert symbols(seen.feed) == listed(["BTC", "NEW"])
        asked = len(seen.server.requests)
        await seen.feed.unsubscribe(ALL)
        await asyncio.sleep(3600.0)
        assert len(seen.server.requests) == asked


@scenario
async def test_what_is_asked_for_besides_a_pattern_stays_when_the_pattern_goes() -> None:
    async with world(ALL, TOP, trades("*/USD"), trades("BTC/USD"), options=SOON) as seen:
        await seen.feed.unsubscribe(trades("*/USD"))
        await seen.feed.unsubscribe(ALL)
        assert seen.feed.subscribed == (TOP, trades("BTC/USD"))
        asked = len(seen.server.requests)
        lists(seen, "BTC", "NEW")
        await asyncio.sleep(1000.0)
        # Nobody follows the list any more: nobody asks for it.
        assert len(seen.server.requests) == asked
        await seen.feed.subscribe(top_of_book("?TC/USD"), top_of_book("[NX]*"))
        assert symbols(seen.feed) == listed(["BTC", "NEW"])
        await seen.feed.unsubscribe(TOP)
        assert top_of_book("BTC/USD") in seen.feed.subscribed


@scenario
async def test_what_was_asked_for_by_name_stays_subscribed_to_when_it_is_delisted() -> None:
    async with world(ALL, TOP, options=SOON) as seen:
        lists(seen, "ETH")
        await asyncio.sleep(120.0)
        assert symbols(seen.feed) == listed(["ETH", "BTC"])
        await seen.feed.unsubscribe(TOP)
        assert symbols(seen.feed) == listed(["ETH"])


@scenario
async def test_a_list_that_cannot_be_had_changes_nothing_and_is_asked_for_again() -> None:
    async with world(ALL, options=SOON) as seen:
        from ccrs_core import HttpResponse

        seen.server.respond = lambda request: HttpResponse(503, {}, b"[]")
        lists(seen, "BTC")
        await asyncio.sleep(300.0)
        assert symbols(seen.feed) == listed(ToyServer.NATIVES)
        seen.server.respond = None
        await asyncio.sleep(120.0)
        assert symbols(seen.feed) == listed(["BTC"])


@scenario
async def test_all_that_is_missing_is_named_at_once_with_what_would_do() -> None:
    async with world(TOP) as seen:
        wrong = [top_of_book(s) for s in ("BCT/USD", "ETH/USD", "*/EUR", "NOBODY/GBP")]
        with pytest.raises(UnknownInstrument) as raised:
            await seen.feed.subscribe(*wrong)
        error = raised.value
        assert list(error.symbols) == ["BCT/USD", "NOBODY/GBP", "*/EUR"]
        assert error.symbols["BCT/USD"][0] == error.near[0] == "BTC/USD"
        assert error.symbols["*/EUR"] == ("*/USD",)
        for text in ("none of these 3", "BCT/USD (did you mean BTC/USD", "*/EUR", "NOBODY/GBP"):
            assert text in str(error)
        assert seen.feed.subscribed == seen.feed.interests == (TOP,)
        for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert twin.symbols == error.symbols
        with pytest.raises(UnknownInstrument, match=r"nothing like \*/EUR.*did you mean \*/USD"):
            await seen.feed.subscribe(wrong[2])


@scenario
async def test_what_is_missing_is_left_out_if_wanted_until_it_is_listed() -> None:
    wanted = TOP, top_of_book("NEW/USD"), top_of_book("*/EUR"), top_of_book("ODD/USD")
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("ccrs.client").addHandler(handler)
    try:
        async with world(*wanted, options=SOON, missing="skip") as seen:
            assert symbols(seen.feed) == {"BTC/USD"}
            assert set(seen.feed.missing) == {"NEW/USD", "*/EUR", "ODD/USD"}
            (warning,) = said
            for symbol in seen.feed.missing:
                assert symbol in warning
            lists(seen, "BTC", "NEW")
            await asyncio.sleep(120.0)
            assert symbols(seen.feed) == listed(["BTC", "NEW"])
            assert set(seen.feed.missing) == {"*/EUR", "ODD/USD"}
            assert seen.of(InstrumentChanged)[0].symbol == "NEW/USD"
            lists(seen, "NEW")
            await asyncio.sleep(120.0)
            assert symbols(seen.feed) == {"NEW/USD"}
            assert "isn't listed any more" in seen.feed.missing["BTC/USD"]
            await seen.feed.unsubscribe(*wanted)
            assert not seen.feed.missing
            assert not seen.feed.subscribed
        assert len(said) == 1
    finally:
        logging.getLogger("ccrs.client").removeHandler(handler)


@scenario
async def test_limits_hold_for_patterns_and_for_what_is_listed_later() -> None:
    class Few(Toy):
        limits = Limits(connects=Budget(amount=50, seconds=60.0), subscriptions=8)

    exchange = Few(topics_per_connection=3)
    async with world(ALL, exchange=exchange, options=SOON) as seen:
        assert [len(each) for each in seen.server.subscribed()] == [3, 3, 1]
        with pytest.raises(Unsupported, match="allows 8 streams"):
            await seen.feed.subscribe(trades("*/USD"))
        assert seen.feed.interests == (ALL,)
        lists(seen, *ToyServer.NATIVES, "NEW", "NEWER")
        await asyncio.sleep(120.0)
        assert len(seen.feed.subscribed) == 8
        (left_out,) = seen.feed.missing.items()
        assert left_out[0] == "NEWER/USD"
        assert "8 streams" in left_out[1]
        assert all(s.state is SubscriptionState.ACTIVE for s in seen.client.status().subscriptions)


@scenario
async def test_patterns_of_what_the_exchange_does_not_have_are_refused() -> None:
    async with world(TOP) as seen:
        with pytest.raises(Unsupported, match="liquidations"):
            await seen.feed.subscribe(liquidations("*/USD"))
        with pytest.raises(Unsupported, match="anything like"):
            await seen.feed.subscribe(top_of_book("*/USD:USD"))
    with pytest.raises(UsageError, match="missing"):
        seen.client.subscribe(TOP, missing="ignore")  # type: ignore[arg-type]


@scenario
async def test_feeds_of_several_exchanges_have_patterns_and_may_lack_something() -> None:
    class Other(Toy):
        name = "other"

    one, two = ToyServer(), ToyServer()
    two.NATIVES = ("BTC", "ODD")  # type: ignore[misc]
    made = [
        ccrs_core.connect(exchange, transport=MemoryTransport(server), clock=VirtualClock())
        for exchange, server in ((Toy(), one), (Other(), two))
    ]
    async with connect_many(*made, clock=VirtualClock()) as clients:
        with pytest.raises(UnknownInstrument) as raised:
            async with clients.subscribe(top_of_book("ODD/USD"), top_of_book("ETH/USD")):
                pass
        assert set(raised.value.symbols) == {"toy:ODD/USD", "other:ETH/USD"}
        wanted = top_of_book("[BO]*/USD"), top_of_book("ETH/USD"), top_of_book("toy:SOL/*")
        async with clients.subscribe(*wanted, missing="skip") as feed:
            assert symbols(feed) == {
                "toy:BTC/USD",
                "toy:ETH/USD",
                "toy:SOL/USD",
                "other:BTC/USD",
                "other:ODD/USD",
            }
            assert set(feed.missing) == {"other:ETH/USD"}
            await feed.ready()


PARTS = st.sampled_from(["BTC", "ETH", "1000PEPE", "*", "?TC", "[BE]*"])


@given(PARTS, PARTS, st.none() | PARTS)
def test_the_markets_of_a_pattern_are_never_too_few(
    base: str, quote: str, settle: str | None
) -> None:
    pattern = f"{base}/{quote}" + ("" if settle is None else f":{settle}")
    for one in ("BTC", "ETH"):
        for other in ("BTC", "USDT", "ETH"):
            for symbol in (
                f"{one}/{other}",
                f"{one}/{other}:{other}",
                f"{one}/{other}:{one}",
                f"{one}/{other}:{other}-261225",
            ):
                if one != other and matches(pattern, symbol):
                    assert market_of(symbol) in markets_in(pattern)


def test_patterns_are_told_from_symbols() -> None:
    assert not is_pattern("BTC/USDT:USDT-261225-100000-C")
    assert is_pattern("*/USDT")
    assert markets_in("*/USDT") == {Market.SPOT}
    assert markets_in("*/USDT:USDT") == set(Market) - {Market.SPOT}
    assert matches("*/USDT", "BTC/USDT")
    assert not matches("*/USDT", "BTC/USDT:USDT")
    assert not matches("btc/*", "BTC/USDT")


@scenario
async def test_what_is_refused_of_a_pattern_is_left_out_and_told_and_the_rest_goes_on() -> None:
    server = ToyServer()
    server.named = True
    async with world(ALL, server=server, options=SOON) as seen:
        # Delisted, which the list hasn't told yet, when the line drops.
        server.bad.add("top.LTC")
        server.open[0].drop()
        await asyncio.sleep(5.0)
        assert not seen.refusals
        assert list(seen.feed.missing) == ["LTC/USD"]
        assert "no such topic" in seen.feed.missing["LTC/USD"]
        await seen.feed.ready()
        before = len(seen.events)
        await market(seen, "top.BTC", 3)
        assert len(seen.events) > before
        lists(seen, "BTC", "ETH")
        await asyncio.sleep(120.0)
        assert not seen.feed.missing
        server.bad.clear()
        lists(seen, "BTC", "LTC")
        await asyncio.sleep(120.0)
        await market(seen, "top.LTC", 2)
        assert isinstance(seen.events[-1], TopOfBook)
        assert seen.events[-1].symbol == "LTC/USD"
        # Who asks for it by name as well is told of a refusal as ever.
        await seen.feed.subscribe(top_of_book("LTC/USD"))
        server.bad.add("top.LTC")
        server.open[0].drop()
        await asyncio.sleep(5.0)
        assert [each.symbol for each in seen.refusals] == ["LTC/USD"]
        await seen.feed.unsubscribe(ALL)
        assert not seen.feed.missing


@scenario
async def test_what_was_off_the_list_between_two_lists_comes_back() -> None:
    await _comes_back(reconnected=False)


@scenario
async def test_what_was_off_the_list_between_two_lists_comes_back_on_another_connection() -> None:
    await _comes_back(reconnected=True)


async def _comes_back(*, reconnected: bool) -> None:
    server = ToyServer()
    server.named = True
    by_name = trades("LTC/USD")
    async with world(ALL, by_name, server=server, options=SOON) as seen:
        server.bad |= {"top.LTC", "trades.LTC"}
        server.open[0].drop()
        await asyncio.sleep(5.0)
        assert [each.channel for each in seen.refusals] == ["trades"]
        if reconnected:
            server.open[0].drop()
            await asyncio.sleep(5.0)
        # While it is refused it is asked for at each list, and nobody is told that again.
        before = len(server.sent)
        await asyncio.sleep(200.0)
        asked = [t for *_, m in server.sent[before:] for t in m.get("sub", ())]
        assert asked.count("top.LTC") == 3
        assert not asked.count("trades.LTC")
        assert list(seen.feed.missing) == ["LTC/USD"]
        assert len(seen.refusals) == 1
        await seen.feed.ready()
        server.bad.clear()
        await asyncio.sleep(65.0)
        await market(seen, "top.LTC", 2)
        told = [e for e in seen.events if e.symbol == "LTC/USD"]
        assert isinstance(told[-1], TopOfBook)
        assert not seen.feed.missing
        assert "trades.LTC" not in server.subscribed()[0]
        # A second time it is told as the first.
        server.bad.add("top.LTC")
        server.open[0].drop()
        await asyncio.sleep(5.0)
        assert list(seen.feed.missing) == ["LTC/USD"]
