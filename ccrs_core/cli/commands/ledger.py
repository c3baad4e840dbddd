"""``ccrs ledger``: what an account's ledger holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from ccrs_core.cli import accounts, completion, form, options
from ccrs_core.cli.output import note, progress
from ccrs_core.cli.verdicts import FAILED, Verdict
from ccrs_core.errors import UsageError
from ccrs_core.transport.addresses import named

KINDS = ("fill", "order", "income", "position", "balance", "adjustment", "ledger_conflict")

ledger_argument = click.argument(
    "which", metavar="EXCHANGE|FILE", shell_complete=completion.exchanges
)
environment_option = click.option(
    "--environment", default="mainnet", show_default=True, help="Of EXCHANGE's."
)
base_url_option = click.option(
    "--base-url", help="Of EXCHANGE's ledger that was kept of this address, instead."
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group("ledger", short_help="Look into an account's ledger.")
def command() -> None:
    """The file in which an account's orders and fills are kept. It is read only, also while a
    program writes it."""


def _file(which: str, environment: str, account: str) -> Path:
    """The file that is meant: an account's, where it is kept unless a program says otherwise.

    :raises UsageError: where there is none.
    """
    from ccrs_core.trading.choose_store import default_path
    from ccrs_core.trading.store import LedgerName

    path = Path(which)
    if path.exists() or path.suffix or path.name != which:
        return path
    path = default_path(LedgerName(which, environment, account))
    if not path.exists():
        raise UsageError(
            f"{which} ({environment}) has no ledger of the account {account}: {path} isn't there "
            "(a program may keep it in another file, which you can name instead)"
        )
    return path


@command.command("show", short_help="What it holds, counted.")
@ledger_argument
@environment_option
@base_url_option
@accounts.account_option
@json_option
def show(which: str, environment: str, base_url: str | None, account: str, as_json: bool) -> None:
    """What the ledger of an account at EXCHANGE, or in FILE, holds: whose it is, orders, fills, how
    far it was read."""
    from ccrs_core.cli.ledger_file import opened
    from ccrs_core.model.serialize import to_json
    from ccrs_core.model.times import shown

    with opened(_file(which, named(environment, base_url, None), account)) as ledger:
        found = ledger.summary()
    if as_json:
        click.echo(to_json(attrs.asdict(found)))
        return
    lines = [
        ("account", f"{found.exchange} {found.environment}, {found.account}"),
        ("file", f"{found.path}, schema {found.schema}"),
        ("last number", str(found.number)),
        (
            "orders",
            f"{form.count(found.orders)}, {form.count(found.open_orders)} not done with",
        ),
        ("fills", form.count(found.fills)),
    ]
    if found.first_ns is not None and found.last_ns is not None:
        since = f"{shown(found.first_ns)[:19]} to {shown(found.last_ns)[:19]}"
        lines.insert(2, ("from", since))
    kinds = {kind: count for kind, count in found.entries.items() if kind != "fill"}
    lines += [(f"{kind.replace('_', ' ')}s", form.count(count)) for kind, count in kinds.items()]
    lines += [(f"read by {who}", f"up to {n}") for who, n in found.acknowledged.items()]
    for name, text in lines:
        click.echo(f"{form.printable(name):<24}{form.printable(text)}")


@command.command("check", short_help="Whether it is right, by itself and by the exchange.")
@ledger_argument
@accounts.account_option
@click.option("--offline", is_flag=True, help="Look at the file alone; the exchange isn't asked.")
@click.option(
    "--from", "start", type=options.TimeType(), help="Compare fills from then on alone, UTC."
)
@json_option
@options.target
def check(
    which: str, account: str, offline: bool, start: int | None, as_json: bool, **where: Any
) -> int:
    """Check the ledger of an account at EXCHANGE, or in FILE.

    By itself: whether the file is whole, all of it can be read, and fills add up to what orders and
    positions say. By the exchange, unless --offline: whether open orders, fills, positions and
    balances are those that it lists; each difference is told, and what couldn't be looked at. The
    ledger is read only, also while a program writes it. Ends with 1 where anything failed.
    """
    from ccrs_core.cli.ledger_file import opened
    from ccrs_core.model.serialize import to_json

    failed = 0

    def say(verdict: Verdict) -> None:
        nonlocal failed
        failed += verdict.outcome == FAILED
        if as_json:
            click.echo(to_json(attrs.asdict(verdict)))
        else:
            verdict.say()

    environment = named(where["environment"] or "mainnet", where["base_url"], None)
    with opened(_file(which, environment, account)) as ledger, progress("checking"):
        for verdict in itertools.chain(ledger.check(), ledger.audit()):
            say(verdict)
        name, path = ledger.name, ledger.path
    if not offline:
        from ccrs_core.cli import ledger_compared

        for verdict in ledger_compared.verdicts(name, path, start, where):
            say(verdict)
    if not as_json:
        click.echo(f"{failed} of the checks failed" if failed else "all is well")
    return 1 if failed else 0


@command.command("export", short_help="Its fills, or others of its entries, as a table.")
@ledger_argument
@environment_option
@base_url_option
@accounts.account_option
@click.option(
    "--kind", type=click.Choice(KINDS), default="fill", show_default=True, help="What to export."
)
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only above this number.")
@click.option("--symbol", help="Only of this.")
@click.option("--from", "start", type=options.TimeType(), help="2026-01-01[T12:30], UTC.")
@click.option("--to", "end", type=options.TimeType(), help="The end, which isn't included.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file: .parquet, .csv or .jsonl; standard output (JSON lines) where none is told.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def export(
    which: str,
    environment: str,
    base_url: str | None,
    account: str,
    kind: str,
    after: int,
    symbol: str | None,
    start: int | None,
    end: int | None,
    output: Path | None,
    force: bool,
) -> None:
    """Export entries of the ledger of an account at EXCHANGE, or in FILE, oldest first, in exact
    digits."""
    from ccrs_core.cli.ledger_file import opened

    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} is there already: choose another name, or add --force")
    with opened(_file(which, named(environment, base_url, None), account)) as ledger:
        found = (entry.event for entry in ledger.entries(after, (kind,)))
        chosen = (event for event in found if _wanted(event, symbol, start, end))
        if output is None:
            from ccrs_core.model.serialize import to_json

            for event in chosen:
                click.echo(to_json(event))
            return
        _write(chosen, kind, output)


def _wanted(event: Any, symbol: str | None, start: int | None, end: int | None) -> bool:
    at = event.received_time_ns if event.exchange_time_ns is None else event.exchange_time_ns
    if symbol is not None and event.symbol != symbol:
        return False
    return (start is None or at >= start) and (end is None or at < end)


def _write(events: Iterator[Any], kind: str, output: Path) -> None:
    from ccrs_core.frames.writer import FrameWriter

    with FrameWriter(output, kind, decimals="exact") as writer, progress(f"writing {output}"):
        while some := list(itertools.islice(events, 10_000)):
            writer.write(some)
        rows = writer.rows
    note(f"{form.plural(rows, 'row')} in {output}")
