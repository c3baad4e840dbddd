"""The toy desk's side: accounts by key, what happens to them, and the faults that matter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import orjson

from ccrs_core import HttpRequest, HttpResponse, Outbound, TimedOut
from ccrs_core.model.orders import OrderState
from ccrs_core.transport.departure import leaves_now
from ccrs_core.transport.memory import MemoryTransport, Peer
from tests.toy import ToyServer
from tests.trading.desk_toy import TOPICS


@attrs.define(eq=False)
class ToyOrder:
    row: dict[str, Any]
    visible_at: float

    @property
    def open(self) -> bool:
        return not OrderState(self.row["state"]).final and not self.row.get("fired")


@attrs.define
class Book:
    """One account."""

    orders: dict[str, ToyOrder] = attrs.field(factory=dict)
    fills: list[tuple[float, dict[str, Any]]] = attrs.field(factory=list)
    """When each is in the list, and the row."""
    positions: dict[str, Decimal] = attrs.field(factory=dict)
    usd: Decimal = Decimal(1_000_000)
    moved_at: dict[str, int] = attrs.field(factory=dict)
    """When a position has changed, by its instrument."""

    def filled(self, link: str) -> Decimal:
        found = [r for _, r in self.fills if r["link"] == link]
        return sum((Decimal(r["size"]) for r in found), Decimal(0))


Fault = Callable[[str, dict[str, Any]], str | None]
"""What goes wrong with a request of a path: ``lose`` (taken, no answer), ``drop`` (not taken, no
answer), ``busy_after`` (taken, and answered otherwise), or a code to refuse it with; None:
nothing."""


class DeskServer(ToyServer):
    """The desk's side. What is asked is done at once; faults are attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[str, Book] = {}
        self.keys: dict[Peer, str] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[float, str, dict[str, Any]]] = []
        """When what was asked: path, and body or query."""
        self.list_lag = 0.0
        """Seconds by which orders and fills are late in lists and single queries."""
        self.push_of: Callable[[str, dict[str, Any]], list[float]] = lambda topic, row: [0.0]
        """After how many seconds each copy of a push leaves; none: it is lost."""
        self.ack_first = True
        self.refused = ""
        self.trade = ["spot", "linear"]
        self.band = ("50", "200")
        self.wall_ns: Callable[[], int] = lambda: 0
        self.next_id = 0
        self.confirm: Callable[[str, dict[str, Any]], float | None] = lambda act, asked: None
        """After how many seconds an acknowledged amendment or cancel is done, or, below zero, after
        how many it comes to nothing, and is told so; None: at once, and nothing says so."""
        self.entitled = True
        self.protected_at = float("inf")
        self.timed = False
        """Whether its protection is a timer, of what a request names."""
        self.timers: dict[tuple[Any, ...], asyncio.TimerHandle] = {}
        self.fired: list[tuple[float, tuple[Any, ...]]] = []

    def book_of(self, key: str) -> Book:
        return self.accounts.setdefault(key, Book())

    # --- streams ---

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "login" in message:
            self.keys[peer] = message["login"]
        super().received(peer, frame)

    def show(self, peer: Peer, topic: str) -> None:
        if topic not in TOPICS.values():
            super().show(peer, topic)

    def tell(self, key: str, topic: str, row: dict[str, Any]) -> None:
        frame = orjson.dumps({"t": topic, "rows": [row]})

        def leave() -> None:
            for peer in self.open:
                hears = peer not in self.dead and (peer, topic) not in self.stalled
                if hears and self.keys.get(peer) == key and topic in self.topics[peer]:
                    peer.push(frame)

        for after in self.push_of(topic, row):
            if after:
                asyncio.get_running_loop().call_later(after, leave)
            else:
                leave()

    # --- what happens ---

    def fill(
        self, key: str, identity: str, size: str, price: str | None = None, *, maker: bool = True
    ) -> str:
        """Fill a part of an order, by either id; its fill's id."""
        book, order = self.book_of(key), self.find(key, identity)
        assert order is not None
        row = order.row
        self.next_id += 1
        price = price or row["price"] or "100"
        row["filled"] = f"{Decimal(row['filled']) + Decimal(size):f}"
        row["value"] = f"{Decimal(row['value']) + Decimal(size) * Decimal(price):f}"
        if order.open:
            whole = Decimal(row["filled"]) >= Decimal(row["size"])
            row["state"] = "filled" if whole else "open"
        row["at"] = self.wall_ns()
        fill = {
            **{k: row[k] for k in ("market", "native", "id", "link", "side", "at")},
            "fill": f"f{self.next_id}",
            "price": price,
            "size": size,
            "fee": f"{Decimal(size) * Decimal(price) / 1000:f}",
            "liquidity": "maker" if maker else "taker",
        }
        book.fills.append((self.now() + self.list_lag, fill))
        signed = Decimal(size) * (1 if row["side"] == "buy" else -1)
        if row["market"] == "linear":
            book.positions[row["native"]] = book.positions.get(row["native"], Decimal(0)) + signed
            book.moved_at[row["native"]] = self.wall_ns()
        book.usd -= Decimal(fill["fee"])
        self.tell(key, "fills", dict(fill))
        self.tell(key, "orders", dict(row))
        self.tell(key, "balances", self._usd(book))
        if row["market"] == "linear":
            self.tell(key, "positions", self._position(book, row["native"]))
        return str(fill["fill"])

    def _usd(self, book: Book) -> dict[str, Any]:
        return {"asset": "USD", "total": f"{book.usd:f}", "at": self.wall_ns()}

    def _position(self, book: Book, native: str) -> dict[str, Any]:
        self.next_id += 1
        size = book.positions.get(native, Decimal(0))
        at = book.moved_at.get(native, self.wall_ns())
        return {
            "market": "linear",
            "native": native,
            "size": f"{size:f}",
            "seq": self.next_id,
            "at": at,
        }

    def end(self, key: str, identity: str, state: str = "canceled", reason: str = "") -> None:
        """An order ends otherwise than by a fill."""
        order = self.find(key, identity)
        assert order is not None
        order.row |= {"state": state, "reason": reason, "at": self.wall_ns()}
        self.tell(key, "orders", dict(order.row))

    def fire(
        self,
        key: str,
        identity: str,
        size: str | None = None,
        *,
        told: bool = True,
        last: bool = True,
    ) -> str:
        """The trigger of an order fires: what that places has an id of its own. ``last``: nothing
        else is placed."""
        book, guard = self.book_of(key), self.find(key, identity)
        assert guard is not None
        self.next_id += 1
        now_ns = self.wall_ns()
        child = {
            **guard.row,
            "id": f"o{self.next_id}",
            "link": "",
            "fired_by": guard.row["id"],
            "state": "open",
            "created": now_ns,
            "at": now_ns,
        }
        child["size"] = child["size"] if size is None else size
        book.orders[child["id"]] = ToyOrder(child, self.now() + self.list_lag)
        guard.row |= {"fired": last, "at": now_ns}
        guard.row["children"] = [*guard.row.get("children", ()), child["id"]]
        if told:
            self.tell(key, "orders", dict(guard.row))
            self.tell(key, "orders", dict(child))
        return str(child["id"])

    def find(self, key: str, identity: str) -> ToyOrder | None:
        book = self.book_of(key)
        by_link = [o for o in book.orders.values() if o.row["link"] == identity and identity]
        return book.orders.get(identity) or (by_link[-1] if by_link else None)

    def place(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        """As somebody does: an order of another program, too."""
        book = self.book_of(key)
        if asked["link"] and self.find(key, asked["link"]) is not None:
            return {"code": "duplicate"}
        self.next_id += 1
        now_ns = self.wall_ns()
        row = {
            **{k: asked.get(k) for k in ("market", "native", "link", "side", "type", "size")},
            "price": asked.get("price"),
            "tif": asked.get("tif", "gtc"),
            "id": f"o{self.next_id}",
            "state": "waiting" if asked.get("waits") else "open",
            "filled": "0",
            "value": "0",
            "created": now_ns,
            "at": now_ns,
        }
        book.orders[row["id"]] = ToyOrder(row, self.now() + self.list_lag)
        self.tell(key, "orders", dict(row))
        return {"id": row["id"], "link": row["link"], "taken": now_ns}

    def amend(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order = self.find(key, asked["id"]) or self.find(key, asked["link"])
        if order is None or not order.open:
            return {"code": "not_found"}

        def done() -> None:
            for name in ("price", "size"):
                if asked.get(name) is not None:
                    order.row[name] = asked[name]

        self._confirmed("amend", key, asked, order, done)
        return {"id": order.row["id"], "link": order.row["link"]}

    def cancel(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        order = self.find(key, asked["id"]) or self.find(key, asked["link"])
        if order is None or not order.open:
            return {"code": "not_found"}

        def done() -> None:
            order.row |= {"state": "canceled", "reason": "by_user"}

        self._confirmed("cancel", key, asked, order, done)
        return {"id": order.row["id"], "link": order.row["link"]}

    def _confirmed(
        self,
        act: str,
        key: str,
        asked: dict[str, Any],
        order: ToyOrder,
        done: Callable[[], None],
    ) -> None:
        """Do it, now or later, and tell that."""
        after = self.confirm(act, asked)

        def settle() -> None:
            works = (after is None or after >= 0) and order.open
            if works:
                done()
                order.row["at"] = self.wall_ns()
            said = {"act": act, "request": asked.get("request", ""), "done": works}
            self.tell(key, "orders", order.row | ({} if after is None else {"confirms": said}))

        if after:
            asyncio.get_running_loop().call_later(abs(after), settle)
        else:
            settle()

    # --- requests ---

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.requests.append(request.path)
        path, key = request.path, request.headers.get("key", "")
        asked = orjson.loads(request.body) if request.body else dict(request.query)
        if path == "/time":
            return HttpResponse(200, {}, str(self.wall_ns()).encode())
        if path.startswith("/instruments"):
            return HttpResponse(200, {}, b"[]")
        self.calls.append((self.now(), path, asked))
        for fault in self.faults:
            what = fault(path, asked)
            if what == "drop":
                raise TimedOut("no answer")
            if what == "lose":
                self._done(path, key, asked)
                raise TimedOut("no answer")
            if what == "busy_after":
                self._done(path, key, asked)
                what = "busy"
            if what == "502":
                return HttpResponse(502, {}, b"{}")
            if what is not None:
                return HttpResponse(200, {}, orjson.dumps({"code": what, "after": 0.7}))
        return HttpResponse(200, {}, orjson.dumps(self._done(path, key, asked)))

    def _done(self, path: str, key: str, asked: dict[str, Any]) -> Any:
        book = self.book_of(key)
        acts = {"place": self.place, "amend": self.amend, "cancel": self.cancel}
        name = path[1:].removesuffix("_many")
        if name in acts:
            if path.endswith("_many"):
                return {"items": [self._one_of_many(name, key, each) for each in asked["items"]]}
            return acts[name](key, asked)
        seen = [o for o in book.orders.values() if o.visible_at <= self.now()]
        of = [
            o
            for o in seen
            if o.row["market"] == asked.get("market")
            and asked.get("native") in (None, o.row["native"])
        ]
        match path:
            case "/cancel_all":
                ended = [o for o in of if o.open]
                return {"items": [self.cancel(key, o.row) for o in ended]}
            case "/order":
                found = self.find(key, asked.get("id", "")) or self.find(key, asked["link"])
                if found is None or found.visible_at > self.now():
                    return {"order": None}
                return {"order": found.row if found.open != bool(int(asked["history"])) else None}
            case "/open":
                return [o.row for o in of if o.open]
            case "/history":
                return [o.row for o in of if not o.open and _within(o.row, asked)]
            case "/fills":
                return [
                    row
                    for at, row in book.fills
                    if at <= self.now()
                    and row["market"] == asked["market"]
                    and asked.get("id") in (None, row["id"])
                    and _within(row, asked)
                ]
            case "/positions":
                return [self._position(book, n) for n, size in book.positions.items() if size]
            case "/wallet":
                return [self._usd(book)]
            case "/info":
                return {"trade": self.trade, "refused": self.refused}
            case "/dead_man":
                if not self.entitled:
                    return {"code": "key"}
                self.protected_at = self.now() + 5.0
                if self.timed:
                    self._set_timer(key, asked)
                return {}
            case "/protection":
                on = self.now() >= self.protected_at
                return {"seconds": 10.0 if on else None}
            case "/band":
                return {"lowest": self.band[0], "highest": self.band[1]}
        return {"code": f"no such path {path}"}

    def _set_timer(self, key: str, asked: dict[str, Any]) -> None:
        of = key, asked["market"], asked["native"], asked["everything"]
        if (old := self.timers.pop(of, None)) is not None:
            old.cancel()

        def fire() -> None:
            self.fired.append((self.now(), of))
            del self.timers[of]
            for order in list(self.book_of(key).orders.values()):
                named = asked["native"] in (None, order.row["native"])
                own = asked["everything"] or order.row["link"]
                if order.open and own and named and asked["market"] in (None, order.row["market"]):
                    self.end(key, order.row["id"], reason="dead_man")

        if asked["seconds"]:
            self.timers[of] = asyncio.get_running_loop().call_later(asked["seconds"], fire)

    def _one_of_many(self, name: str, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        acts = {"place": self.place, "amend": self.amend, "cancel": self.cancel}
        for fault in self.faults:
            what = fault(f"/{name}_one", asked)
            if what is not None:
                return {"code": what, "after": 0.7}
        return acts[name](key, asked)

    def sent_of(self, path: str) -> list[dict[str, Any]]:
        """The bodies of what was asked of a path."""
        return [asked for _, each, asked in self.calls if each == path]


def _within(row: dict[str, Any], asked: dict[str, Any]) -> bool:
    at = int(row["at"])
    return int(asked.get("start", 0)) <= at < int(asked.get("end", 2**63))


class DeskTransport(MemoryTransport):
    """Answers of a server; ``answer_after(path, body)`` more seconds pass before one comes."""

    def __init__(self, server: DeskServer, *, latency: float = 0.01) -> None:
        super().__init__(server, latency=latency)
        self.answer_after: Callable[[str], float] = lambda path: 0.0

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        leaves_now()
        await asyncio.sleep(self.latency)
        after = self.answer_after(request.path)
        try:
            return self.server.requested(base_url, request)
        finally:
            if after:
                await asyncio.sleep(after)
