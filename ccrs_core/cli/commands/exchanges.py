"""``ccrs exchanges``: what is installed, and what it offers."""

from __future__ import annotations

from typing import Any

import click

from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.instruments import Market
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


def rows() -> list[dict[str, Any]]:
    """All exchanges, loaded here and now: what they offer, or why they can't be loaded."""
    good, bad = plugins.load_all()
    installed = {info.name: info for info in plugins.installed()}
    rows: list[dict[str, Any]] = []
    for name in sorted({*good, *bad}):
        info = installed.get(name)
        row: dict[str, Any] = {
            "name": name,
            "distribution": None if info is None else info.distribution,
            "version": None if info is None else info.version,
        }
        if name in bad:
            row["error"] = str(bad[name])
        else:
            try:
                row |= _offer(good[name])
            except Exception as error:  # a declaration of other types
                row["error"] = f"what {name} declares can't be read: {error!r}"
        rows.append(row)
    return rows


def _import_orjson() -> None:
    import orjson  # noqa: F401


def _import_rich() -> None:
    import rich.box
    import rich.console
    import rich.table  # noqa: F401


def _offer(exchange: Any) -> dict[str, Any]:
    offered = exchange.capabilities
    return {
        "title": exchange.title or exchange.name,
        "environments": list(exchange.environments),
        "emulator": _has_emulator(exchange),
        "markets": {
            market.value: {
                "channels": [c.value for c in Channel if c in offered.channels[market]],
                "book_depths": list(offered.book_depths.get(market, ())),
            }
            for market in Market
            if market in offered.channels
        },
        "intervals": list(offered.intervals),
    }


def _has_emulator(exchange: Any) -> bool:
    from ccrs_core.contract.exchange import Exchange

    return exchange.dialect is not Exchange.dialect


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
