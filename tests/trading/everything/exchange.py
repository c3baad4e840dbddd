"""One of the exchanges as a process of its own: an emulator behind sockets, with two accounts of
the program, others on the same ones, and its money tape in a file.

Orders come by its standard input, one JSON object a line; each is answered by a line. Started as
``python -m tests.trading.everything.exchange NAME FOLDER SEED RATE``.
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
from ccrs_core.emulator import (
    ApiKey,
    DeskOrder,
    EmulatedExchange,
    EmulatorServer,
    Happening,
    Listing,
    NewOrder,
    OrderChanged,
    Refused,
    TradingAccount,
    account_of,
)
from ccrs_core.model.instruments import Side
from tests.trading.everything.venues import ACCOUNTS, MARKETS, OTHER, words_of
from tests.trading.processes.others.other import KEY, MARK, SECRET


class Floor:
    """An emulated exchange whose accounts are traded on, and what it is told to do."""

    def __init__(self, subject: Subject, seed: int, rate: float, start_ns: int, tape: Any) -> None:
        """:param tape: is called with each line of the money tape."""
        listings = [each for each in lively(subject) if each.market in MARKETS]
        features = trading_of(subject).features
        self.subject = subject
        self.traded = [
            each
            for market, number in MARKETS.items()
            if market in features
            for each in tradable(subject, market)[:number]
        ]
        dialect = subject.exchange.dialect()
        assert dialect is not None
        self.venue = EmulatedExchange(
            dialect, seed=seed, rate=rate, start_ns=start_ns, instruments=listings
        )
        self.desk = desk_of(self.venue)
        self.desk.tape.copy_to(tape)
        self.orders: dict[str, dict[int, DeskOrder]] = {name: {} for name in ACCOUNTS}
        self.desk.listeners.append(self._note)
        money = money_of(self.venue)
        for name in (*ACCOUNTS, OTHER):
            self.desk.open_account(name, money=money)
        for name in ACCOUNTS:
            key, secret = words_of(name)
            self.desk.add_key(ApiKey(key=key, secret=secret, account=name))
        self.desk.add_key(ApiKey(key=KEY, secret=SECRET, account=ACCOUNTS[0]))
        trading = trading_of(subject)
        self._wallets = {name: wallets_of(self.venue, trading, name) for name in (*ACCOUNTS, OTHER)}
        self.random = random.Random(seed)
        self.listings = [self.at(each) for each in self.traded]
        self.placements: Counter[str] = Counter()
        """How many placements of each client's id have come, whatever came of them."""
        self._place = self.desk.place
        self.desk.place = self._counted  # type: ignore[method-assign]
        self._victim: tuple[int, int, str] | None = None
        """Who is to be killed: once how many more placements have come, before or after they are
        carried out."""
        self._others = 0

    def at(self, instrument: Any) -> Listing:
        return self.subject.listings[instrument.market, instrument.native]

    def wallet(self, name: str, listing: Listing) -> TradingAccount:
        """The desk's account that holds the money of a listing's market."""
        return self._wallets[name].of(listing.market)

    def wallets(self, name: str) -> dict[str, str]:
        """What the tape calls an account's wallets, by the plugin's names."""
        return dict(self._wallets[name].accounts)

    def _note(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            orders = self.orders.get(owner(account_of(happening)))
            if orders is not None:
                orders[happening.order.number] = happening.order

    def _counted(self, account: TradingAccount, asked: NewOrder) -> DeskOrder:
        name = owner(account.name)
        if asked.client_order_id.startswith(MARK) or name == OTHER:
            return self._place(account, asked)
        self.placements[f"{name}:{asked.client_order_id}"] += 1
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
                self.somebody_acts(what["who"])
            case "end":
                self.end_one()
            case "traded":
                wanted = {each.key for each in self.listings}
                return all(wanted <= self.traded_by(name) for name in ACCOUNTS)
            case "orders":
                Path(what["path"]).write_bytes(pickle.dumps(self.orders))
                wallets = {name: self.wallets(name) for name in ACCOUNTS}
                return {"placements": dict(self.placements), "wallets": wallets}
        return None

    def somebody_acts(self, who: str = OTHER) -> None:
        """Somebody else trades, with luck against what the accounts have in the book; or another
        program of an account does, what that one has traded itself: of a symbol that it has nothing
        to do with an exchange may tell no list."""
        self._others += 1
        listing = self.random.choice(self.listings)
        if who != OTHER and listing.key not in self.traded_by(who):
            return
        market = self.venue.market(listing)
        buys = self.random.random() < 0.5
        best = market.engine.asks.best if buys else market.engine.bids.best
        if best is None:
            return
        price = market.rules.price.value(best) * (Decimal("1.002") if buys else Decimal("0.998"))
        price = price // listing.tick * listing.tick
        worth = price * listing.lot * listing.worth_of_one
        lots = max(listing.min_size // listing.lot, Decimal(50) // worth + 1)
        asked = NewOrder(
            listing=listing,
            side=Side.BUY if buys else Side.SELL,
            size=listing.lot * lots,
            price=price,
            client_order_id="" if who == OTHER else f"{MARK}{self._others:06d}",
        )
        with contextlib.suppress(Refused):
            self.desk.place(self.wallet(who, listing), asked)

    def traded_by(self, name: str) -> set[tuple[str, str]]:
        """Of which listings an account's program has placed an order."""
        orders = self.orders[name].values()
        return {each.listing.key for each in orders if not each.client_order_id.startswith(MARK)}

    def end_one(self) -> None:
        """Another program cancels one of an account's orders."""
        account = self.wallet(self.random.choice(ACCOUNTS), self.random.choice(self.listings))
        found = account.open_orders()
        if found:
            with contextlib.suppress(Refused):
                self.desk.cancel(account, self.random.choice(found).number)


def owner(account: str) -> str:
    """Whose a wallet of the desk is."""
    return account.partition("/")[0]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def main(name: str, folder: str, seed: str, rate: str) -> None:
    tape = (Path(folder) / f"{name}.tape").open("wb", buffering=0)
    floor = Floor(
        Subject(name),
        int(seed),
        float(rate),
        time.time_ns(),
        lambda line: tape.write(line.encode()),
    )
    async with EmulatorServer(floor.venue) as server:
        natives = [f"{floor.at(each).category}:{each.native}:0" for each in floor.traded]
        symbols = [each.symbol for each in floor.traded]
        print(json.dumps({"url": server.url, "symbols": symbols, "natives": natives}), flush=True)  # noqa: T201
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            floor.venue.advance(time.time_ns())
            print(json.dumps(floor.do(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
