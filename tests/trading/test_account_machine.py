"""Random schedules of all that goes wrong: in the end the ledger equals the exchange's truth,
each fill is in it once, nothing was sent twice, and nothing is uncertain without being shown so."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Account,
    AccountFeed,
    CcrsError,
    Client,
    ExchangeError,
    Fill,
    MemoryStore,
    OrderState,
    Side,
    TransportError,
    limit,
)
from ccrs_core.transport.memory import run
from tests.trading.desk_server import DeskServer
from tests.trading.desk_world import Turning, client_of, new_server

KEY = "key"
STEPS = st.one_of(
    st.tuples(st.just("place"), st.sampled_from(["BTC/USD", "ETH/USD", "BTC/USD:USD"])),
    st.tuples(st.just("place_many"), st.integers(2, 5)),
    st.tuples(st.just("fill"), st.integers(0, 10**6)),
    st.tuples(st.just("cancel"), st.integers(0, 10**6)),
    st.tuples(st.just("amend"), st.integers(0, 10**6)),
    st.tuples(st.just("other"), st.integers(0, 10**6)),
    st.tuples(st.just("end"), st.integers(0, 10**6)),
    st.tuples(st.just("drop"), st.just(0)),
    st.tuples(st.just("fault"), st.sampled_from(["lose", "drop", "busy_after", "limited", "502"])),
    st.tuples(st.just("pushes"), st.sampled_from(["fine", "lost", "twice", "mixed"])),
    st.tuples(st.just("lag"), st.sampled_from([0.0, 1.0, 8.0])),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.005, 0.02, 0.5, 7.0])),
    st.tuples(st.just("give_up"), st.just(0)),
    st.tuples(st.just("kill"), st.just(0)),
)


class Run:
    """One schedule, played."""

    def __init__(self, server: DeskServer, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.store = self.random.choice([MemoryStore, Turning])()
        self.calls: set[asyncio.Future[Any]] = set()
        self.delivered: list[Fill] = []
        self.acknowledged = 0

    # --- what happens ---

    def call(self, work: Any) -> None:
        self.calls.add(asyncio.ensure_future(work))

    def order(self, number: int) -> Any:
        orders = [o for o in self.server.book_of(KEY).orders.values() if o.open]
        return orders[number % len(orders)] if orders else None

    async def step(self, account: Account, what: str, how: Any) -> None:
        server = self.server
        match what:
            case "place":
                self.call(account.place(self.request(how)))
            case "place_many":
                wanted = [self.request("BTC/USD") for _ in range(how)]
                self.call(account.place_many(wanted))
            case "fill" if (order := self.order(how)) is not None:
                left = Decimal(order.row["size"]) - Decimal(order.row["filled"])
                part = left if how % 3 == 0 else (left / 2).quantize(Decimal("0.001"))
                if part:
                    server.fill(KEY, order.row["id"], f"{part:f}", maker=bool(how % 2))
            case "end" if (order := self.order(how)) is not None:
                server.end(KEY, order.row["id"], reason="exchange")
            case "cancel" | "amend":
                known = account.open_orders()
                if known:
                    order = known[how % len(known)]
                    if what == "cancel":
                        self.call(account.cancel(order))
                    else:
                        price = str(90 + how % 10)
                        collapse = "collapse" if how % 2 else "wait"
                        self.call(account.amend(order, price=price, when_full=collapse))
            case "other":
                row = {"market": "spot", "native": "BTCUSD", "side": "sell", "type": "limit"}
                link = "" if how % 2 else f"web_{how}"
                server.place(KEY, row | {"link": link, "size": "1", "price": "100"})
            case "drop":
                for peer in server.open:
                    if peer in server.keys:
                        peer.drop()
            case "fault":
                left = [how]
                server.faults.append(
                    lambda path, body: left.pop() if left and self.random.random() < 0.5 else None
                )
            case "pushes":
                server.push_of = {
                    "fine": lambda topic, row: [0.0],
                    "lost": lambda topic, row: [] if self.random.random() < 0.5 else [0.0],
                    "twice": lambda topic, row: [0.0, self.random.random()],
                    "mixed": lambda topic, row: [self.random.random() * 2],
                }[how]
            case "lag":
                server.list_lag = how
            case "wait":
                await asyncio.sleep(how)
            case "give_up" if self.calls:
                self.random.choice(sorted(self.calls, key=id)).cancel()

    def request(self, symbol: str) -> Any:
        size = self.random.choice(["1", "0.5", "2"])
        return limit(symbol, self.random.choice(list(Side)), price="100", size=size)

    # --- lives ---

    async def live(self, steps: list[tuple[str, Any]], *, last: bool) -> None:
        """One life of the process, from its start to a kill, or to rest."""
        async with client_of(self.server) as (client, _, _):
            account = await self.entered(client)
            feed = await account.fills(consumer="machine").__aenter__()
            reader = asyncio.ensure_future(self.read(feed))
            for what, how in steps:
                await self.step(account, what, how)
            if last:
                await self.rest(account)
                await asyncio.wait([reader], timeout=1.0)
            reader.cancel()
            await account.aclose()
            await asyncio.wait([reader, *self.calls])
            for call in self.calls:
                if not call.cancelled() and (error := call.exception()) is not None:
                    assert isinstance(error, CcrsError), repr(error)
            self.calls.clear()

    async def entered(self, client: Client) -> Account:
        """An open account, at last."""
        while True:
            account = client.account(store=self.store)
            try:
                return await account.__aenter__()
            except (TransportError, ExchangeError):
                assert not account.open

    async def read(self, feed: AccountFeed) -> None:
        async for event in feed:
            if isinstance(event, Fill):
                assert event.again or event.number > self.acknowledged
                self.delivered.append(event)
                if self.random.random() < 0.7:
                    feed.acknowledge(event)
                    self.acknowledged = event.number

    async def rest(self, account: Account) -> None:
        """Faults end, and everything is found out."""
        server = self.server
        server.faults.clear()
        server.push_of = lambda topic, row: [0.0]
        server.list_lag = 0.0
        if self.calls:
            await asyncio.wait(list(self.calls))
        await asyncio.sleep(400.0)
        assert account.synced, account.reason
        self.judge(account)

    # --- the end ---

    def asked_ids(self) -> list[str]:
        """Client ids of all placements that were sent."""
        many = [item for each in self.server.sent_of("/place_many") for item in each["items"]]
        return [row["link"] for row in (*self.server.sent_of("/place"), *many)]

    def judge(self, account: Account) -> None:
        book = self.server.book_of(KEY)
        mine = {order.exchange_order_id: order for order in account.orders()}
        for identity, theirs in book.orders.items():
            row = theirs.row
            ours = row["link"] in self.asked_ids()
            if identity not in mine and not ours and not theirs.open and row["filled"] == "0":
                continue  # of somebody else, who took it back before anybody saw it
            order = mine[identity]
            assert order.state.value == theirs.row["state"], (order, theirs.row)
            assert order.filled_size == Decimal(theirs.row["filled"]), (order, theirs.row)
            assert order.fills_complete
            assert order.price == Decimal(theirs.row["price"])
        for order in account.orders():
            if order.exchange_order_id:
                assert order.exchange_order_id in book.orders
            else:
                assert order.state in (
                    *(OrderState.REJECTED, OrderState.NOT_SENT, OrderState.PRESUMED_ABSENT),
                )
        assert not account.unknown_orders()
        # Each placement was sent once at most.
        assert max(Counter(self.asked_ids()).values(), default=0) <= 1
        # Each fill was delivered, and twice only marked.
        fills = Counter((f.fill_id, f.exchange_order_id) for f in self.delivered if not f.again)
        assert max(fills.values(), default=0) <= 1
        told = {(f.fill_id, f.exchange_order_id) for f in self.delivered}
        assert told == {(row["fill"], row["id"]) for _, row in book.fills}
        numbers = {f.number: f.fill_id for f in self.delivered}
        assert len(set(numbers.values())) == len(numbers)
        held = {p.symbol: p.size for p in account.positions()}
        theirs_held = {f"{n[:3]}/USD:USD": s for n, s in book.positions.items() if s}
        assert held == theirs_held
        assert account.balances()["USD"].total == book.usd
        assert not account._parts.flights.keys()
        assert not account._parts.outcomes.open or all(
            account.order(i).state is OrderState.PRESUMED_ABSENT  # type: ignore[union-attr]
            for i in account._parts.outcomes.open
        )


async def play(steps: list[tuple[str, Any]], seed: int) -> None:
    state = random.getstate()
    random.seed(seed)
    try:
        run_ = Run(new_server(), seed)
        lives: list[list[tuple[str, Any]]] = [[]]
        for step in steps:
            if step[0] == "kill":
                lives.append([])
            else:
                lives[-1].append(step)
        for place, each in enumerate(lives):
            async with asyncio.timeout(20_000.0):
                await run_.live(each, last=place == len(lives) - 1)
    finally:
        random.setstate(state)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, max_size=30), st.integers(0, 2**16))
def test_whatever_happens_the_ledger_ends_equal_to_the_exchange(
    steps: list[tuple[str, Any]], seed: int
) -> None:
    run(play(steps, seed))
