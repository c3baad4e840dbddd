"""``ccrs exchanges``: what is installed, and what it offers."""

from __future__ import annotations

from typing import Any

import click

from ccrs_core.model.subscriptions import Channel


@click.command("exchanges", short_help="The installed exchanges and what they offer.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per exchange.")
def command(as_json: bool) -> None:
    """The installed exchanges: where they come from and what they offer, market by market.

    Those that can't be loaded are listed with the cause.
    """
    # In a process of its own: what hangs at import, or ends its process, is told like other faults.
    from ccrs_core.cli import looking

    found = looking.rows(meanwhile=_import_orjson if as_json else _import_rich)
    if as_json:
        import orjson

        for row in found:
            click.echo(orjson.dumps(row))
    elif found:
        _show(found)
    else:
        click.echo("No exchange is installed; try: pip install ccrs-NAME", err=True)


def _import_orjson() -> None:
    import orjson  # noqa: F401


def _import_rich() -> None:
    import rich.box
    import rich.console
    import rich.table  # noqa: F401


def _show(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for row in rows:
        origin = (
            f"{row['distribution']} {row['version']}" if row["distribution"] else "from a plugin"
        )
        if "error" in row:
            console.print(f"[bold red]✗ {row['name']}[/]  [dim]{origin}[/]", highlight=False)
            console.print(f"  {row['error']}", style="red", markup=False, highlight=False)
            console.print()
            continue
        console.print(
            f"[bold green]✓ {row['name']}[/]  {row['title']}  [dim]{origin}[/]", highlight=False
        )
        names = [*row["environments"], *(["emulator"] if row["emulator"] else [])]
        console.print(f"  [dim]environments[/] {', '.join(names)}", highlight=False)
        if row["intervals"]:
            console.print(f"  [dim]candles[/] {' '.join(row['intervals'])}", highlight=False)
        markets = row["markets"]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False, header_style="dim")
        table.add_column("channel")
        for market in markets:
            table.add_column(market, justify="center")
        for channel in Channel:
            cells = [_cell(channel, offer) for offer in markets.values()]
            if any(cells):
                table.add_row(channel.value.replace("_", " "), *cells)
        console.print(table)
        console.print()


def _cell(channel: Channel, offer: dict[str, Any]) -> str:
    if channel.value not in offer["channels"]:
        return ""
    if channel is Channel.BOOK and offer["book_depths"]:
        return " ".join(map(str, offer["book_depths"]))
    return "[green]●[/]"
