"""``ccrs fees``: what trading costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import accounts, completion, interrupts, options
from ccrs_core.errors import UsageError

if TYPE_CHECKING:
    from ccrs_core.model.accounts import FeeRate


@click.command("fees", short_help="What trading costs an account.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("symbols", nargs=-1, metavar="[SYMBOL...]", shell_complete=completion.symbols)
@options.market_option
@accounts.json_option
@accounts.account_option
@options.target
def command(
    exchange: str,
    symbols: Sequence[str],
    market: str | None,
    as_json: bool,
    account: str,
    **where: Any,
) -> None:
    """What trading SYMBOLS, or all of a market, costs the account at EXCHANGE, as a share of value;
    below zero it is paid to you."""
    if bool(symbols) == (market is not None):
        raise UsageError("say SYMBOLS, or --market")

    async def ask() -> list[FeeRate]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            if market is not None:
                return await held.fee_rates(market=market)
            return [rate for each in symbols for rate in await held.fee_rates(symbol=each)]

    found = interrupts.run(ask())
    from ccrs_core.cli.live.account_tables import FEES
    from ccrs_core.cli.live.listing import say

    say(found, FEES, as_json=as_json, nothing="no fee rates")
