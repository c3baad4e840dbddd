"""What an account holds, read from the exchange's lists: positions and balances."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ccrs_core.contract.trading_requests import GetPositions, GetWallet, Wallet
from ccrs_core.errors import CcrsError, DecodeError
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.reading import Reading

Take = Callable[[Sequence[Any]], Awaitable[bool]]


def check_read(left_out: int) -> None:
    """:raises DecodeError: where rows couldn't be read: what isn't in the list may be one of
    them."""
    if left_out:
        raise DecodeError(f"rows that can't be read: {left_out}")


async def read_positions(
    context: AccountContext, reading: Reading, market: Market, take: Take
) -> None:
    """Read a market's positions; what isn't listed was flat as the reading began.

    :raises CcrsError: where that fails; those that are known are marked as unverified.
    """
    failed: CcrsError | None = None
    for settle in context.trading.settles.get(market) or ("",):
        try:
            await _positions_of(context, reading, market, settle, take)
        except CcrsError as error:
            failed = error  # and the others are read
    if failed is not None:
        raise failed


async def _positions_of(
    context: AccountContext, reading: Reading, market: Market, settle: str, take: Take
) -> None:
    ledger, find = context.ledger, context.taking.find
    request = GetPositions(market=market, settle=settle)
    try:
        found, unread = await reading.counted(request)
    except CcrsError:
        context.note(ledger.unverified(market, context.now_ns, settle=settle))
        raise
    if found:
        await context.instruments.market(market)
    await take(found)
    listed = set[tuple[str, PositionSide]]()
    for report in found:
        instrument = find(report.market, report.native)
        if instrument is not None:
            listed.add((instrument.symbol, report.side))
    if unread:
        context.note(ledger.unverified(market, context.now_ns, settle=settle))
        check_read(unread)
    if any(find(each.market, each.native) is None for each in found):
        # One that isn't listed any more is none of those that are.
        known = {each.symbol for each in context.instruments.known()}
        held = [each for each in ledger.positions() if each.symbol not in known]
        listed |= {(each.symbol, each.side) for each in held}
    context.note(ledger.flat(market, listed, reading.began_ns, context.now_ns, settle=settle))


async def read_balances(
    context: AccountContext, reading: Reading, take: Take, told: Callable[[Wallet], None]
) -> None:
    """Read what the account has: each asset, and as a whole, which ``told`` is told.

    :raises CcrsError: where that fails.
    """
    wallet, unread = await reading.counted(GetWallet(context.name))
    told(wallet)
    await take(wallet.balances)
    check_read(unread)
    listed = {each.name for each in wallet.balances}
    at_ns = reading.began_ns if wallet.exchange_time_ns is None else wallet.exchange_time_ns
    context.note(context.ledger.nothing_else(listed, at_ns, context.now_ns))


__all__ = ["check_read", "read_balances", "read_positions"]
