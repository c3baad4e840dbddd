"""The toy exchange with order entry over WebSocket, and lines that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import attrs
import orjson

import ccrs_core
from ccrs_core import (
    Access,
    Answer,
    Budget,
    CcrsError,
    Client,
    ClientIds,
    ClockRefused,
    Closing,
    Credentials,
    Endpoint,
    EntryReply,
    ExchangeError,
    ExchangeUnavailable,
    HttpRequest,
    Market,
    Message,
    Options,
    Outbound,
    Pool,
    PoolLeft,
    RateLimited,
    Request,
    Route,
    Trading,
)
from ccrs_core.connections.entry_line import EntryLine
from ccrs_core.contract.accounts import Account
from ccrs_core.requests.turns import Turns
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock
from tests.toy import Toy, ToyCodec, ToyServer

KEY = Credentials("key", "secret")


@attrs.frozen
class Do(Request[str]):
    """Something that must not be done twice."""

    what: str


@attrs.frozen
class Undo(Request[str]):
    """Something urgent."""

    what: str


@attrs.frozen
class See(Request[str]):
    """Something that may be asked as often as one likes."""

    what: str
    idempotent: ClassVar[bool] = True


class EntryCodec(ToyCodec):
    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if "re" in message:
            return EntryReply(message["re"], message["says"], message.get("headers", {}))
        return super()._read(message, now_ns)

    def entry(self, request: Request[Any], request_id: str, access: Access) -> Outbound:
        kind = type(request).__name__.lower()
        what: Any = request
        frame = {"do": kind, "what": what.what, "id": request_id, "at": access.now_ms}
        return orjson.dumps(frame).decode()

    def entry_answer(self, request: Request[Any], content: Any, received_time_ns: int) -> Any:
        errors: dict[Any, CcrsError] = {
            "clock": ClockRefused("10002", "too late"),
            "busy": ExchangeUnavailable("10016", "restarting"),
            "bad": ExchangeError("1", "bad"),
            "many": RateLimited("10006", "too many", 0.7),
        }
        if content in errors:
            raise errors[content]
        if not isinstance(content, str):
            raise ValueError(content)
        return Answer(content, answered_ns=received_time_ns - 1)


class EntryToy(Toy):
    """Takes orders on a socket of its own."""

    placing: ClassVar[Pool] = Pool("placing", Budget(amount=10, seconds=1.0), per_account=True)
    canceling: ClassVar[Pool] = Pool("canceling", Budget(amount=5, seconds=1.0), per_account=True)
    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Toy.endpoints,
        **{
            kind: Endpoint(
                encode=lambda request, cursor: HttpRequest("POST", "/do"),
                decode=lambda request, response, now_ns, cursor: Answer(response.body.decode()),
                markets=frozenset(Market),
                signed=True,
                pool=pool,
                urgent=urgent,
            )
            for kind, pool, urgent in (
                (Do, placing, False),
                (Undo, canceling, True),
                (See, None, False),
            )
        },
    }
    trading = Trading(
        features={}, client_ids=ClientIds(longest=36), by_socket=frozenset({Do, Undo, See})
    )

    def __init__(self, **entry: Any) -> None:
        super().__init__(codec=EntryCodec)
        self._entry = Route(url="{stream}/entry", private=True, **entry)

    def entry_route(self, market: Market) -> Route | None:
        return self._entry

    def pools_left(self, request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
        return [PoolLeft(left=int(headers["left"]))] if "left" in headers else ()


class EntryServer(ToyServer):
    """Answers what is entered as ``reply`` has it: at once, later, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[float, Peer, dict[str, Any]]] = []
        """What arrived, when."""
        self.reply: Callable[[Peer, dict[str, Any]], None] = self.well
        self.hear_login = True

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "do" in message:
            self.got.append((self.now(), peer, message))
            if peer not in self.dead:
                self.reply(peer, message)
        elif "login" not in message or self.hear_login:
            super().received(peer, frame)

    def well(self, peer: Peer, message: dict[str, Any]) -> None:
        """Done."""
        self.say(peer, message, f"done {message['what']}")

    def mute(self, peer: Peer, message: dict[str, Any]) -> None:
        """Taken, and no word of it."""

    def say(self, peer: Peer, message: dict[str, Any], says: Any, **headers: str) -> None:
        peer.push(orjson.dumps({"re": message["id"], "says": says, "headers": headers}))

    def later(self, seconds: float) -> Callable[[Peer, dict[str, Any]], None]:
        """Done, and told later."""

        def reply(peer: Peer, message: dict[str, Any]) -> None:
            asyncio.get_running_loop().call_later(seconds, self.well, peer, message)

        return reply

    @property
    def done(self) -> list[str]:
        """What arrived, in its order."""
        return [message["what"] for _, _, message in self.got]


@attrs.define
class Entering:
    server: EntryServer
    client: Client
    line: EntryLine
    turns: Turns
    clock: VirtualClock
    late: list[tuple[Request[Any], Any]]

    @property
    def left(self) -> int:
        """How many may be placed now."""
        return next(each.left for each in self.turns.left() if each.pool == "placing")

    async def outcome(self, request: Request[Any], **how: Any) -> Any:
        """The answer, or what was raised."""
        try:
            return (await self.line.ask(request, **how))[0]
        except CcrsError as error:
            return error

    def start(self, request: Request[Any], **how: Any) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.outcome(request, **how))


@asynccontextmanager
async def entering(
    *,
    exchange: EntryToy | None = None,
    options: Options | None = None,
    connected: bool = True,
    share: float = 1.0,
    keeper: Any = None,
) -> AsyncIterator[Entering]:
    server, clock = EntryServer(), VirtualClock()
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        EntryToy() if exchange is None else exchange,
        transport=MemoryTransport(server, latency=0.01),
        clock=clock,
        credentials=KEY,
        options=options,
    )
    async with client:
        shared, account = client._opened(), Account("default", KEY)
        late: list[tuple[Request[Any], Any]] = []
        turns = Turns(shared.context, account, share)
        route = client.exchange.entry_route(Market.SPOT)
        assert route is not None

        def note(request: Request[Any], found: Any, _: Any) -> None:
            late.append((request, found))

        line = EntryLine(shared, account, route, turns, keeper, note)
        try:
            if connected:
                await asyncio.sleep(0.1)
            yield Entering(server, client, line, turns, clock, late)
        finally:
            await line.aclose()


__all__ = ["Closing", "Do", "Entering", "EntryServer", "EntryToy", "See", "Undo", "entering"]
