"""``ccrs account``: an account, live."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from ccrs_core.cli import accounts, completion, interrupts, options
from ccrs_core.contract.accounts import DEFAULT
from ccrs_core.errors import UsageError

if TYPE_CHECKING:
    from ccrs_core.cli.live.account_view import AccountPicture
    from ccrs_core.model.events import Event
    from ccrs_core.trading.account import Account

_QUIET = frozenset({"position", "balance"})
"""Events that tables show anyway."""


@click.group("account", short_help="An account, live.")
def command() -> None:
    """An account, live."""


@command.command("watch", short_help="Orders, positions, balances and fills as they change.")
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="EXCHANGE[:ACCOUNT]...",
    shell_complete=completion.exchanges,
)
@options.bounds
@accounts.json_option
@options.target
def watch(
    names: Sequence[str], seconds: float | None, count: int | None, as_json: bool, **where: Any
) -> None:
    """Accounts at one or several exchanges as they change, until Ctrl-C: EXCHANGE, EXCHANGE:NAME.

    On a terminal a table of orders, positions, balances and of what happened last; elsewhere a line
    for each event, with --json an object. What is watched is left as it is: programs of yours that
    trade on the same account go on.
    """
    wanted = list(dict.fromkeys(map(_named, names)))
    if len({exchange for exchange, _ in wanted}) > 1 and where["base_url"] is not None:
        raise UsageError(
            "--base-url is the address of one exchange; those of several stand in the file of "
            f"settings, such as base_url below [exchanges.{wanted[0][0]}]"
        )
    interrupts.run(_watch(wanted, _sink(wanted, as_json, where), seconds, count, where))


def _named(text: str) -> tuple[str, str]:
    exchange, _, account = text.partition(":")
    options.check_exchange(exchange)
    return exchange, account or DEFAULT


async def _watch(
    wanted: Sequence[tuple[str, str]],
    sink: Sink,
    seconds: float | None,
    count: int | None,
    where: dict[str, Any],
) -> None:
    seen = 0
    done = asyncio.Event()

    async def follow(name: str, held: Account) -> None:
        nonlocal seen
        async with held.events() as feed:
            async for event in feed:
                seen += 1
                await sink.take(name, event)
                if seen == count:
                    done.set()
                    return

    limit = asyncio.timeout(seconds)
    async with contextlib.AsyncExitStack() as stack:
        held = {}
        for exchange, account in wanted:
            opening = accounts.opened(exchange, account, **where)
            here = await stack.enter_async_context(opening)
            held[f"{exchange}:{account}"] = here.account
        try:
            async with limit, asyncio.TaskGroup() as group:
                await sink.start(held)
                tasks = [group.create_task(follow(*each)) for each in held.items()]
                tasks.append(group.create_task(_tick(sink)))
                await done.wait()
                for task in tasks:
                    task.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            await sink.finish()


async def _tick(sink: Sink) -> None:
    while True:
        await asyncio.sleep(0.125)
        await sink.idle()


# --- where it is shown ----------------------------------------------------------------------


class Sink(Protocol):
    """Shows what happens to accounts."""

    async def start(self, held: dict[str, Account]) -> None: ...
    async def take(self, name: str, event: Event) -> None: ...
    async def idle(self) -> None: ...
    async def finish(self) -> None: ...


def _sink(wanted: Sequence[tuple[str, str]], as_json: bool, where: dict[str, Any]) -> Sink:
    if as_json or not sys.stdout.isatty():
        return _Lines(as_json=as_json, several=len(wanted) > 1)
    return _Screen(*_titled(wanted, {name: options.place(name, **where) for name, _ in wanted}))


def _titled(
    wanted: Sequence[tuple[str, str]], places: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Whose accounts, and where if all are at one place; else where each of them is."""
    names = {f"{exchange}:{account}": places[exchange] for exchange, account in wanted}
    if len(set(names.values())) == 1:
        return f"{', '.join(names)} · {places[wanted[0][0]]}", {}
    return ", ".join(names), names


class _Lines:
    """A line for each event."""

    def __init__(self, *, as_json: bool, several: bool) -> None:
        from ccrs_core.cli.output import Output

        self._as_json = as_json
        self._several = several
        self._output = Output()

    async def start(self, held: dict[str, Account]) -> None:
        pass

    async def take(self, name: str, event: Event) -> None:
        from ccrs_core.cli.live.account_words import line
        from ccrs_core.model.serialize import to_json

        if self._as_json:
            await self._output.write(to_json(event) + b"\n")
        else:
            await self._output.write(f"{line(event, name if self._several else '')}\n".encode())

    async def idle(self) -> None:
        pass

    async def finish(self) -> None:
        pass


class _Screen:
    """The live table."""

    def __init__(self, title: str, places: Mapping[str, str]) -> None:
        from ccrs_core.cli.live.account_view import Happenings

        self._title = title
        self._places = places
        self._happenings = Happenings()

    async def start(self, held: dict[str, Account]) -> None:
        from rich.console import RenderableType

        from ccrs_core.cli.live.account_view import draw
        from ccrs_core.cli.live.view import Redrawn

        def picture(width: int, height: int) -> RenderableType:
            places = self._places
            pictures = [picture_of(n, account, places.get(n, "")) for n, account in held.items()]
            return draw(pictures, self._happenings, title=self._title, width=width, height=height)

        self._view = Redrawn(picture, lambda: ()).__enter__()
        self._view.redraw()

    async def take(self, name: str, event: Event) -> None:
        self._happenings.add(name, event, loud=event.type not in _QUIET)

    async def idle(self) -> None:
        self._view.redraw()

    async def finish(self) -> None:
        self._view.redraw()
        self._view.__exit__(None, None, None)


def picture_of(name: str, account: Account, place: str = "") -> AccountPicture:
    """An account as it is now, by its ledger."""
    from ccrs_core.cli.live.account_view import AccountPicture

    return AccountPicture(
        name=name,
        place=place,
        synced=account.synced,
        reason=account.reason,
        margin=account.margin,
        balances=[b for _, b in sorted(account.balances().items()) if b.total or b.available],
        positions=account.positions(),
        orders=account.open_orders(),
    )
