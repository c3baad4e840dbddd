"""``ccrs instruments``: what an exchange trades."""

from __future__ import annotations

import sys
from typing import Any

import click

from ccrs_core.cli import completion, interrupts, options
from ccrs_core.cli.output import note, progress
from ccrs_core.model.instruments import Instrument


@click.command("instruments", short_help="What an exchange trades.")
@click.argument("exchange", shell_complete=completion.exchanges)
@options.market_option
@click.option("--search", metavar="TEXT", help="Only symbols that contain this.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per instrument.")
@options.target
def command(
    exchange: str, market: str | None, search: str | None, as_json: bool, **where: Any
) -> None:
    """What EXCHANGE trades: unified and own symbols, tick and lot sizes."""

    async def fetch() -> list[Instrument]:
        async with options.client(exchange, **where) as client:
            return await client.get_instruments(market)

    with progress(f"asking {exchange}"):
        found = interrupts.run(fetch())
    place = options.place(exchange, **where)
    if market is None and place != "emulator":
        completion.remember(exchange, place, found)
    if search:
        text = search.upper()
        found = [i for i in found if text in i.symbol.upper() or text in i.native.upper()]
    found.sort(key=lambda instrument: (instrument.market.value, instrument.symbol))
    if as_json:
        _write_json(found)
    elif found:
        _show(found)
    if not found:
        note(f"no instrument matches {search!r}" if search else "no instruments")


def _write_json(found: list[Instrument]) -> None:
    import orjson

    from ccrs_core.model.serialize import converter

    for instrument in found:
        click.echo(orjson.dumps(converter().unstructure(instrument)))


def _show(found: list[Instrument]) -> None:
    if not sys.stdout.isatty():
        for i in found:
            click.echo(
                "\t".join(
                    (i.symbol, i.native, i.market, i.status, _text(i.tick_size), _text(i.lot_size))
                )
            )
        return
    from rich.console import Console
    from rich.text import Text

    from ccrs_core.cli.live.panels import laid_out

    console = Console()
    columns = ("symbol", "native", "market", "status", "tick", "lot", "min size", "min value")
    rows = [
        [
            Text(i.symbol, style="bold"),
            i.native,
            i.market.value,
            Text(i.status.value, style="green" if i.status == "trading" else "yellow"),
            *map(_text, (i.tick_size, i.lot_size, i.min_size, i.min_notional)),
        ]
        for i in found
    ]
    # Symbols are never cut: less is told of each where there isn't room.
    left_out = ("min value", "min size", "native", "lot", "market", "status", "tick")
    console.print(laid_out(columns, rows, console.width, left_out=left_out))
    note(f"{len(found)} instruments")


def _text(number: Any) -> str:
    return "-" if number is None else f"{number:f}"
