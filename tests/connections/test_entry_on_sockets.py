"""Order entry over WebSocket on real loopback sockets."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import orjson
import pytest

import ccrs_core
from ccrs_core import (
    CcrsError,
    Market,
    NotSent,
    Options,
    OutcomeUnknown,
    Pool,
    TransportOptions,
)
from ccrs_core.connections.entry_line import EntryLine
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.budgets import Budget
from ccrs_core.requests.turns import Turns
from tests.entering import KEY, Do, EntryToy
from tests.transport.servers import BOTH, TEXT, Make, Peer, frame, run, websocket

pytestmark = [pytest.mark.sockets, BOTH]

QUICK = Options(
    transport=TransportOptions(request_timeout=0.5), backoff_initial=0.01, backoff_max=0.02
)


class Free(EntryToy):
    """Without a budget in the way."""

    endpoints = {  # noqa: RUF012
        **EntryToy.endpoints,
        Do: attrs.evolve(
            EntryToy.endpoints[Do],
            pool=Pool("free", Budget(amount=100_000, seconds=1.0), per_account=True),
        ),
    }


async def _say(peer: Peer, message: dict[str, Any]) -> None:
    await peer.send(frame(TEXT, orjson.dumps(message)))


def played(
    make: Make,
    taken: Callable[[Peer, dict[str, Any]], Awaitable[bool]],
    use: Callable[[EntryLine], Awaitable[None]],
) -> None:
    """A line to a peer that hands on what is entered; False: it hangs up."""

    async def handle(peer: Peer) -> None:
        while True:
            opcode, payload = await peer.read()
            if opcode != TEXT:
                continue
            message = orjson.loads(payload)
            if "login" in message:
                await _say(peer, {"login": True})
            elif "do" in message and not await taken(peer, message):
                peer.reset()
                return

    async def main() -> None:
        async with websocket(handle) as url:
            client = ccrs_core.connect(
                Free(),
                base_url=url.removesuffix("/stream").replace("ws", "http", 1),
                transport=make(QUICK.transport),
                options=QUICK,
                credentials=KEY,
            )
            async with client:
                shared, account = client._opened(), Account("default", KEY)
                route = client.exchange.entry_route(Market.SPOT)
                assert route is not None
                line = EntryLine(shared, account, route, Turns(shared.context, account))
                try:
                    await use(line)
                finally:
                    await line.aclose()

    run(main)


async def _outcome(line: EntryLine, what: str, **how: Any) -> Any:
    try:
        return (await line.ask(Do(what), **how))[0]
    except CcrsError as error:
        return error


def test_hundreds_are_under_way_and_each_gets_its_own_answer(make: Make) -> None:
    held: list[dict[str, Any]] = []

    async def taken(peer: Peer, message: dict[str, Any]) -> bool:
        held.append(message)
        if len(held) == 300:
            random.Random(1).shuffle(held)
            for each in held:
                await _say(peer, {"re": each["id"], "says": f"done {each['what']}"})
        return True

    async def use(line: EntryLine) -> None:
        found = await asyncio.gather(*(_outcome(line, str(n)) for n in range(300)))
        assert found == [f"done {n}" for n in range(300)]

    played(make, taken, use)


def test_whatever_ends_the_connection_nothing_arrives_twice_and_each_ends_in_one_way(
    make: Make,
) -> None:
    dice, arrived = random.Random(2), Counter[str]()

    async def taken(peer: Peer, message: dict[str, Any]) -> bool:
        arrived[message["what"]] += 1
        fate = dice.random()
        if fate < 0.8:
            await _say(peer, {"re": message["id"], "says": f"done {message['what']}"})
        return fate < 0.9

    async def use(line: EntryLine) -> None:
        kinds = Counter[type]()

        async def one(number: int) -> None:
            await asyncio.sleep(dice.uniform(0.0, 1.5))
            outcome = await _outcome(line, str(number), patience=dice.choice((0.0, 0.05, 5.0)))
            kinds[type(outcome)] += 1
            match outcome:
                case str():
                    assert (outcome, arrived[str(number)]) == (f"done {number}", 1)
                case OutcomeUnknown():
                    assert arrived[str(number)] <= 1
                case _:
                    assert isinstance(outcome, NotSent), outcome
                    assert arrived[str(number)] == 0

        await asyncio.gather(*map(one, range(200)))
        assert kinds[str] > 20
        assert kinds[OutcomeUnknown] > 5
        assert max(arrived.values()) == 1

    played(make, taken, use)


def test_an_answer_that_waited_in_the_socket_while_the_loop_was_blocked_isnt_too_late(
    make: Make,
) -> None:
    async def taken(peer: Peer, message: dict[str, Any]) -> bool:
        await _say(peer, {"re": message["id"], "says": "done a"})
        time.sleep(0.8)  # noqa: ASYNC251 - longer than the patience with answers
        return True

    async def use(line: EntryLine) -> None:
        assert await _outcome(line, "a") == "done a"

    played(make, taken, use)
