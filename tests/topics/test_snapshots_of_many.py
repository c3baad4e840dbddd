"""A hundred books that start from requests, through the client: within the budget, and healed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
import pytest

import ccrs_core
from ccrs_core import (
    Answer,
    AnyEvent,
    Client,
    Endpoint,
    Feed,
    Gap,
    HttpRequest,
    HttpResponse,
    Limits,
    Market,
    Reason,
    Request,
    Resumed,
    Subscription,
)
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.rest import GetBook
from ccrs_core.model.events import BookUpdate
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyServer
from tests.transport.test_limits import spent
from tests.virtual import scenario

# --- a hundred books at once, through the client ------------------------------------------------

WEIGHT = 5
BUDGET = Budget(amount=100, seconds=10.0)
WAY_BACK = 0.6


def _encode(request: GetBook, cursor: str | None) -> HttpRequest:
    return HttpRequest("GET", "/book", (("symbol", request.instrument.native),))


def _decode(
    request: GetBook, response: HttpResponse, now_ns: int, cursor: str | None
) -> Answer[BookUpdate]:
    body = orjson.loads(response.body)
    bids, asks = (tuple((Decimal(p), Decimal(s)) for p, s in body[side]) for side in ("b", "a"))
    symbol = request.instrument.symbol
    return Answer(BookUpdate("toy", symbol, None, now_ns, body["n"], True, bids, asks))


class Bare(Toy):
    """The toy exchange, where a book's stream brings changes alone."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Toy.endpoints,
        GetBook: Endpoint(
            encode=_encode, decode=_decode, markets=frozenset({Market.SPOT}), weight=WEIGHT
        ),
    }
    limits = Limits(connects=Budget(amount=50, seconds=60.0), requests=BUDGET)

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        assert subscription.depth is not None
        return GetBook(subscription.instrument, subscription.depth)

    def weight_used(self, response: HttpResponse) -> int | None:
        used = response.headers.get("used")
        return None if used is None else int(used)


class BareServer(ToyServer):
    """Its server: a hundred books, which never stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.NATIVES = tuple(f"C{n}" for n in range(100))  # type: ignore[assignment]
        self.states: dict[tuple[str, int], tuple[dict[Decimal, Decimal], ...]] = {}
        """Books by name and number."""
        self.spent: list[tuple[float, int]] = []
        self.books_asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.down: Counter[str] = Counter()
        """How many of the next requests for a book are answered by an error."""

    def show(self, peer: Peer, topic: str) -> None:
        """A subscription to a book is answered by nothing but changes."""
        if not topic.startswith("book."):
            super().show(peer, topic)

    def tick(
        self, topic: str, *, restart: bool = False, peers: Sequence[Peer] | None = None
    ) -> int:
        number = super().tick(topic, restart=restart, peers=peers)
        native = topic.removeprefix("book.")
        bids, asks = self.book(native)
        self.states[native, number] = dict(bids), dict(asks)
        return number

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.spent.append((self.now(), WEIGHT if request.path == "/book" else 1))
        assert spent(self.spent, self.now(), BUDGET.seconds) <= BUDGET.amount
        if request.path != "/book":
            return super().requested(base_url, request)
        native = request.query[0][1]
        self.books_asked.append(native)
        if self.down[native]:
            self.down[native] -= 1
            return HttpResponse(500, {}, b"")
        bids, asks = ([[str(p), str(s)] for p, s in side.items()] for side in self.book(native))
        number = self.sequence.get(f"book.{native}", 100)
        body = orjson.dumps({"n": number, "b": bids, "a": asks})
        return HttpResponse(200, self.headers, body)

    async def moves(self) -> None:
        while True:
            for native in self.NATIVES:
                self.tick(f"book.{native}")
            await asyncio.sleep(0.5)

    @property
    def subscribe_requests(self) -> int:
        return sum("sub" in message or "unsub" in message for _, _, message in self.sent)


class Far(MemoryTransport):
    """Answers are long on their way back; the market moves meanwhile."""

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        response = await super().request(base_url, request)
        await asyncio.sleep(WAY_BACK)
        return response


@attrs.define
class World:
    """A client with a feed of all books, and the exchange's side."""

    server: BareServer
    client: Client
    feed: Feed
    events: list[AnyEvent] = attrs.field(factory=list)

    def right(self) -> list[str]:
        """The valid books, each of which shows what the exchange's did under that number."""
        valid = []
        for native in self.server.NATIVES:
            kept = self.feed.book(f"{native}/USD")
            if kept.valid:
                assert kept.sequence is not None
                assert kept.sequence >= self.server.sequence[f"book.{native}"] - 1
                shown = dict(kept.bids()), dict(kept.asks())
                assert shown == self.server.states[native, kept.sequence]
                valid.append(native)
        return valid

    async def all_valid(self, within: float) -> None:
        for _ in range(int(within / 0.1)):
            if len(self.right()) == 100:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"only {len(self.right())} are valid")

    async def read(self) -> None:
        async for event in self.feed:
            self.events.append(event)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    server = BareServer()
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(Bare(), transport=Far(server, latency=0.01), clock=VirtualClock())
    interests = [ccrs_core.book(f"{native}/USD") for native in server.NATIVES]
    async with client, client.subscribe(*interests) as feed:
        seen = World(server, client, feed)
        tasks = [asyncio.ensure_future(server.moves()), asyncio.ensure_future(seen.read())]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@scenario
async def test_a_hundred_books_at_once_all_become_valid_by_a_request_each_within_the_budget() -> (
    None
):
    async with world() as seen:
        # 16 of weight 5 in every 10 s: that is the share of the books.
        await seen.all_valid(within=70.0)
        assert sorted(seen.server.books_asked) == sorted(seen.server.NATIVES)
        assert seen.client.status().resubscriptions == 0
        books = [weight for _, weight in seen.server.spent if weight == WEIGHT]
        assert sum(books) == 100 * WEIGHT
        times = [when for when, weight in seen.server.spent]
        share = int(BUDGET.amount * SnapshotQueue.SHARE)
        assert all(
            spent(seen.server.spent[:n], when, BUDGET.seconds) <= share - WEIGHT
            for n, when in enumerate(times)
        )


@scenario
async def test_the_user_s_own_requests_do_not_wait_for_the_books() -> None:
    async with world() as seen:
        await asyncio.sleep(5.0)
        assert 0 < len(seen.right()) < 20
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(*(seen.client.get_server_time() for _ in range(20)))
        assert loop.time() - begun < WAY_BACK + 0.1
        await seen.all_valid(within=80.0)


@scenario
async def test_a_gap_heals_by_another_request_and_without_subscribing_again() -> None:
    async with world() as seen:
        await seen.all_valid(within=70.0)
        await asyncio.sleep(BUDGET.seconds)
        requests, asked = seen.server.subscribe_requests, len(seen.server.books_asked)
        seen.events.clear()
        seen.server.tick("book.C7", peers=())
        seen.server.tick("book.C7")
        assert seen.feed.book("C7/USD").valid
        await asyncio.sleep(0.001)
        assert len(seen.right()) == 99
        await asyncio.sleep(WAY_BACK + 0.1)
        assert len(seen.right()) == 100
        assert seen.server.books_asked[asked:] == ["C7"]
        assert seen.server.subscribe_requests == requests
        assert seen.client.status().resubscriptions == 0
        gaps = [event for event in seen.events if isinstance(event, Gap)]
        assert [(gap.symbol, gap.reason) for gap in gaps] == [("C7/USD", Reason.SEQUENCE)]
        assert [e.symbol for e in seen.events if isinstance(e, Resumed)] == ["C7/USD"]


@scenario
async def test_a_gap_heals_before_the_books_that_wait_to_begin() -> None:
    async with world() as seen:
        await asyncio.sleep(5.0)
        lost, waiting = seen.right()[0], 100 - len(seen.right())
        begun = len(seen.server.books_asked)
        seen.server.tick(f"book.{lost}", peers=())
        await asyncio.sleep(BUDGET.seconds)
        assert lost in seen.right()
        # Those that were under way already go before it.
        assert lost in seen.server.books_asked[begun : begun + SnapshotQueue.AT_ONCE + 1]
        assert 100 - len(seen.right()) > waiting // 2


@scenario
async def test_where_the_exchange_gives_no_snapshot_it_is_asked_again_later() -> None:
    async with world() as seen:
        seen.server.down["C3"] = 2
        await seen.all_valid(within=120.0)
        assert Counter(seen.server.books_asked)["C3"] == 3
        assert len(seen.server.books_asked) == 102
        assert seen.client.status().resubscriptions == 0


@scenario
async def test_where_the_stream_has_told_the_whole_book_before_a_failure_leads_back_to_it() -> None:
    async with world() as seen:
        await seen.all_valid(within=70.0)
        seen.server.tick("book.C3", restart=True)
        await asyncio.sleep(BUDGET.seconds)
        seen.server.down["C3"] = 1
        seen.server.tick("book.C3", peers=())
        await asyncio.sleep(2.0)
        assert seen.client.status().resubscriptions == 1
        await seen.all_valid(within=30.0)


@scenario
async def test_a_connection_lost_while_books_wait_keeps_none_from_becoming_right() -> None:
    async with world() as seen:
        for _ in range(3):
            await asyncio.sleep(7.0)
            seen.right()
            seen.server.open[0].drop()
        await seen.all_valid(within=180.0)
        assert seen.client.status().reconnects == 3


@scenario
async def test_no_answer_makes_a_book_valid_while_no_connection_brings_its_changes() -> None:
    async with world() as seen:
        await asyncio.sleep(2.0)
        # Answers are on their way.
        assert len(seen.server.books_asked) > len(seen.right())
        seen.server.refuse_connects = 10**6
        seen.server.open[0].drop()
        for _ in range(150):
            await asyncio.sleep(0.1)
            assert not seen.right()
        seen.server.refuse_connects = 0
        await seen.all_valid(within=120.0)


@scenario
async def test_what_others_have_spent_by_the_exchange_s_count_is_not_spent_again() -> None:
    async with world() as seen:
        seen.server.headers = {"used": str(BUDGET.amount)}
        await asyncio.sleep(2.0)
        asked = len(seen.server.books_asked)
        assert 0 < asked <= 2 * SnapshotQueue.AT_ONCE
        seen.server.headers = {}
        await asyncio.sleep(BUDGET.seconds - 3.0)
        assert len(seen.server.books_asked) == asked
        await seen.all_valid(within=90.0)


@scenario
async def test_closing_does_not_wait_for_the_budget_nor_ask_for_more_books() -> None:
    async with world() as seen:
        await asyncio.sleep(5.0)
        asked, begun = len(seen.server.books_asked), asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 1.0
    assert len(seen.server.books_asked) == asked


@scenario
async def test_a_book_that_waits_in_line_is_not_counted_as_asked_for_again() -> None:
    async with world() as seen:
        await seen.all_valid(within=70.0)
        assert {each.resyncs for each in seen.client.status().subscriptions} == {1}


@pytest.mark.parametrize("moment", range(-1, 4))
def test_a_cancelled_closing_leaves_nothing_running_and_asks_for_no_more_books(moment: int) -> None:
    async def cancelled() -> BareServer:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        assert me is not None

        def cancel_in(turns: int) -> None:
            if turns > 0:
                loop.call_soon(cancel_in, turns - 1)
            else:
                me.cancel()

        async with world() as seen:
            servers.append(seen.server)
            await asyncio.sleep(5.0)
            # The feed ends by itself, the client is cancelled a few turns of the loop after that.
            await seen.feed.aclose()
            if moment < 0:
                me.cancel()
            else:
                cancel_in(moment)
        return seen.server

    servers: list[BareServer] = []

    async def main() -> None:
        await asyncio.wait([asyncio.ensure_future(cancelled())])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not servers[0].open
        asked = len(servers[0].books_asked)
        await asyncio.sleep(30.0)
        assert len(servers[0].books_asked) == asked

    run(main())
