"""Whether an account can be traded on: its keys, what they may do, its mode, its streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from ccrs_core.cli import accounts, form
from ccrs_core.cli.verdicts import CAREFUL, FAILED, OK, UNUSED, Verdict
from ccrs_core.errors import CcrsError
from ccrs_core.model.times import shown
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.model.accounts import AccountInfo, Permissions
    from ccrs_core.trading.account import Account

_SOON_DAYS = 14


async def examine(
    client: Client, exchange: str, account: str, **where: Any
) -> AsyncIterator[Verdict]:
    """Check an account, one verdict after the other; nothing is placed or changed."""
    if client.exchange.trading is None:
        yield Verdict("account", UNUSED, f"{exchange}'s plugin has no trading")
        return
    try:
        found = accounts.keys(exchange, account, **where)
    except CcrsError as error:
        yield Verdict("keys", FAILED, str(error))
        return
    yield Verdict("keys", OK, f"{found.credentials.key[:4]}… from {found.source}")
    for verdict in await _opened(client, account, found.credentials):
        yield verdict


async def _opened(client: Client, account: str, credentials: Any) -> list[Verdict]:
    from ccrs_core.trading.memory_store import MemoryStore

    began, verdicts = time.perf_counter(), list[Verdict]()
    opening = client.account(account, credentials=credentials, store=MemoryStore())
    try:
        async with opening as held:
            took = form.ms((time.perf_counter() - began) * 1000)
            info = held.info
            if info is None:
                verdicts.append(Verdict("login", OK, f"open after {took} ms"))
            else:
                verdicts += about(info, time.time_ns(), took)
            verdicts += _clock(held)
            verdicts += await _protection(held)
            positions = sum(bool(each.size) for each in held.positions())
            there = f"{form.plural(len(held.open_orders()), 'open order')}, "
            there += form.plural(positions, "position")
            if held.synced:
                verdicts.append(Verdict("private streams", OK, f"synced: {there}"))
            else:
                verdicts.append(Verdict("private streams", FAILED, held.reason))
    except CcrsError as error:
        what = "login" if not verdicts else "account"
        verdicts.append(Verdict(what, FAILED, str(error)))
    return verdicts


def _clock(held: Account) -> Iterator[Verdict]:
    """How the exchange's clock stands, by which requests are signed."""
    offset = None if held.clock is None else held.clock.offset
    if offset is None:
        yield Verdict(
            "account's clock", CAREFUL, "the exchange doesn't tell its time: signed by ours"
        )
        return
    ahead, by = offset.offset_ns / NS_PER_MS, offset.uncertainty_ns / NS_PER_MS
    way = "ahead of" if ahead >= 0 else "behind"
    text = f"requests are signed by the exchange's, {form.ms(abs(ahead))} ms {way} ours"
    yield Verdict("account's clock", OK, f"{text} (known to {form.ms(by)} ms)")


async def _protection(held: Account) -> list[Verdict]:
    """Whether the exchange would cancel orders if it didn't hear of us any more."""
    found = await held.protection()
    if found is None:
        return [Verdict("protection", UNUSED, "the exchange tells of no disconnect protection")]
    parts = [
        f"{market.value} {'off' if seconds is None else f'after {seconds} s'}"
        for market, seconds in sorted(found.items())
    ]
    return [Verdict("protection", OK, f"on disconnect orders are canceled: {', '.join(parts)}")]


def about(info: AccountInfo, now_ns: int, took: str) -> Iterator[Verdict]:
    """What is to be said of an account's mode, and of its key."""
    who = f"{info.kind} account" + (f" of user {info.user_id}" if info.user_id else "")
    yield Verdict("login", OK, f"{who}, open after {took} ms")
    yield from _about_key(info.permissions, now_ns)
    modes = [] if info.margin_mode is None else [f"margin {info.margin_mode.value}"]
    modes += [
        f"{market.value} {mode.value.replace('_', '-')}"
        for market, mode in sorted(info.position_modes.items())
    ]
    if info.refused:
        yield Verdict("mode", FAILED, f"no orders: {info.refused}")
    else:
        yield Verdict("mode", OK, ", ".join(modes) or "the exchange names none")
    moving = sorted(market.value for market, moves in info.moves_prices.items() if moves)
    if moving:
        text = f"prices beyond the band are moved into it, not refused: {', '.join(moving)}"
        yield Verdict("price band", CAREFUL, text)


def _about_key(permissions: Permissions | None, now_ns: int) -> Iterator[Verdict]:
    if permissions is None:
        yield Verdict("permissions", UNUSED, "the exchange doesn't tell them")
        return
    trades = ", ".join(sorted(market.value for market in permissions.trade))
    if not permissions.read:
        yield Verdict("permissions", FAILED, "the key may not read")
    elif not trades:
        yield Verdict("permissions", CAREFUL, "the key may read alone: no orders")
    else:
        yield Verdict("permissions", OK, f"trades {trades}")
    if permissions.withdraw:
        yield Verdict("withdrawals", CAREFUL, "the key may withdraw: make one that can't")
    if permissions.addresses:
        yield Verdict("addresses", OK, f"bound to {', '.join(permissions.addresses)}")
    else:
        yield Verdict("addresses", CAREFUL, "the key works from anywhere: bind it to yours")
    if permissions.expires_ns is None:
        yield Verdict("expiry", OK, "the exchange names none")
    else:
        days = (permissions.expires_ns - now_ns) / (86_400 * NS_PER_SECOND)
        at = shown(permissions.expires_ns)[:16]
        outcome = OK if days >= _SOON_DAYS else CAREFUL if days > 0 else FAILED
        text = f"ends in {days:.0f} days, at {at}" if days > 0 else f"has ended at {at}"
        yield Verdict("expiry", outcome, f"the key {text}")
