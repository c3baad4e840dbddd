"""``ccrs fills``: what was traded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import accounts, completion, interrupts, options
from ccrs_core.cli.output import progress
from ccrs_core.contract.trading_requests import GetFills

if TYPE_CHECKING:
    from ccrs_core.model.orders import Fill


@click.command("fills", short_help="What an account has traded.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--symbol", shell_complete=completion.symbols, help="Only of this.")
@options.market_option
@click.option("--from", "start", type=options.TimeType(), help="2026-01-01[T12:30], UTC.")
@click.option("--to", "end", type=options.TimeType(), help="The end, which isn't included; now.")
@accounts.json_option
@accounts.account_option
@options.target
def command(
    exchange: str,
    symbol: str | None,
    market: str | None,
    start: int | None,
    end: int | None,
    as_json: bool,
    account: str,
    **where: Any,
) -> None:
    """Fills of the account at EXCHANGE, as the exchange lists them, oldest first: of the last seven
    days unless --from says otherwise.

    Those that a program of yours has in its ledger: ccrs ledger export.
    """

    async def ask() -> list[Fill]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            with progress("asking for fills"):
                found = [
                    await held.fetch_fills(**each, start=start, end=end)
                    for each in accounts.parts(here, symbol, market, GetFills)
                ]
        return sorted(
            (fill for fills in found for fill in fills), key=lambda f: f.exchange_time_ns or 0
        )

    found = interrupts.run(ask())
    from ccrs_core.cli.live.account_tables import FILLS
    from ccrs_core.cli.live.listing import say

    say(found, FILLS, as_json=as_json, nothing="no fills")
