"""When requests leave: in time or never, told as they do, cancels first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import pytest

import ccrs_core
from ccrs_core import (
    Budget,
    Client,
    Credentials,
    Endpoint,
    ExchangeError,
    HttpResponse,
    Limits,
    NotSent,
    OutcomeUnknown,
    Pool,
    PoolLeft,
    RateLimited,
    Request,
    TransportOptions,
)
from ccrs_core.contract.accounts import Account
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.departure import about_to_leave
from ccrs_core.transport.gate import Priority
from tests.requests.test_once import QUICK, TAKEN, Look, Orders, Place, orders, response
from tests.scripted import BTC, Rest
from tests.transport.servers import Peer, answer, run, serve

KEY = Credentials("key", "secret")


@attrs.frozen
class Cancel(Place):
    """Cancels an order."""


@attrs.frozen
class PlaceMany(Request[str]):
    """Places several."""

    count: int


@attrs.frozen
class PlaceOn(Request[str]):
    """Places one where each instrument has a budget of its own."""

    instrument: str


class Trading(Orders):
    """Counts orders by account, cancels apart; a batch as its orders."""

    placing = Pool("placing", Budget(amount=4, seconds=1.0), per_account=True)
    canceling = Pool("canceling", Budget(amount=2, seconds=1.0), per_account=True)
    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Orders.endpoints,
        Place: attrs.evolve(Orders.endpoints[Place], signed=True, pool=lambda _: Trading.placing),
        PlaceMany: attrs.evolve(
            Orders.endpoints[Place],
            signed=True,
            pool=placing,
            pool_weight=lambda request: request.count,
        ),
        PlaceOn: attrs.evolve(
            Orders.endpoints[Place],
            signed=True,
            pool=lambda request: Pool(
                request.instrument, Budget(amount=2, seconds=1.0), per_account=True
            ),
            also=Pool("all", Budget(amount=3, seconds=1.0), per_account=True),
        ),
        Cancel: attrs.evolve(Orders.endpoints[Place], signed=True, pool=canceling, urgent=True),
    }
    limits = Limits(requests=Budget(amount=10, seconds=10.0))

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        if response.body == b"many":
            return RateLimited("10006", "too many visits", 3.0)
        return super().error_of(response)

    def pools_left(self, request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
        return [PoolLeft(left=int(headers["x-left"]))] if "x-left" in headers else ()


def _left(requester: Requester) -> int:
    """How many may be placed now."""
    return next(each.left for each in requester.turns.left() if each.pool == "placing")


def play(*answers: Any, use: Any, share: float = 1.0) -> Rest:
    rest = Rest(*answers)
    rest.exchange = Trading()

    async def main(client: Client) -> None:
        context = client._opened().context
        await use(rest, Requester(context, Account("default", KEY), share=share))

    rest.play(main, options=QUICK, credentials=KEY)
    return rest


def test_the_times_of_a_request_are_told() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        sent: list[int] = []
        began = rest.clock.time_ns()
        value, times = await requester.timed(Place(BTC), on_sent=sent.append)
        assert value == "17"
        assert sent == [times.sent_ns] == [began]
        assert times.received_ns == pytest.approx(began + 1e7, abs=1e5)

    play(TAKEN, use=use)


def test_what_cant_leave_in_time_never_does() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        sent: list[int] = []
        for _ in range(4):
            await requester.once(Place(BTC))
        now = rest.clock.monotonic()
        with pytest.raises(NotSent):
            await requester.timed(Place(BTC), send_before=now + 0.5, on_sent=sent.append)
        assert rest.clock.monotonic() == pytest.approx(now + 0.5, abs=0.01)
        with pytest.raises(NotSent):
            await requester.timed(Place(BTC), send_before=now)
        await asyncio.sleep(60.0)
        assert sent == []
        now = rest.clock.monotonic()
        await requester.timed(Place(BTC), send_before=now + 0.5, on_sent=sent.append)
        assert len(sent) == 1

    assert len(play(TAKEN, use=use).asked) == 5


def test_now_or_not_at_all_says_when_it_could() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        for _ in range(4):
            await requester.timed(Place(BTC), patience=0.0)
        began = rest.clock.monotonic()
        with pytest.raises(RateLimited) as full:
            await requester.timed(Place(BTC), patience=0.0)
        assert rest.clock.monotonic() == began
        assert 0.9 < (full.value.retry_after or 0.0) <= 1.0
        *pools, host = requester.turns.left()
        found = {each.pool: (each.left, each.of) for each in pools}
        assert found == {"placing": (0, 4), "canceling": (2, 2)}
        assert (host.left, host.of, host.reserved) == (6, 10, 1)

    play(TAKEN, use=use)


def test_a_batch_costs_what_its_orders_do() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        began = rest.clock.monotonic()
        await requester.once(PlaceMany(3))
        await requester.once(Place(BTC))
        assert rest.clock.monotonic() - began < 0.1
        await requester.once(PlaceMany(2))
        assert rest.clock.monotonic() - began > 1.0

    play(TAKEN, use=use)


def test_what_an_account_may_do_in_all_counts_beside_what_it_may_of_each_instrument() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        began = rest.clock.monotonic()
        for instrument in ("a", "a", "b"):
            await requester.once(PlaceOn(instrument))
        assert rest.clock.monotonic() - began < 0.1
        await requester.once(PlaceOn("b"))  # of which one more may leave, but of all none
        assert rest.clock.monotonic() - began > 1.0
        began = rest.clock.monotonic()
        await requester.once(PlaceOn("b"))
        await requester.once(PlaceOn("b"))
        assert rest.clock.monotonic() - began > 0.9

    play(TAKEN, use=use)


def test_cancels_leave_before_queries_and_placements_that_wait() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        queries = [asyncio.ensure_future(requester.ask(Look())) for _ in range(100)]
        places = [
            asyncio.ensure_future(requester.timed(Place(BTC), patience=1000.0)) for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        began = rest.clock.monotonic()
        await requester.once(Cancel(BTC))  # what is reserved is there for it
        assert rest.clock.monotonic() - began < 0.1
        await asyncio.gather(*(requester.once(Cancel(BTC)) for _ in range(2)))
        assert rest.clock.monotonic() - began < 10.0
        for each in (*queries, *places):
            each.cancel()
        await asyncio.wait([*queries, *places])

    play(TAKEN, use=use)


def test_reconciliation_spends_a_tenth_and_delays_nobody() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        background = [
            asyncio.ensure_future(requester.ask(Look(), priority=Priority.BACKGROUND))
            for _ in range(6)
        ]
        await asyncio.sleep(0.1)
        assert len(rest.asked) == 1
        for _ in range(8):
            await requester.ask(Look())
        assert rest.clock.monotonic() < 1.0
        await asyncio.gather(*background)
        assert rest.clock.monotonic() > 50.0

    play(TAKEN, use=use)


def test_a_refused_pool_pauses_not_the_host() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        with pytest.raises(RateLimited):
            await requester.once(Place(BTC))
        began = rest.clock.monotonic()
        await requester.once(Cancel(BTC))
        await requester.ask(Look())
        assert rest.clock.monotonic() - began < 0.1
        assert requester.paused == 0.0
        await requester.once(Place(BTC))
        assert rest.clock.monotonic() - began == pytest.approx(3.0, abs=0.1)

    play(b"many", TAKEN, use=use)


def test_what_the_exchange_says_is_left_is_the_truth() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        await requester.once(Place(BTC))
        with pytest.raises(RateLimited):
            await requester.timed(Place(BTC), patience=0.0)
        await requester.once(Cancel(BTC))

    play(response(200, b'{"id":"17"}', {"x-left": "0"}), use=use)


def test_two_processes_that_share_an_account_take_each_its_share() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        for _ in range(2):
            await requester.timed(Place(BTC), patience=0.0)
        with pytest.raises(RateLimited):
            await requester.timed(Place(BTC), patience=0.0)
        assert _left(requester) == 0

    play(TAKEN, use=use, share=0.5)


def test_a_budget_that_was_waited_for_in_vain_is_given_back() -> None:
    async def use(rest: Rest, requester: Requester) -> None:
        now = rest.clock.monotonic()
        # The turn comes in the moment in which it is too late.
        for _ in range(4):
            await requester.once(Place(BTC))
        late = now + 1.0 + 0.01
        tried = [
            asyncio.ensure_future(requester.timed(Place(BTC), send_before=late)) for _ in range(4)
        ]
        await asyncio.wait(tried)
        await asyncio.sleep(0.05)
        spent = len(rest.asked) - 4
        assert _left(requester) == 4 - spent

    play(TAKEN, use=use)


class Silent:
    """A transport that doesn't tell when requests leave."""

    def __init__(self, inner: Any, outcome: Exception | None = None) -> None:
        self._inner = inner
        self._outcome = outcome

    async def connect(self, url: str, headers: Any = ()) -> Any:
        return await self._inner.connect(url, headers)

    async def request(self, base_url: str, request: Any) -> HttpResponse:
        await asyncio.sleep(0.1)
        if self._outcome is not None:
            raise self._outcome
        return HttpResponse(200, {}, b'{"id":"17"}')

    async def aclose(self) -> None:
        await self._inner.aclose()


def test_of_a_transport_that_doesnt_tell_a_request_counts_as_sent_when_it_is_handed_over() -> None:
    rest = orders(TAKEN)
    sent: list[int] = []

    async def use(client: Client) -> None:
        began = rest.clock.time_ns()
        _, times = await client._ready().timed(Place(BTC), on_sent=sent.append)
        assert sent == [times.sent_ns] == [began]
        asked = asyncio.ensure_future(client._ready().timed(Place(BTC), on_sent=sent.append))
        await asyncio.sleep(0.05)
        asked.cancel()
        await asyncio.wait([asked])
        assert len(sent) == 2  # it may have

    rest.play(use, transport=Silent(rest.transport))
    lost = Silent(rest.transport, OSError("reset"))

    async def lose(client: Client) -> None:
        with pytest.raises(OutcomeUnknown):
            await client._ready().timed(Place(BTC), on_sent=sent.append)
        assert len(sent) == 3

    rest.play(lose, transport=lost)


class Connecting(Silent):
    """A transport that connects for a while before it sends."""

    async def request(self, base_url: str, request: Any) -> HttpResponse:
        leaves = about_to_leave()
        await asyncio.sleep(1.0)
        if leaves is not None:
            leaves()
        await asyncio.sleep(1.0)
        return HttpResponse(200, {}, b'{"id":"17"}')


def test_what_is_cancelled_or_too_late_while_it_connects_hasnt_left() -> None:
    rest = orders(TAKEN)
    sent: list[int] = []

    async def use(client: Client) -> None:
        requester, clock = client._ready(), rest.clock
        asked = asyncio.ensure_future(requester.timed(Place(BTC), on_sent=sent.append))
        await asyncio.sleep(0.5)
        asked.cancel()
        await asyncio.wait([asked])
        before = clock.monotonic() + 0.5
        with pytest.raises(NotSent):
            await requester.timed(Place(BTC), send_before=before, on_sent=sent.append)
        assert sent == []
        assert requester.turns.left()[0].left == 10
        began = clock.time_ns()
        _, times = await requester.timed(Place(BTC), on_sent=sent.append)
        assert sent == [times.sent_ns] == [began + 10**9]

    rest.play(use, transport=Connecting(rest.transport))


# --- on real sockets ------------------------------------------------------------------------


@pytest.mark.sockets
@pytest.mark.parametrize("transport", ["aiohttp", "picows"])
def test_a_request_that_waits_for_its_connection_leaves_in_time_or_never(transport: str) -> None:
    """The exchange's machine is reached late: the first byte is what counts."""
    if transport == "picows":
        pytest.importorskip("ccrs_picows")

    async def main() -> None:
        arrived: list[bytes] = []

        async def handle(peer: Peer) -> None:
            while True:
                head = await peer.reader.readuntil(b"\r\n\r\n")
                arrived.append(head + await peer.reader.readexactly(9))
                await answer(peer, body=b'{"id":"17"}')

        options = attrs.evolve(QUICK, transport=TransportOptions(request_timeout=5.0))
        async with (
            serve(handle) as address,
            ccrs_core.connect(
                Orders(),
                base_url=f"http://{address}",
                options=options,
                transport=transport,
                instruments=[BTC],
            ) as client,
        ):
            requester, clock = client._ready(), client._clock
            sent: list[int] = []
            inner = client._opened().context.transport
            real = inner.request

            async def slow(base_url: str, request: Any) -> HttpResponse:
                await asyncio.sleep(0.15)
                return await real(base_url, request)

            inner.request = slow  # type: ignore[method-assign]
            before = clock.monotonic() + 0.05
            with pytest.raises(NotSent):
                await requester.timed(Place(BTC), send_before=before, on_sent=sent.append)
            assert (arrived, sent) == ([], [])
            before = clock.monotonic() + 4.0
            _, times = await requester.timed(Place(BTC), send_before=before, on_sent=sent.append)
            assert len(arrived) == 1
            assert times.sent_ns is not None
            assert times.received_ns is not None
            assert sent == [times.sent_ns]
            assert times.received_ns >= times.sent_ns

    run(main)
