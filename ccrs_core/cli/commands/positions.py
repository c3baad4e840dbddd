"""``ccrs positions``: what an account holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import accounts, completion, interrupts, options

if TYPE_CHECKING:
    from ccrs_core.model.accounts import Position


@click.command("positions", short_help="What an account holds.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--symbol", shell_complete=completion.symbols, help="Only this.")
@accounts.json_option
@accounts.account_option
@options.target
def command(exchange: str, symbol: str | None, as_json: bool, account: str, **where: Any) -> None:
    """Open positions of the account at EXCHANGE, as the exchange has them now."""

    async def ask() -> list[Position]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            return await held.fetch_positions()

    found = interrupts.run(ask())
    from ccrs_core.cli.live.account_tables import POSITIONS
    from ccrs_core.cli.live.listing import say

    shown = [each for each in found if each.size and symbol in (None, each.symbol)]
    say(shown, POSITIONS, as_json=as_json, nothing="no positions")
