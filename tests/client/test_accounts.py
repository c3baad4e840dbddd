"""Streams of an account have no instrument: placed, logged in for, healed, told apart, replayed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AnyEvent,
    Balance,
    Channel,
    Client,
    Credentials,
    Gap,
    Interest,
    Reason,
    Resumed,
    Stale,
    Subscription,
    SubscriptionRefused,
    SubscriptionState,
    TopOfBook,
    Trade,
    Unsupported,
    UsageError,
    top_of_book,
    trades,
)
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import Header, Sent, decode, encode
from ccrs_core.recordings.replay import events_of
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.accounts import BALANCES, AccountServer, AccountToy, balances, second
from tests.toy import Toy
from tests.virtual import follow, scenario

TOP, TRADES = top_of_book("BTC/USD"), trades("BTC/USD")
KEY = Credentials("key", "secret")


@attrs.define
class Seen:
    server: AccountServer
    client: Client
    events: list[AnyEvent]
    refusals: list[SubscriptionRefused]

    def of(self, kind: type[Any], account: str | None = "default") -> list[Any]:
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if getattr(event, "account", None) == account]

    def totals(self, account: str = "default") -> list[tuple[str, Decimal]]:
        return [(event.asset, event.total) for event in self.of(Balance, account)]


@asynccontextmanager
async def world(
    *interests: Interest,
    exchange: Toy | None = None,
    more: tuple[tuple[str, str], ...] = (),
    **how: Any,
) -> AsyncIterator[Seen]:
    server = AccountServer()
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        AccountToy() if exchange is None else exchange,
        transport=MemoryTransport(server, latency=0.01),
        clock=VirtualClock(),
        credentials=KEY,
    )
    for name, key in more:
        second(client, name, key)
    async with client, client.subscribe(*interests, **how) as feed:
        seen = Seen(server, client, [], [])
        reader = asyncio.ensure_future(follow(feed, seen.events, seen.refusals))
        try:
            await asyncio.sleep(1.0)
            yield seen
        finally:
            reader.cancel()
            await asyncio.wait([reader])


@scenario
async def test_an_accounts_events_come_beside_market_data_on_a_connection_that_has_logged_in() -> (
    None
):
    async with world(TOP, balances()) as seen:
        seen.server.tick("top.BTC")
        seen.server.tell("key", ("USD", "12.50"), ("BTC", "0.1"))
        await asyncio.sleep(0.1)
        assert seen.totals() == [
            ("USD", Decimal(0)),
            ("USD", Decimal("12.50")),
            ("BTC", Decimal("0.1")),
        ]
        assert [event.sequence for event in seen.of(TopOfBook, None)] == [100, 101]
        (peer,) = seen.server.keys
        assert peer.url.endswith("/private")
        status = seen.client.status()
        told = {
            (each.channel, each.symbol, each.account, each.state) for each in status.subscriptions
        }
        assert told == {
            (Channel.TOP_OF_BOOK, "BTC/USD", None, SubscriptionState.ACTIVE),
            (Channel.BALANCES, "", "default", SubscriptionState.ACTIVE),
        }
        assert sorted(len(each.markets) for each in status.connections) == [0, 1]


@pytest.mark.parametrize(
    ("interest", "credentials", "exchange", "error"),
    [
        (balances(), None, AccountToy(), UsageError),
        (balances("another"), KEY, AccountToy(), UsageError),
        (balances(), KEY, Toy(), Unsupported),
        (attrs.evolve(balances(), channel=Channel.TRADES), KEY, AccountToy(), Unsupported),
        (Interest(Channel.BALANCES, "BTC/USD"), KEY, AccountToy(), Unsupported),
    ],
)
def test_what_no_account_is_there_for_is_refused_before_any_connection(
    interest: Interest, credentials: Credentials | None, exchange: Toy, error: type[Exception]
) -> None:
    server = AccountServer()

    async def main() -> None:
        client = ccrs_core.connect(
            exchange,
            transport=MemoryTransport(server),
            clock=VirtualClock(),
            credentials=credentials,
        )
        async with client:
            with pytest.raises(error):
                await client.subscribe(TOP, interest).__aenter__()
            assert not client.status().connections

    run(main())
    assert not server.attempts


@scenario
async def test_a_refused_account_stream_is_told_to_its_feed_and_disturbs_no_other() -> None:
    async with world(TOP, exchange=AccountToy()) as seen:
        seen.server.bad.add(BALANCES)
        async with seen.client.subscribe(balances()) as feed:
            with pytest.raises(SubscriptionRefused, match="no such topic"):
                await feed.ready()
        seen.server.tick("top.BTC")
        await asyncio.sleep(0.1)
        assert [event.sequence for event in seen.of(TopOfBook, None)] == [100, 101]


@pytest.mark.parametrize("together", [False, True])
def test_after_a_loss_it_is_logged_in_for_and_subscribed_to_again(together: bool) -> None:
    async def main() -> None:
        async with world(balances(), TRADES, exchange=AccountToy(together=together)) as seen:
            server = seen.server
            (peer,) = (each for each in server.open if BALANCES in server.topics[each])
            peer.drop()
            server.tell("key", ("USD", "7"))  # nobody hears that
            await asyncio.sleep(30.0)
            server.tell("key", ("USD", "9"))
            await asyncio.sleep(0.1)
            assert [total for _, total in seen.totals()] == [0, 0, 9]
            assert [n.reason for n in seen.of(Stale)] == [Reason.DISCONNECTED]
            assert [n.reason for n in seen.of(Gap)] == [Reason.RECONNECTED]
            assert len(seen.of(Resumed)) == 1
            order = [
                "login" if "login" in message else "sub"
                for _, by, message in server.sent
                if by in server.open and BALANCES in server.topics[by] and "ping" not in message
            ]
            assert order[0] == "login"
            assert (len(seen.of(Stale, None)) == 1) == together

    run(main())


@scenario
async def test_an_account_to_which_nothing_happens_for_a_day_is_healthy_whatever_is_asked() -> None:
    async with world(balances(), stale_after=30.0) as seen:
        await asyncio.sleep(86_400.0)
        assert not seen.of(Stale)
        assert not seen.of(Gap)
        (status,) = seen.client.status().subscriptions
        assert status.state is SubscriptionState.ACTIVE
        assert seen.client.status().resubscriptions == 0
        assert len(seen.server.attempts) == 1
        seen.server.tell("key", ("USD", "1"))
        await asyncio.sleep(0.1)
        assert seen.totals()[-1] == ("USD", Decimal(1))


@scenario
async def test_each_account_has_a_connection_of_its_own_and_keeps_what_is_its_own() -> None:
    async with world(TOP, more=(("savings", "other key"),)) as seen:
        feed = seen.client.subscribe(balances(), balances("savings"), policy="conflate")
        async with feed:
            await asyncio.sleep(1.0)
            assert sorted(seen.server.keys.values()) == ["key", "other key"]
            for number in range(3):
                seen.server.tell("key", ("USD", f"1{number}"), ("BTC", "1"))
                seen.server.tell("other key", ("USD", f"2{number}"))
            await asyncio.sleep(0.1)
            batch = await anext(feed.batches())
            latest = {(e.account, e.asset): e.total for e in batch if isinstance(e, Balance)}
            assert latest == {
                ("default", "USD"): 12,
                ("default", "BTC"): 1,
                ("savings", "USD"): 22,
            }
            seen.server.tell("key", ("USD", "13"))
            seen.server.tell("other key", ("USD", "23"))
            await asyncio.sleep(0.1)
            await feed.unsubscribe(balances("savings"))
            rest = await anext(feed.batches())
            assert [(e.account, e.total) for e in rest if isinstance(e, Balance)] == [
                ("default", 13)
            ]
            await asyncio.sleep(1.0)
            assert sorted(
                seen.server.keys[peer] for peer in seen.server.open if peer in seen.server.keys
            ) == ["key"]


@scenario
async def test_who_joins_is_not_shown_one_asset_as_if_it_were_all() -> None:
    async with world(balances()) as seen:
        seen.server.tell("key", ("USD", "1"), ("BTC", "2"))
        await asyncio.sleep(0.1)
        joined: list[AnyEvent] = []
        async with seen.client.subscribe(balances(), callback=joined.append):
            await asyncio.sleep(0.1)
            assert not joined
            seen.server.tell("key", ("ETH", "3"))
            await asyncio.sleep(0.1)
            assert [e.asset for e in joined if isinstance(e, Balance)] == ["ETH"]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    "strange",
    [b'{"t":"balances","rows":[["USD","many"]]}', b'{"t":"balances","rows":5}'],
)
def test_a_strange_frame_of_an_account_costs_market_data_nothing(
    together: bool, strange: bytes
) -> None:
    async def main() -> None:
        exchange = AccountToy(together=together)
        async with world(balances(), TOP, TRADES, exchange=exchange) as seen:
            server = seen.server
            (peer,) = (each for each in server.open if BALANCES in server.topics[each])
            for _ in range(10):
                peer.push(strange)
                server.tick("trades.BTC")
                server.tick("top.BTC")
                await asyncio.sleep(0.1)
            server.tell("key", ("USD", "5"))
            await asyncio.sleep(0.1)
            assert len(seen.of(Trade, None)) == 10
            assert [e.sequence for e in seen.of(TopOfBook, None)] == [*range(100, 111)]
            assert not seen.of(Gap, None)
            assert not seen.of(Stale, None)
            assert {n.reason for n in seen.of(Gap)} == {Reason.UNREADABLE}
            assert seen.totals()[-1] == ("USD", Decimal(5))
            assert len(server.attempts) == (1 if together else 2)

    run(main())


@pytest.mark.parametrize("together", [False, True])
@given(st.lists(st.sampled_from(["tell", "top", "drop", "strange", "wait"]), max_size=12))
def test_a_recording_with_an_account_gives_what_the_live_run_gave(
    tmp_path_factory: pytest.TempPathFactory, together: bool, script: list[str]
) -> None:
    path = tmp_path_factory.mktemp("accounts") / "recording.jsonl"
    random.seed(1)  # back-off draws random numbers
    server, live, exchange = AccountServer(), list[AnyEvent](), AccountToy(together=together)

    async def main() -> None:
        clock = VirtualClock(1_767_225_600 * 10**9)
        with RecordingWriter(path, credentials=KEY) as writer:
            transport = RecordingTransport(MemoryTransport(server), writer, clock=clock)
            client = ccrs_core.connect(exchange, transport=transport, clock=clock, credentials=KEY)
            async with client:
                btc = await client.instrument("BTC/USD")
                wanted = (
                    Subscription(Channel.TRADES, btc),
                    Subscription(Channel.BALANCES, account="default", exchange="toy"),
                )
                writer.begin(
                    Header(
                        ns=clock.time_ns(),
                        exchange="toy",
                        exchange_version="1",
                        core_version="1",
                        environment="mainnet",
                        subscriptions=wanted,
                        addresses=client.addresses,
                    )
                )
                async with client.subscribe(TRADES, balances(), callback=live.append) as feed:
                    await feed.ready()
                    for number, what in enumerate(script):
                        match what:
                            case "tell":
                                server.tell("key", ("USD", str(number)))
                            case "trade":
                                server.tick("trades.BTC")
                            case "drop" | "strange":
                                for peer in server.open:
                                    if BALANCES in server.topics[peer]:
                                        if what == "drop":
                                            peer.drop()
                                        else:
                                            peer.push(b'{"t":"balances","rows":[1]}')
                        await asyncio.sleep(20.0 if what == "drop" else 0.3)
                    writer.close()

    run(main())
    assert list(events_of(exchange, path)) == live
    assert b"secret" not in path.read_bytes()
    logins = [record for record in read(path) if isinstance(record, Sent) and record.masked]
    assert logins


def test_a_header_says_of_accounts_and_instruments_what_it_always_said() -> None:
    from tests.toy import instrument

    wanted = (
        Subscription(Channel.CANDLES, instrument("BTC"), interval="1m"),
        Subscription(Channel.BALANCES, account="savings", exchange="toy"),
    )
    header = Header(
        ns=1,
        exchange="toy",
        exchange_version="1",
        core_version="1",
        environment="mainnet",
        subscriptions=wanted,
    )
    line = encode(header)
    assert decode(line) == header
    market, account = orjson.loads(line)["subscriptions"]
    assert set(market) == {"channel", "instrument", "depth", "interval"}
    assert market["instrument"]["symbol"] == "BTC/USD"
    assert "instrument" not in account
    assert account["account"] == "savings"


@given(st.booleans(), st.booleans())
def test_a_subscription_is_of_an_instrument_or_of_an_account(one: bool, other: bool) -> None:
    from tests.toy import instrument

    of, account = instrument("BTC") if one else None, "main" if other else None
    exchange = "toy" if other else None
    if one == other:
        with pytest.raises(UsageError):
            Subscription(Channel.BALANCES, of, account=account, exchange=exchange)
        return
    with pytest.raises(UsageError, match="the exchange of an account"):
        Subscription(Channel.BALANCES, of, account=account, exchange=None if other else "toy")
    found = Subscription(Channel.BALANCES, of, account=account, exchange=exchange)
    assert found.exchange == "toy"
    assert (found.symbol, found.market) == (("", None) if of is None else (of.symbol, of.market))
    if of is None:
        with pytest.raises(UsageError, match="the account main"):
            found.instrument  # noqa: B018
    else:
        assert found.instrument is of
