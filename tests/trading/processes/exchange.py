"""The exchange as a process of its own: an emulator behind sockets, with its money tape in a file.

Orders come by its standard input, one JSON object a line; each is answered by a line. Started as
``python -m tests.trading.processes.exchange NAME FOLDER SEED RATE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import random
import signal
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccrs_core.conformance.workbench.account_wallets import wallets_of
from ccrs_core.conformance.workbench.account_world import lively
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import desk_of, money_of, tradable, trading_of
from ccrs_core.contract.trading import Feature
from ccrs_core.emulator import (
    ApiKey,
    DeskOrder,
    EmulatedExchange,
    EmulatorServer,
    Happening,
    NewOrder,
    OrderChanged,
    Refused,
    TradingAccount,
    account_of,
)
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import PositionSide
from tests.trading.processes.others.other import KEY, MARK, SECRET

ACCOUNT, OTHER = "trader", "other"
MARKETS = {Market.SPOT: 2, Market.LINEAR: 2, Market.INVERSE: 1, Market.OPTION: 1}
"""How many instruments of which markets are traded."""


class Floor:
    """The emulated exchange, and what is told to do."""

    def __init__(self, name: str, folder: Path, seed: int, rate: float) -> None:
        subject = Subject(name)
        listings = [each for each in lively(subject) if each.market in MARKETS]
        trading = trading_of(subject)
        markets = [each for each in MARKETS if each in trading.features]
        traded = [e for market in markets for e in tradable(subject, market)[: MARKETS[market]]]
        self.symbols = [each.symbol for each in traded]
        dialect = subject.exchange.dialect()
        assert dialect is not None
        self.venue = EmulatedExchange(
            dialect, seed=seed, rate=rate, start_ns=time.time_ns(), instruments=listings
        )
        self.desk = desk = desk_of(self.venue)
        tape = (folder / "tape").open("wb", buffering=0)
        desk.tape.copy_to(lambda line: tape.write(line.encode()))
        self.orders: dict[int, DeskOrder] = {}
        desk.listeners.append(self._note)
        money = money_of(self.venue)
        for name in (ACCOUNT, OTHER):
            desk.open_account(name, money=money)
        self.wallets = wallets_of(self.venue, trading, ACCOUNT)
        self.other = wallets_of(self.venue, trading, OTHER)
        desk.add_key(ApiKey(key="traderKey", secret="traderSecret", account=ACCOUNT))
        desk.add_key(ApiKey(key=KEY, secret=SECRET, account=ACCOUNT))
        # The last contract has two positions.
        hedged = [e for e in traded if Feature.HEDGE in trading.features[e.market]][-1:]
        for each in hedged:
            at = subject.listings[each.market, each.native]
            wallet = self.wallets.of(each.market)
            # Where contracts have wallets of their own, the mode is of all that are in one.
            about = at.category if len(self.wallets.all) > 1 else at
            desk.settings.position_mode(wallet, about, PositionMode.HEDGE)
        self.hedged = [each.symbol for each in hedged]
        self.natives = [
            f"{subject.listings[e.market, e.native].category}:{e.native}:{int(e in hedged)}"
            for e in traded
        ]
        self.random = random.Random(seed)
        self.listings = listings
        self.placements: Counter[str] = Counter()
        """How many placements of each client's id have come, whatever came of them."""
        self._place = desk.place
        desk.place = self._counted  # type: ignore[method-assign]
        self._victim: tuple[int, int, str] | None = None
        """Who is to be killed: once how many more placements have come, before or after they are
        carried out."""
        self._others = 0

    def _note(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged) and account_of(happening) in self.wallets.names:
            self.orders[happening.order.number] = happening.order

    def _counted(self, account: TradingAccount, asked: NewOrder) -> DeskOrder:
        if asked.client_order_id.startswith(MARK) or account.name in self.other.names:
            return self._place(account, asked)
        self.placements[asked.client_order_id] += 1
        if self._victim is None:
            return self._place(account, asked)
        pid, left, when = self._victim
        self._victim = (pid, left - 1, when) if left > 1 else None
        if left > 1:
            return self._place(account, asked)
        if when == "before":
            _kill(pid)
        try:
            return self._place(account, asked)
        finally:
            if when == "after":
                _kill(pid)

    # --- what is told ---

    def do(self, what: dict[str, Any]) -> Any:
        match what["do"]:
            case "fault":
                self.venue.faults.add(what["text"])
            case "quieten":
                self.venue.faults.clear()
            case "arm":
                self._victim = (what["pid"], what["count"], what["when"])
            case "disarm":
                self._victim = None
            case "others":
                self._somebody_acts()
            case "end":
                self._end_one()
            case "orders":
                Path(what["path"]).write_bytes(pickle.dumps(self.orders))
                return dict(self.placements)
        return None

    def _somebody_acts(self) -> None:
        """Another program of the account places an order, or somebody else trades."""
        self._others += 1
        mine = self.random.random() < 0.5
        listing = self.random.choice(self.listings)
        market = self.venue.market(listing)
        buys = self.random.random() < 0.5
        best = market.engine.asks.best if buys else market.engine.bids.best
        if best is None:
            return
        price = market.rules.price.value(best) * (Decimal("1.002") if buys else Decimal("0.998"))
        price = price // listing.tick * listing.tick
        worth = price * listing.lot * listing.worth_of_one
        lots = max(listing.min_size // listing.lot, Decimal(50) // worth + 1)
        account = (self.wallets if mine else self.other).of(listing.market)
        which = PositionSide.NET
        if account.position_mode(listing) is PositionMode.HEDGE:
            which = self.random.choice([PositionSide.LONG, PositionSide.SHORT])
        asked = NewOrder(
            listing=listing,
            position_side=which,
            side=Side.BUY if buys else Side.SELL,
            size=listing.lot * lots,
            price=price,
            client_order_id=f"web{self._others:06d}" if mine else "",
        )
        with contextlib.suppress(Refused):
            self.desk.place(account, asked)

    def _end_one(self) -> None:
        """Another program cancels one of the account's orders."""
        found = self.wallets.open_orders()
        if found:
            order = self.random.choice(found)
            with contextlib.suppress(Refused):
                self.desk.cancel(self.desk.accounts[order.account], order.number)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def main(name: str, folder: str, seed: str, rate: str) -> None:
    floor = Floor(name, Path(folder), int(seed), float(rate))
    async with EmulatorServer(floor.venue) as server:
        what = {"symbols": floor.symbols, "hedged": floor.hedged, "natives": floor.natives}
        what["wallets"] = dict(floor.wallets.accounts)
        print(json.dumps({"url": server.url, **what}), flush=True)  # noqa: T201
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            floor.venue.advance(time.time_ns())
            print(json.dumps(floor.do(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
