"""A ledger's file held against the exchange, as verdicts; nothing is taken in or placed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccrs_core.cli import accounts, interrupts, options
from ccrs_core.cli.output import progress
from ccrs_core.cli.verdicts import CAREFUL, FAILED, OK, Verdict
from ccrs_core.errors import CcrsError, UsageError
from ccrs_core.transport.addresses import EMULATOR

if TYPE_CHECKING:
    from ccrs_core.trading.comparison import Comparison
    from ccrs_core.trading.store import LedgerName

_ABOUT = ("order", "fill", "position", "balance")


def verdicts(
    name: LedgerName, path: Path, start: int | None, where: dict[str, Any]
) -> Iterator[Verdict]:
    """Compare the file of a ledger with its exchange.

    :raises UsageError: where the ledger is of another environment than the options lead to.
    """
    told = options.settings(name.exchange, **where)
    if where["environment"] is None and where["base_url"] is None and not told.base_url:
        if not name.environment.isidentifier():
            raise UsageError(
                f"{path} was kept of the address {name.environment}: say it (--base-url http://…), "
                "or add --offline"
            )
        where = {**where, "environment": name.environment}
    if where["environment"] == EMULATOR and where["base_url"] is None:
        raise UsageError(
            f"{path} is of an emulator, whose accounts end with it: add --offline, or say where it "
            "runs (--base-url)"
        )
    there = options.place(name.exchange, **where)
    if there != name.environment:
        raise UsageError(
            f"{path} is the ledger of {name}, not of {there}: say --environment, or add --offline"
        )
    try:
        with progress(f"asking {name.exchange}"):
            found = interrupts.run(_compared(name, path, start, where))
    except CcrsError as error:
        yield Verdict("the exchange", FAILED, str(error))
        return
    for text in found.looked_at:
        yield Verdict("compared", OK, text)
    for about in _ABOUT:
        for each in found.differences:
            if each.about == about:
                yield Verdict(about, FAILED, str(each).removeprefix(f"{about} "))
    for text in found.newer:
        yield Verdict("newer", OK, text)
    for text in found.left_out:
        yield Verdict("not compared", CAREFUL, text)
    for text in found.unread:
        yield Verdict("not answered", FAILED, text)


async def _compared(
    name: LedgerName, path: Path, start: int | None, where: dict[str, Any]
) -> Comparison:
    from ccrs_core.trading.sqlite import SqliteStore

    found = accounts.keys(name.exchange, name.account, **where)
    async with options.client(name.exchange, **where) as client:
        opening = client.account(name.account, credentials=found.credentials, follow=False)
        async with opening as held:
            return await held.compare(since=start, store=SqliteStore(path, read_only=True))
