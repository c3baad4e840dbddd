"""Steady quoting in virtual time, and what of it is in memory."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ccrs_core import CcrsError, Fill, Order, Side
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, money_of
from ccrs_core.emulator import NewOrder
from ccrs_core.model.instruments import Market
from ccrs_core.trading.ledger import Ledger

_CLIENTS = tuple(
    f"ccrs_core.{room}"
    for room in ("model", "trading", "client", "connections", "feeds", "requests", "transport")
)
_OF_THE_LOOP = ("_asyncio.", "asyncio.")


@contextmanager
def remembering(recent: int) -> Iterator[None]:
    """Ledgers remember so many orders and entries, so that that much is soon reached."""
    defaults = Ledger.__init__.__kwdefaults__
    assert defaults is not None
    before, defaults["recent"] = defaults["recent"], recent
    try:
        yield
    finally:
        defaults["recent"] = before


def objects() -> Counter[str]:
    """The client's objects by type; the emulator's, which remembers all, are left out."""
    gc.collect()
    kinds = Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())
    wanted = (*_CLIENTS, *_OF_THE_LOOP)
    return Counter({kind: count for kind, count in kinds.items() if kind.startswith(wanted)})


class Quoting:
    """One account that quotes both sides of a market: each second it moves its quotes, places those
    that were filled anew, and acknowledges what it was told."""

    def __init__(self, subject: Subject) -> None:
        self.world = AccountWorld(subject, on_disk=True, rate=0.5)
        self.at: Stall = self.world.stall(Market.LINEAR)
        self.other = self.world.desk.open_account("other", money=money_of(self.world.venue))
        self.seconds = 0
        self.fills = 0
        self.calls = 0
        self.troubles: Counter[str] = Counter()

    async def _tried(self, call: object) -> object | None:
        self.calls += 1
        try:
            return await call  # type: ignore[misc]
        except CcrsError as error:
            self.troubles[type(error).__name__] += 1
            return None

    async def _second(self, life: Life, quotes: dict[Side, object]) -> None:
        second, at, account = self.seconds, self.at, life.account
        self.seconds += 1
        for side in Side:
            order = quotes.get(side)
            now: Order | None = None if order is None else order.now  # type: ignore[attr-defined]
            price = at.passive(side, 1 + second % 4)
            if now is None or now.state.final:
                request = at.limit(side, price, 2)
                quotes[side] = await self._tried(account.place(request))
            elif second % 7 == 0:
                await self._tried(account.cancel(now))
            else:
                await self._tried(account.amend(now, price=price))
        if second % 3 == 0:
            self._taken(buys=second % 2 == 0)
        if second % 100 == 50:
            self.world.fault("drop")
        if second % 45 == 20:
            self.world.fault("lose_answer,count=1")
        life.tap.poke()
        for event in life.events:
            self.fills += isinstance(event, Fill)
        last = max((getattr(event, "number", 0) or 0 for event in life.events), default=0)
        life.events.clear()
        if last:
            life.feed.acknowledge(last)

    def _taken(self, *, buys: bool) -> None:
        at, venue = self.at, self.world.venue
        venue.advance(self.world.clock.time_ns())
        self.world.stall(Market.LINEAR)
        wanted = NewOrder(
            listing=at.listing,
            side=Side.BUY if buys else Side.SELL,
            size=at.size * 25,
            price=at.price + (5 if buys else -5) * at.step,
        )
        with suppress(Exception):
            self.world.desk.place(self.other, wanted)

    def run(self, *moments: int) -> list[Counter[str]]:
        """The objects that there are after so many seconds each."""
        found = []
        world = self.world
        try:
            life = world.live()
            quotes: dict[Side, object] = {}

            async def until(moment: int) -> None:
                while self.seconds < moment:
                    await self._second(life, quotes)
                    await asyncio.sleep(1.0 - asyncio.get_running_loop().time() % 1.0)
                # What was unclear is found out by then.
                await asyncio.sleep(130.0)

            for moment in moments:
                world.do(until(moment))
                # What the bench writes down isn't the client's.
                life.tap.sent.clear()
                life.tap.requests.clear()
                found.append(objects())
            world.do(life.account.reconcile())
            assert life.account.synced, life.account.reason
            told = {order.client_order_id for order in life.account.open_orders()}
            true = {
                order.client_order_id
                for order in world.desk_orders(NAME).values()
                if not order.stage.ended
            }
            assert told == true
            world.do(life.stop())
        finally:
            world.close()
        return found


def grown(before: Counter[str], after: Counter[str], allowed: int) -> dict[str, int]:
    """What there is more of, by more than so many."""
    return {
        kind: count - before[kind]
        for kind, count in after.items()
        if count - before[kind] > allowed
    }
