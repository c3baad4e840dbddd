"""An account over OKX's plugin, against frames and answers as documented: what is sent, and what
becomes of it."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest
from account_rows import algo_row, detail_row, fill_row, order_row, traded
from ccrs_okx import Okx
from ccrs_okx.trading import ACCOUNT_CHANNELS, TRADING

import ccrs_core
from ccrs_core import (
    Capabilities,
    Credentials,
    EndReason,
    HttpRequest,
    HttpResponse,
    OrderRejected,
    OrderState,
    Origin,
    OutcomeUnknown,
    Trading,
    Trigger,
    errors,
    limit,
    market,
)
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run

SYMBOL, NATIVE = "ETH/USDT:USDT", "ETH-USDT-SWAP"
SAMPLES = importlib.resources.files("ccrs_okx") / "samples" / "requests"
LISTS = {
    "SPOT": "instruments-spot",
    "SWAP": "instruments-linear",
    "FUTURES": "instruments-linear-futures",
    "OPTION": "instruments-option",
}


class Trader(Okx):
    """OKX with all that its plugin has of trading."""

    trading: ClassVar[Trading | None] = TRADING
    capabilities: ClassVar[Capabilities] = attrs.evolve(
        Okx.capabilities, account_channels=ACCOUNT_CHANNELS
    )


class Script:
    """The other side: lists are empty unless told, and what is asked to be done is acknowledged."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        """What was asked by HTTP: path, query or body, headers."""
        self.entered: list[dict[str, Any]] = []
        self.peers: list[Peer] = []
        self.lists: dict[str, list[Any]] = {
            "account/config": [{"acctLv": "2", "posMode": "net_mode", "uid": "17"}],
            "account/balance": [{"uTime": "1794000000000", "details": [detail_row()]}],
        }
        self.answers: dict[str, Callable[[Any], HttpResponse]] = {}
        self.login_takes: float | None = 0.01
        """Seconds; None: logins are never answered."""
        self.logins = self.too_early = 0
        self.welcome: list[Peer] = []

    @property
    def now_ms(self) -> int:
        return self.clock.time_ns() // 10**6

    # --- what the transport asks ---

    def opened(self, peer: Peer) -> None:
        self.peers.append(peer)

    def _welcome(self, peer: Peer) -> None:
        self.welcome.append(peer)
        peer.push(json.dumps({"event": "login", "code": "0", "msg": "", "connId": "a"}))

    def closed(self, peer: Peer) -> None:
        self.peers.remove(peer)

    def received(self, peer: Peer, frame: Any) -> None:
        if frame == "ping":
            peer.push("pong")
            return
        message = json.loads(frame)
        if message["op"] == "login":
            self.logins += 1
            if self.login_takes is not None:
                asyncio.get_running_loop().call_later(self.login_takes, self._welcome, peer)
        elif peer not in self.welcome and not peer.url.endswith("/public"):
            said = {"event": "error", "code": "60011", "msg": "Please log in"}
            peer.push(json.dumps({**said, "id": message["id"]}))
            self.too_early += 1
        elif message["op"] in {"subscribe", "unsubscribe"}:
            for argument in message["args"]:
                arg = {k: v for k, v in argument.items() if k != "extraParams"}
                said = {"id": message["id"], "event": message["op"], "arg": arg, "connId": "a"}
                peer.push(json.dumps(said))
        else:
            self.entered.append(message)
            rows = [self._ack(row) for row in message["args"]]
            said = {"id": message["id"], "op": message["op"], "code": "0", "msg": "", "data": rows}
            peer.push(json.dumps(said))

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        path = request.path.removeprefix("/api/v5/")
        body = json.loads(request.body) if request.body else dict(request.query)
        self.asked.append((path, body, dict(request.headers)))
        if path in self.answers:
            return self.answers[path](body)
        if path == "public/time":
            return self.said([{"ts": str(self.now_ms)}])
        if path == "public/instruments":
            name = LISTS[body["instType"]]
            return HttpResponse(200, {}, (SAMPLES / f"{name}.body").read_bytes())
        if path == "public/instrument-tick-bands":
            return HttpResponse(200, {}, (SAMPLES / "options-families.body").read_bytes())
        if request.method == "POST":
            return self.said([self._ack(body)])
        return self.said(self.lists.get(path, []))

    def said(self, rows: list[Any], code: str = "0", status: int = 200) -> HttpResponse:
        body = {"code": code, "msg": "", "data": rows}
        return HttpResponse(status, {}, json.dumps(body).encode())

    def _ack(self, body: dict[str, Any]) -> dict[str, Any]:
        named = {"ordId": "3967", "clOrdId": body.get("clOrdId", "")}
        return {**named, "ts": str(self.now_ms), "sCode": "0", "sMsg": "", "tag": "ccrs"}

    # --- what happens ---

    def push(self, **row: Any) -> None:
        """The channel of orders tells a row."""
        told = {**row, "instId": NATIVE, "uTime": str(self.now_ms)}
        frame = {"arg": {"channel": "orders", "instType": "ANY", "uid": "7"}, "data": [told]}
        for peer in self.peers:
            if peer.url.endswith("/private"):
                peer.push(json.dumps(frame))

    def push_waiting(self, row: dict[str, Any]) -> None:
        """The channel of orders that wait tells a row."""
        told = {**row, "instId": NATIVE, "uTime": str(self.now_ms)}
        frame = {"arg": {"channel": "orders-algo", "instType": "ANY", "uid": "7"}, "data": [told]}
        for peer in self.peers:
            if peer.url.endswith("/business"):
                peer.push(json.dumps(frame))

    def sent(self, path: str) -> list[Any]:
        """What was asked to be done."""
        return [body for asked, body, _ in self.asked if asked == path]


@attrs.frozen
class World:
    script: Script
    account: Any
    clock: VirtualClock


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[World]:
    clock = VirtualClock()
    script = Script(clock)
    client = ccrs_core.connect(
        Trader(),
        transport=MemoryTransport(script, latency=0.01),
        clock=clock,
        credentials=Credentials("key", "secret", "phrase"),
    )
    async with client, client.account(store="memory", **settings) as account:
        await asyncio.sleep(0.5)
        yield World(script, account, clock)


def scenario(test: Callable[[], Any]) -> Callable[[], None]:
    def play() -> None:
        run(test())

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


def buy(size: str = "0.5", **more: Any) -> Any:
    return limit(SYMBOL, "buy", size=size, price="3000.10", **more)


@scenario
async def test_an_account_opens_with_the_streams_that_tell_all_and_is_synced() -> None:
    async with opened() as at:
        assert at.account.synced
        private = [peer.url for peer in at.script.peers]
        assert sorted(url.rpartition("/")[2] for url in private) == ["business", "private"]
        assert at.account.info.kind == "futures mode"
        assert list(at.account.balances()) == ["USDT"]


@scenario
async def test_an_order_goes_its_way_in_contracts_and_is_known_in_coins() -> None:
    async with opened() as at:
        live = await at.account.place(buy())
        (body,) = at.script.sent("trade/order")
        assert (body["sz"], body["tdMode"], body["tag"]) == ("5", "cross", "ccrs")
        headers = next(h for path, _, h in at.script.asked if path == "trade/order")
        assert int(headers["expTime"]) - at.script.now_ms == pytest.approx(5000, abs=600)
        own = body["clOrdId"]
        assert own.isalnum()
        at.script.push(**order_row(clOrdId=own, px="3000.10"))
        at.script.push(**traded("1", "2", "2", clOrdId=own, px="3000.10", fillPx="3000.1"))
        await asyncio.sleep(0.1)
        order = at.account.order(own)
        assert (order.state, order.size, order.filled_size) == (
            *(OrderState.OPEN, Decimal("0.5")),
            Decimal("0.2"),
        )
        assert order.fills_complete
        last = traded("1", "2", "2", clOrdId=own, px="3000.10", fillPx="3000.1", cancelSource="1")
        at.script.push(**{**last, "state": "canceled"})
        await asyncio.sleep(0.1)
        assert live.state is OrderState.CANCELED
        assert live.filled_size == Decimal("0.2")


@scenario
async def test_an_amendment_that_was_acknowledged_may_still_fail() -> None:
    async with opened() as at:
        live = await at.account.place(buy())
        own = live.client_order_id
        at.script.push(**order_row(clOrdId=own, px="3000.10"))
        await asyncio.sleep(0.1)

        async def amended(result: str, **more: Any) -> Any:
            asked = asyncio.ensure_future(at.account.amend(own, size="0.8"))
            await asyncio.sleep(0.2)
            assert not asked.done()  # acknowledged, and nothing is known yet
            identity = at.script.sent("trade/amend-order")[-1]["reqId"]
            row = {"clOrdId": own, "px": "3000.10", "reqId": identity, "amendResult": result}
            at.script.push(**order_row(**{**row, **more}))
            return await asked

        with pytest.raises(OrderRejected) as refused:
            await amended("-1", code="51511", msg="would take")
        assert (refused.value.code, refused.value.reason) == ("51511", EndReason.POST_ONLY)
        assert at.account.order(own).size == Decimal("0.5")
        order = await amended("0", sz="8")
        assert order.size == Decimal("0.8")
        bodies = at.script.sent("trade/amend-order")
        assert [body["newSz"] for body in bodies] == ["8", "8"]
        assert len({body["reqId"] for body in bodies}) == 2


@scenario
async def test_orders_over_the_socket_name_the_instrument_by_its_number() -> None:
    async with opened(via="websocket") as at:
        await asyncio.sleep(1.0)
        await at.account.place(buy())
        (frame,) = at.script.entered
        assert frame["op"] == "order"
        assert frame["args"][0]["instIdCode"] == 201
        assert int(frame["expTime"]) > at.script.now_ms
        assert at.script.sent("trade/order") == []


@scenario
async def test_post_only_that_would_take_is_rejected_by_its_only_push() -> None:
    async with opened() as at:
        live = await at.account.place(buy(post_only=True))
        own = live.client_order_id
        end = order_row(clOrdId=own, ordType="post_only", state="canceled", cancelSource="31")
        at.script.push(**{**end, "px": "3000.10"})
        order = await live.ended(5.0)
        assert (order.state, order.reason) == (OrderState.REJECTED, EndReason.POST_ONLY)


@scenario
async def test_an_order_of_which_no_answer_tells_is_absent_once_its_deadline_is_over() -> None:
    """OKX says that it timed out, neither done nor refused; and afterwards that there is no such
    order: within the deadline that may be lag."""
    async with opened() as at:
        script = at.script
        script.answers["trade/order"] = lambda body: (
            script.said([], "50004", 400) if "sz" in body else script.said([], "51603")
        )
        began = at.clock.monotonic()
        with pytest.raises(OutcomeUnknown) as unknown:
            await at.account.place(buy())
        own = unknown.value.order.client_order_id
        await asyncio.sleep(25.0)
        assert at.account.order(own).state is OrderState.UNKNOWN
        while at.account.order(own).state is OrderState.UNKNOWN:
            await asyncio.sleep(1.0)
            assert at.clock.monotonic() < began + 150.0
        assert at.account.order(own).state is OrderState.ABSENT
        assert at.clock.monotonic() > began + 40.0
        assert len([body for body in script.sent("trade/order") if "sz" in body]) == 1
        queries = len(script.asked)
        await asyncio.sleep(30.0)
        looked = [path for path, _, _ in script.asked[queries:] if path == "trade/order"]
        assert looked == []


@scenario
async def test_a_batch_has_each_outcome_in_its_place() -> None:
    async with opened() as at:
        script = at.script

        def some(body: Any) -> HttpResponse:
            rows = [script._ack(item) for item in body]
            rows[0]["ordId"], rows[2]["ordId"] = "1", "3"
            rows[1] |= {"ordId": "", "sCode": "51008", "sMsg": "poor"}
            return script.said(rows, "2")

        script.answers["trade/batch-orders"] = some
        first, second, third = await at.account.place_many([buy(), buy("0.6"), buy("0.7")])
        assert [each.exchange_order_id for each in (first, third)] == ["1", "3"]
        assert isinstance(second, errors.InsufficientBalance)
        (body,) = script.sent("trade/batch-orders")
        assert [item["sz"] for item in body] == ["5", "6", "7"]


@scenario
async def test_disconnect_protection_is_renewed_for_orders_of_this_package_alone() -> None:
    async with opened() as world:
        script, account = world.script, world.account
        with pytest.raises(errors.UsageError):
            account.dead_man(5)
        async with account.dead_man(30) as protection:
            assert protection.armed
            await asyncio.sleep(60)
        told = script.sent("trade/cancel-all-after")
        assert told[0] == {"timeOut": "30", "tag": "ccrs"} == told[1]
        assert len(told) > 4
        assert told[-1] == {"timeOut": "0", "tag": "ccrs"}
        async with account.dead_man(30, everything=True):
            assert script.sent("trade/cancel-all-after")[-1] == {"timeOut": "30"}
        assert script.sent("trade/cancel-all-after")[-1] == {"timeOut": "0"}


def _unknown_order(script: Script) -> None:
    """Orders are taken, and none is known by its ids."""
    script.answers["trade/order"] = lambda body: (
        script.said([script._ack(body)]) if "sz" in body else script.said([], "51603")
    )


@scenario
async def test_an_order_that_okx_has_forgotten_was_canceled_only_where_fills_say_so() -> None:
    """Unfilled orders that were canceled are in no list after two hours."""
    async with opened() as at:
        script, account = at.script, at.account
        _unknown_order(script)
        live = await account.place(buy())
        own = live.client_order_id
        script.push(**order_row(clOrdId=own, px="3000.10"))
        script.answers["trade/fills-history"] = lambda body: script.said([], "50001", 503)
        for peer in list(script.peers):
            peer.drop()
        await asyncio.sleep(600.0)
        assert account.order(own).state not in {OrderState.CANCELED, OrderState.ABSENT}
        del script.answers["trade/fills-history"]
        await asyncio.sleep(300.0)
        assert account.order(own).state is OrderState.CANCELED
        assert account.order(own).filled_size == 0


@scenario
async def test_a_fill_whose_push_was_lost_is_asked_for_at_once() -> None:
    """The cumulative size jumps."""
    async with opened() as at:
        script, account = at.script, at.account
        live = await account.place(buy())
        own = live.client_order_id
        how = {"clOrdId": own, "px": "3000.10", "fillPx": "3000.1", "avgPx": "3000.1"}
        script.push(**order_row(clOrdId=own, px="3000.10"))
        now = str(script.now_ms)
        listed = {"fillTime": now, "ts": now, "instId": NATIVE, "clOrdId": own, "fillPx": "3000.1"}
        script.lists["trade/fills-history"] = [
            fill_row(tradeId="2", fillSz="1", billId="2", **listed),
            fill_row(tradeId="1", fillSz="2", billId="1", **listed),
        ]
        script.push(**traded("2", "1", "3", **how, fillTime=now))
        await asyncio.sleep(10.0)
        order = account.order(own)
        assert (order.filled_size, order.fills_complete) == (Decimal("0.3"), True)
        assert account.synced


@scenario
async def test_a_client_id_that_is_taken_doesnt_end_who_has_it() -> None:
    """Another program of the account has an order of that id, a part of which is filled."""
    async with opened() as at:
        script, account = at.script, at.account
        row = order_row(clOrdId="c5", instId=NATIVE, px="3000.10", accFillSz="2", avgPx="3000.1")
        refused = {"ordId": "", "clOrdId": "c5", "sCode": "51016", "sMsg": "exists"}
        script.answers["trade/order"] = lambda body: (
            script.said([refused], "1") if "sz" in body else script.said([row])
        )
        with pytest.raises(errors.CcrsError) as taken:
            await account.place(buy(client_order_id="c5"))
        assert taken.value.code == "51016"
        await asyncio.sleep(60.0)
        order = account.order("c5")
        assert (order.state, order.exchange_order_id) == (OrderState.OPEN, "3967")


@scenario
async def test_orders_that_the_timer_canceled_are_known_to_be() -> None:
    async with opened() as at:
        script, account = at.script, at.account
        async with account.dead_man(60):
            live = await account.place(buy())
            own = live.client_order_id
            script.push(**order_row(clOrdId=own, px="3000.10"))
            await asyncio.sleep(1.0)
            end = order_row(clOrdId=own, px="3000.10", state="canceled", cancelSource="20")
            script.push(**end)
            order = await live.ended(5.0)
            assert (order.state, order.reason) == (OrderState.CANCELED, EndReason.DEAD_MAN)
            assert not account.open_orders()


@scenario
async def test_what_waits_for_a_trigger_goes_and_comes_by_ways_of_its_own() -> None:
    async with opened(via="websocket") as at:
        script, account = at.script, at.account
        acked, ids = {"algoId": "7001", "sCode": "0", "sMsg": ""}, iter(["7001", "7002"])
        script.answers["trade/order-algo"] = lambda body: script.said(
            [{**acked, "algoId": next(ids), "algoClOrdId": body["algoClOrdId"]}]
        )
        script.answers["trade/cancel-algos"] = lambda body: script.said([acked])
        trigger = Trigger(price="2900", rises=False)
        stop = market(SYMBOL, "sell", size="0.5", trigger=trigger)
        guard = await account.place(stop)
        own = guard.client_order_id
        (body,) = script.sent("trade/order-algo")
        assert (body["slTriggerPx"], body["slOrdPx"], body["sz"]) == ("2900", "-1", "5")
        assert body["algoClOrdId"] == own
        script.push_waiting(algo_row(algoClOrdId=own, slTriggerPx="2900"))
        await asyncio.sleep(0.1)
        assert guard.state is OrderState.WAITING
        assert script.entered == []
        await account.cancel(own)
        assert script.sent("trade/cancel-algos") == [[{"instId": NATIVE, "algoId": "7001"}]]
        script.push_waiting(algo_row(algoClOrdId=own, slTriggerPx="2900", state="canceled"))
        await asyncio.sleep(0.1)
        assert guard.state is OrderState.CANCELED
        # Another one fires.
        guard = await account.place(stop)
        own = guard.client_order_id
        script.push_waiting(algo_row(algoId="7002", algoClOrdId=own, slTriggerPx="2900"))
        fired = {"state": "effective", "ordId": "8801", "ordIdList": ["8801"]}
        script.push_waiting(algo_row(algoId="7002", algoClOrdId=own, slTriggerPx="2900", **fired))
        child = {"ordId": "8801", "clOrdId": "", "algoId": "7002", "algoClOrdId": own}
        how = {"side": "sell", "ordType": "market", "px": "", "fillPx": "2899", "avgPx": "2899"}
        script.push(**traded("9", "5", "5", "filled", **child, **how))
        await asyncio.sleep(0.1)
        assert (await guard.filled(timeout=1.0)).children == ("8801",)
        assert (guard.state, guard.filled_size) == (OrderState.FILLED, Decimal("0.5"))
        assert guard.average_price == Decimal(2899)
        assert guard.now.native["ordIdList"] == "['8801']" or guard.now.native["ordId"] == "8801"
        placed = account.order("8801")
        assert (placed.state, placed.filled_size) == (OrderState.FILLED, Decimal("0.5"))
        assert (placed.parent_id, placed.fired_by, placed.origin) == (own, "7002", Origin.OWN)
        assert not account.open_orders()


@scenario
async def test_nothing_is_subscribed_to_before_the_login_is_answered() -> None:
    async with opened() as at:
        script, account = at.script, at.account
        for seconds in (0.9, None):
            script.login_takes = seconds
            before = script.logins
            for peer in list(script.peers):
                peer.drop()
            await asyncio.sleep(0.5)
            assert not account.synced
            await asyncio.sleep(60.0)
            assert account.synced is (seconds is not None)
            # Each of the two private connections; without an answer, anew.
            tries = script.logins - before
            assert tries == 2 if seconds is not None else tries > 4
        script.login_takes = 0.1
        await asyncio.sleep(60.0)
        assert account.synced
        assert script.too_early == 0
