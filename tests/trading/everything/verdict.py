"""Whether a program's ledger of an account is what the exchange's money tape says."""

from __future__ import annotations

import contextlib
import json
import pickle
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ccrs_core import Balance, Fill, Order, Position, SqliteStore
from ccrs_core.conformance.judges.account_truth import (
    fills_are_true,
    instruments_by_key,
    money_is_true,
    orders_are_true,
    positions_are_true,
)
from ccrs_core.conformance.judges.accountant import account_books
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import untold_of
from ccrs_core.emulator import DeskOrder
from ccrs_core.trading.store import LedgerName
from tests.trading.processes.others.other import MARK


@attrs.define
class Figures:
    """What was done on one account, and what is wrong."""

    name: str
    wanted: int = 0
    orders: int = 0
    others: int = 0
    fills: int = 0
    entries: int = 0
    calm: float = 0.0
    """Seconds until all was known, once all faults had ended."""
    wrong: list[str] = attrs.field(factory=list)

    def check(self, what: Callable[..., object], *about: Any) -> None:
        """Note what doesn't hold."""
        try:
            what(*about)
        except AssertionError as error:
            self.wrong.append(f"{self.name}: {error!s:.600}")


@attrs.frozen
class Held:
    """What an account's ledger says at the end."""

    orders: Sequence[Order]
    fills: Sequence[Fill]
    positions: Sequence[Position]
    balances: Sequence[Balance]


async def stored(file: Path, ledger: LedgerName) -> tuple[Sequence[Order], Sequence[Fill]]:
    """All orders and fills that a ledger's file has."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = SqliteStore(file, read_only=True)
    await store.open(ledger)
    try:
        return await store.orders(limit=10**7), await store.fills(limit=10**7)
    finally:
        await store.close()


def judge(
    figures: Figures,
    subject: Subject,
    tape: Sequence[str],
    wallets: Mapping[str, str],
    desk: Mapping[int, DeskOrder],
    held: Held,
) -> None:
    """Compare with the exchange's truth."""
    listings = {order.listing.key: order.listing for order in desk.values()}
    find = instruments_by_key(listings.values(), subject.instruments)
    books = account_books(tape, wallets)
    whole = books.together
    figures.orders = len(desk)
    figures.others = sum(each.client_order_id.startswith(MARK) for each in desk.values())
    figures.fills = len(whole.fills)
    figures.entries = max((fill.number for fill in held.fills), default=0)
    figures.check(orders_are_true, held.orders, desk, find, MARK, untold_of(subject))
    figures.check(fills_are_true, held.fills, whole, find, (MARK,))
    figures.check(positions_are_true, held.positions, whole, find)
    figures.check(money_is_true, held.balances, books)


def nothing_twice(
    figures: Figures, placements: Mapping[str, int], desk: Mapping[int, DeskOrder]
) -> None:
    """No placement came more than once, and no order that was wanted once is there twice."""
    twice = {name: count for name, count in placements.items() if count > 1}
    if twice:
        figures.wrong.append(f"{figures.name}: placements that came more than once: {twice}")
    tags = Counter(order.client_order_id[-8:] for order in desk.values())
    for number in range(1, figures.wanted + 1):
        if tags[f"n{number:06d}n"] > 1:
            figures.wrong.append(f"{figures.name}: order {number} is there twice")


def each_was_delivered(
    figures: Figures,
    lines: Sequence[Mapping[str, Any]],
    told: Sequence[tuple[int, bool]],
    fills: Sequence[Fill],
) -> None:
    """Each fill was delivered, and again only marked."""
    delivered = [(line["fill"], line["again"]) for line in lines if "fill" in line] + list(told)
    counts = Counter(number for number, again in delivered if not again)
    more = [number for number, count in counts.items() if count > 1]
    if more:
        figures.wrong.append(f"{figures.name}: fills delivered twice unmarked: {more[:9]}")
    first = next((line["reads"] for line in lines if "reads" in line), 0)
    missing = {fill.number for fill in fills if fill.number > first}
    missing -= {number for number, _ in delivered}
    if missing:
        figures.wrong.append(f"{figures.name}: fills never delivered: {sorted(missing)[:9]}")


def diary(path: Path) -> list[dict[str, Any]]:
    """What a program has written down."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def desk_orders(path: Path) -> dict[str, dict[int, DeskOrder]]:
    """All orders that an exchange ever had, by account."""
    found: dict[str, dict[int, DeskOrder]] = pickle.loads(path.read_bytes())
    return found
