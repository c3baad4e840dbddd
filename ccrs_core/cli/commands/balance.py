"""``ccrs balance``: what an account has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from ccrs_core.cli import accounts, completion, form, interrupts, options
from ccrs_core.cli.output import note

if TYPE_CHECKING:
    from ccrs_core.model.accounts import Margin
    from ccrs_core.model.events import Balance


@click.command("balance", short_help="What an account has.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--asset", "assets", multiple=True, metavar="ASSET", help="Only this; repeatable.")
@accounts.json_option
@accounts.account_option
@options.target
def command(
    exchange: str, assets: tuple[str, ...], as_json: bool, account: str, **where: Any
) -> None:
    """What the account has at EXCHANGE: assets, and its margin as a whole."""

    async def ask() -> tuple[list[Balance], Margin | None]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            found = await held.fetch_balances()
            return [found[asset] for asset in sorted(found)], held.margin

    found, margin = interrupts.run(ask())
    from ccrs_core.cli.live.account_tables import BALANCES
    from ccrs_core.cli.live.listing import say
    from ccrs_core.model.serialize import to_json

    wanted = {asset.upper() for asset in assets}
    shown = [each for each in found if (each.total or each.available) and not wanted]
    shown += [each for each in found if each.asset.upper() in wanted]
    say(shown, BALANCES, as_json=as_json, nothing="nothing")
    if margin is None:
        return
    if as_json:
        click.echo(to_json({"type": "margin", **attrs.asdict(margin)}))
    else:
        note(" · ".join(in_words(margin)))


def in_words(margin: Margin) -> list[str]:
    """An account's margin, for people."""
    words = [
        f"{name} {value:f} {margin.asset}"
        for name, value in (("equity", margin.equity), ("available", margin.available))
        if value is not None
    ]
    for name, share in (("margin", margin.initial_rate), ("maintenance", margin.maintenance_rate)):
        if share is not None:
            words.append(f"{name} {form.percent(share)}")
    return words
