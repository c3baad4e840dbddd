"""pybit, Bybit's official client, pointed at loopback: its sockets have threads and call back."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

from pybit import _websocket_trading, unified_trading

from benchmarks.orders.exchanges.bybit import EXCHANGE
from benchmarks.orders.job import KEY, SIZE, Job
from benchmarks.orders.meter import Meter

_PATIENCE = 60.0
_KEYS = {"api_key": KEY, "api_secret": KEY}
_ABOUT = {"category": EXCHANGE.category, "symbol": EXCHANGE.native}

Note = Callable[[int, int, int], None]


class _Answers(dict[str, Any]):
    """Takes every answer. pybit notes who waits for one after it has sent the request, which with
    many in flight is after the answer now and then."""

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._take = take

    def pop(self, key: Any, default: Any = None) -> Any:
        super().pop(key, None)
        return self._take, _refused


def _refused(message: dict[str, Any]) -> None:
    raise RuntimeError(f"refused: {message}")


@contextlib.contextmanager
def _http(job: Job) -> Iterator[Any]:
    session = unified_trading.HTTP(testnet=False, recv_window=60_000, **_KEYS)
    session.endpoint = job.url
    try:
        yield session
    finally:
        session.client.close()


def _bid(http: Any) -> float:
    return float(http.get_orderbook(**_ABOUT, limit=1)["result"]["b"][0][0])


class _Pairs:
    """Keeps so many pairs in flight, from answer to answer."""

    def __init__(self, entry: Any, terms: dict[str, str]) -> None:
        self._entry = entry
        self._terms = terms
        self._called: dict[str, int] = {}
        self._placed: dict[str, int] = {}
        self._left = self._open = 0
        self._note: Note = lambda *_: None
        self._over: queue.Queue[BaseException | None] = queue.Queue()
        self._number = 0
        entry.callback_directory = _Answers(self._answered)

    def run(self, count: int, flights: int, note: Note) -> None:
        self._left, self._note = count, note
        for _ in range(min(flights, count)):
            self._place()
        failure = self._over.get(timeout=_PATIENCE)
        if failure is not None:
            raise failure

    def _place(self) -> None:
        self._left -= 1
        self._open += 1
        self._number += 1
        identity = f"p{self._number}"
        self._called[identity] = time.monotonic_ns()
        self._entry.place_order(_ignored, **_ABOUT, **self._terms, orderLinkId=identity)

    def _answered(self, message: dict[str, Any]) -> None:
        identity = message["data"]["orderLinkId"]
        now_ns = time.monotonic_ns()
        if message["op"] == "order.create":
            self._placed[identity] = now_ns
            order_id = message["data"]["orderId"]
            self._entry.cancel_order(_ignored, **_ABOUT, orderId=order_id)
            return
        self._note(self._called.pop(identity), self._placed.pop(identity), now_ns)
        self._open -= 1
        if self._left:
            self._place()
        elif not self._open:
            self._over.put(None)


def _ignored(message: dict[str, Any]) -> None:
    """What :class:`_Answers` takes."""


def _over_socket(job: Job, meter: Meter) -> None:
    with _http(job) as http:
        price = f"{_bid(http) * 0.995 // 1:.0f}"
    _websocket_trading.TRADE_WSS = f"{job.ws_url}/v5/trade"
    more = {"recv_window": 60_000, "private_auth_expire": 60}
    entry = unified_trading.WebSocketTrading(testnet=False, **more, **_KEYS)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not entry.auth:
            if time.monotonic() > deadline:
                raise TimeoutError("pybit didn't log in")
            time.sleep(0.01)
        terms = {"side": "Buy", "orderType": "Limit", "qty": SIZE, "price": price}
        pairs = _Pairs(entry, terms)
        pairs.run(job.warm_up, job.flights, lambda *_: None)
        meter.begin()
        pairs.run(job.count, job.flights, meter.pair)
        meter.end()
    finally:
        entry.exit()


def _over_rest(job: Job, meter: Meter) -> None:
    with _http(job) as http:
        price = f"{_bid(http) * 0.995 // 1:.0f}"
        terms = {"side": "Buy", "orderType": "Limit", "qty": SIZE, "price": price}

        def pairs(count: int, note: Note) -> None:
            for _ in range(count):
                called = time.monotonic_ns()
                order_id = http.place_order(**_ABOUT, **terms)["result"]["orderId"]
                placed = time.monotonic_ns()
                http.cancel_order(**_ABOUT, orderId=order_id)
                note(called, placed, time.monotonic_ns())

        pairs(job.warm_up, lambda *_: None)
        meter.begin()
        pairs(job.count, meter.pair)
        meter.end()


async def orders(job: Job, meter: Meter) -> None:
    """Pairs of placing and canceling; in its threads, not on this loop."""
    work = _over_socket if job.contender.way == "websocket" else _over_rest
    await asyncio.to_thread(work, job, meter)


def _fills(job: Job, meter: Meter) -> None:
    whole = job.warm_up + job.count
    over: queue.Queue[None] = queue.Queue()

    def take(message: dict[str, Any]) -> None:
        for row in message["data"]:
            many = meter.filled(row["execId"])
            if many == job.warm_up:
                meter.begin()
            elif many == whole:
                meter.end()
                over.put(None)

    unified_trading.PRIVATE_WSS = f"{job.ws_url}/v5/private"
    socket = unified_trading.WebSocket(
        testnet=False, channel_type="private", private_auth_expire=60, **_KEYS
    )
    try:
        socket.execution_stream(take)
        time.sleep(0.5)
        with _http(job) as http:
            http.place_order(
                **_ABOUT,
                side="Buy",
                orderType="Limit",
                timeInForce="PostOnly",
                qty=f"{float(SIZE) * whole:.3f}",
                price=f"{_bid(http) + 0.1:.1f}",
                orderLinkId=job.fills_id,
            )
        over.get(timeout=_PATIENCE)
    finally:
        socket.exit()


async def fills(job: Job, meter: Meter) -> None:
    """The fills of one order, as the execution stream brings them."""
    await asyncio.to_thread(_fills, job, meter)
